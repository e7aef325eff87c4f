package cluster

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// execution is one life of a process.
type execution struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid once done is closed
}

// execute starts a program in a process group of its own, so that an interrupt from the terminal reaches
// only this process, and so that the program is killed when this process dies.
func execute(program, dir string, env []string, out *os.File) (*execution, error) {
	e := &execution{cmd: exec.Command(program), done: make(chan struct{})}
	e.cmd.Dir, e.cmd.Env, e.cmd.Stdout, e.cmd.Stderr = dir, env, out, out
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The signal of the parent's death fires when the thread that forked ends, and Go ends idle
		// threads: so this one is kept for as long as the program lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := e.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		e.err = e.cmd.Wait()
		close(e.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the program: %w", err)
	}
	return e, nil
}

func (e *execution) pid() int { return e.cmd.Process.Pid }

// signal sends a signal; one that has ended, or never began, takes none.
func (e *execution) signal(s syscall.Signal) {
	if e == nil {
		return
	}
	_ = e.cmd.Process.Signal(s) // fails only because the process has ended
}

// how tells the end.
func (e *execution) how() string {
	if e.err == nil {
		return "exit status 0"
	}
	return e.err.Error()
}

// tail returns about the last 4,000 bytes of a log.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > 4000 {
		if _, err := f.Seek(-4000, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
