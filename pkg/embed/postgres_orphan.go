package embed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pidFile is what postmaster.pid tells: line 1 the pid, line 8 the status.
type pidFile struct {
	pid    int
	status string
}

func readPidFile(pgdata string) (pidFile, error) {
	b, err := os.ReadFile(filepath.Join(pgdata, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, fmt.Errorf("read postmaster.pid: %w", err)
	}
	pf := pidFile{pid: pid}
	if len(lines) >= 8 {
		pf.status = strings.TrimSpace(lines[7])
	}
	return pf, nil
}

// clearOrphans makes sure that no server works on pgdata. We hold the folder's
// lock, so one that does has lost its parent: it is asked to shut down (on
// Linux it was, by the parent-death signal) and waited for.
//
// Without a server, postmaster.pid is removed when it would be in the way:
// PostgreSQL refuses to start while the pid in it belongs to any living
// process of its user, and after a kill -9 or a restart of the machine that
// may be somebody else entirely. Removing it is safe only because every
// process of the old server is known to be gone: a backend that outlives its
// postmaster still writes to the shared files. (Where that cannot be known, on
// macOS, PostgreSQL itself refuses while a shared memory segment made for this
// folder has users.)
func clearOrphans(ctx context.Context, pgdata string, say func(string, ...any)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	asked := false
	for {
		pids, err := serversOn(pgdata)
		if err != nil {
			return fmt.Errorf("look for an earlier server: %w", err)
		}
		if len(pids) == 0 {
			return removePidFile(pgdata)
		}
		if !asked {
			asked = true
			say("waiting for an earlier PostgreSQL on the same data to end")
			if err := askToEnd(pgdata, pids); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("an earlier PostgreSQL (process %d) still works on %s: %w", pids[0], pgdata, ctx.Err())
		case <-ticker.C:
		}
	}
}

// askToEnd sends the postmaster, if it is among pids, its fast shutdown.
// Backends without a postmaster end by themselves.
func askToEnd(pgdata string, pids []int) error {
	pf, err := readPidFile(pgdata)
	if err != nil {
		return nil // on its way out: the file goes last
	}
	for _, pid := range pids {
		if pid != pf.pid {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("ask the earlier PostgreSQL to end: %w", err)
		}
	}
	return nil
}

func removePidFile(pgdata string) error {
	err := os.Remove(filepath.Join(pgdata, "postmaster.pid"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove stale postmaster.pid: %w", err)
	}
	return nil
}
