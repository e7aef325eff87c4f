package embed

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// serversOn returns the pids of all processes, postmaster and backends, of a
// server on pgdata: PostgreSQL makes the data folder its working folder.
func serversOn(pgdata string) ([]int, error) {
	real, err := filepath.EvalSymlinks(pgdata)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// Unreadable: another user's, or gone by now. The server's processes
		// are ours or, when we are root, readable.
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil || cwd != real {
			continue
		}
		// Somebody's shell may stand in that folder too.
		comm, err := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		if err == nil && strings.HasPrefix(string(comm), "postgres") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
