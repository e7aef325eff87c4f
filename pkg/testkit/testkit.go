// Package testkit gives the tests of every module real servers: one embedded
// PostgreSQL per test process with a database of its own for each test, and a
// Kafka broker shared by prefix. Nothing is mocked and nothing is skipped: a
// server that was asked for and cannot be had fails the test.
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// proc holds what the tests of this process share. Servers start when the
// first test asks for them, so that a run of pure tests starts none.
var proc = &process{}

type process struct {
	mu      sync.Mutex
	running bool
	dir     string
	lock    *os.File
	stops   []func(context.Context) error
}

// Main runs the tests of a package and then stops what they shared and removes
// its data. It does not return.
func Main(m *testing.M) {
	proc.begin()
	code := m.Run()
	if err := proc.end(); err != nil {
		fmt.Fprintln(os.Stderr, "testkit:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func (p *process) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = true
	sweep()
}

// end stops the servers, last one first, and removes their data.
func (p *process) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var errs []error
	for i := len(p.stops) - 1; i >= 0; i-- {
		errs = append(errs, p.stops[i](ctx))
	}
	if p.dir != "" {
		errs = append(errs, os.RemoveAll(p.dir), p.lock.Close())
	}
	return errors.Join(errs...)
}

// atEnd registers a server's stop.
func (p *process) atEnd(stop func(context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stops = append(p.stops, stop)
}

// folder returns a folder for a server's data, gone at the end of the process.
func (p *process) folder(name string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running {
		return "", errors.New("testkit.Main is not running: add `func TestMain(m *testing.M) { testkit.Main(m) }` to the package")
	}
	if p.dir == "" {
		dir, err := os.MkdirTemp("", folderPrefix)
		if err != nil {
			return "", fmt.Errorf("make folder for test servers: %w", err)
		}
		// Under root PostgreSQL runs as another user, who has to pass through.
		if err := os.Chmod(dir, 0o711); err != nil {
			return "", fmt.Errorf("open folder for test servers: %w", err)
		}
		if p.lock, err = lockFolder(dir); err != nil {
			return "", fmt.Errorf("lock folder for test servers: %w", err)
		}
		p.dir = dir
	}
	return filepath.Join(p.dir, name), nil
}

const folderPrefix = "quadrille-test-"

// sweep removes the folders of test processes that were killed before they
// could. The lock tells: the kernel releases it when its process ends. (A
// folder that is younger may not have been locked yet.)
func sweep() {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		st, err := os.Stat(dir)
		if err != nil || time.Since(st.ModTime()) < time.Minute {
			continue
		}
		if lock, err := lockFolder(dir); err == nil {
			os.RemoveAll(dir) // another process may be at the same; nothing depends on it
			lock.Close()
		}
	}
}

// lockFolder marks dir as in use for as long as the file stays open.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// startContext bounds the start of a server, a first download included.
func startContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Minute)
}

// progress shows what a server's start is waiting for.
func progress(what string) { fmt.Fprintln(os.Stderr, "testkit:", what) }

// Eventually calls check until it returns nil, every few milliseconds, and
// fails the test with its last error after timeout.
func Eventually(t testing.TB, timeout time.Duration, check func() error) {
	t.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("not so after %s: %v", timeout, err)
		case <-ticker.C:
		}
	}
}
