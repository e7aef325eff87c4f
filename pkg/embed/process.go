package embed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a server in a process group of its own.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; valid once done is closed
}

// startProcess starts cmd so that signals from the terminal do not reach it
// and, where the system can do that, so that it gets onDeath when this process
// dies.
func startProcess(cmd *exec.Cmd, cred *syscall.Credential, onDeath syscall.Signal) (*process, error) {
	cmd.SysProcAttr = serverAttr(cred, onDeath)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The parent-death signal fires when the *thread* that forked ends,
		// not the process. Go moves goroutines between threads and ends idle
		// ones, so this thread is kept for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// stop sends the signals one after the other, leaving each patience to work
// before the next, and returns once the process is gone. When ctx ends early
// the next signal is sent at once; the last one should be SIGKILL.
func (p *process) stop(ctx context.Context, patience time.Duration, signals ...syscall.Signal) error {
	for _, sig := range signals {
		err := p.cmd.Process.Signal(sig)
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("signal process %d: %w", p.cmd.Process.Pid, err)
		}
		if sig == syscall.SIGKILL {
			break
		}
		wait := time.NewTimer(patience)
		select {
		case <-p.done:
			wait.Stop()
			return nil
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
	<-p.done
	return nil
}
