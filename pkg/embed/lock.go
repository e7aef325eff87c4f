package embed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fileLock is an advisory lock on a file. The kernel releases it when the
// process ends, in whatever way, so a killed owner never blocks the next one.
type fileLock struct{ f *os.File }

// lockFile waits for the lock on path until ctx ends. waiting, when not nil,
// is called once with the pid of the present owner if there is a wait.
func lockFile(ctx context.Context, path string, waiting func(pid int)) (*fileLock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder for lock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return own(f)
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if waiting != nil {
			waiting(ownerOf(path))
			waiting = nil
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("%s is in use by process %d: %w", filepath.Dir(path), ownerOf(path), ctx.Err())
		case <-ticker.C:
		}
	}
}

// own notes the owner's pid in the lock file, for the message of whoever waits.
func own(f *os.File) (*fileLock, error) {
	err := f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("note lock owner: %w", err)
	}
	return &fileLock{f}, nil
}

func ownerOf(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// lockData takes the lock of a data folder, waiting a little for a previous
// owner that is still stopping.
func lockData(ctx context.Context, dir string, say func(string, ...any)) (*fileLock, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return lockFile(ctx, filepath.Join(dir, "lock"), func(pid int) {
		say("waiting for process %d to let go of %s", pid, dir)
	})
}

func (l *fileLock) unlock() {
	// Closing the only descriptor releases the lock; the file stays, because
	// removing it would let two processes hold locks on two files of one name.
	l.f.Close()
}
