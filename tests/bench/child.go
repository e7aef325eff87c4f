package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// child is this program, run again as something else: a process of its own, whose CPU time and memory can be told
// from those of the others.
type child struct {
	name  string
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{} // closed when it has ended; err says how
	err   error
}

// startUp is how long a child may take until it says where it is.
const startUp = 2 * time.Minute

// fork runs this program with the word as its argument and config as JSON on its standard input, and reads what it
// says once it is ready into place. What it logs goes into a file of dir.
func fork(word, dir string, config, place any) (_ *child, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	told, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write the configuration of %s: %w", word, err)
	}
	c := &child{name: word, ended: make(chan struct{})}
	if c.log, err = os.Create(filepath.Join(dir, word+".log")); err != nil {
		return nil, fmt.Errorf("log of %s: %w", word, err)
	}
	c.cmd = exec.Command(self, word)
	c.cmd.Stdin, c.cmd.Stderr = bytes.NewReader(told), c.log
	// An interrupt at the terminal is for this program; should it be killed, the child goes as well.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", word, err), c.log.Close())
	}
	if err := c.ready(out, place); err != nil {
		return nil, errors.Join(err, c.kill())
	}
	return c, nil
}

// ready waits until the child has said where it is.
func (c *child) ready(out io.Reader, place any) error {
	told := make(chan error, 1)
	go func() {
		told <- json.NewDecoder(bufio.NewReader(out)).Decode(place)
		_, _ = io.Copy(io.Discard, out) // until the child has ended: Wait closes what is read from
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	select {
	case err := <-told:
		if err != nil {
			return fmt.Errorf("%s ended before it was ready: %w\n%s", c.name, err, c.lastLines())
		}
		return nil
	case <-time.After(startUp):
		return fmt.Errorf("%s was not ready after %v\n%s", c.name, startUp, c.lastLines())
	}
}

// lastLines of what it has logged.
func (c *child) lastLines() string {
	if c == nil {
		return ""
	}
	raw, err := os.ReadFile(c.log.Name())
	if err != nil {
		return ""
	}
	return string(raw[max(0, len(raw)-4000):])
}

// stop ends the child in order. One that has been stopped, or never started, stays as it is.
func (c *child) stop() error {
	if c == nil || c.log == nil {
		return nil
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-c.ended:
		var err error
		if c.err != nil {
			err = fmt.Errorf("%s: %w\n%s", c.name, c.err, c.lastLines())
		}
		return errors.Join(err, c.closeLog())
	case <-time.After(40 * time.Second):
		return errors.Join(fmt.Errorf("%s did not stop", c.name), c.kill())
	}
}

// kill ends the child at once.
func (c *child) kill() error {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.ended
	return c.closeLog()
}

func (c *child) closeLog() error {
	log := c.log
	c.log = nil
	return log.Close()
}
