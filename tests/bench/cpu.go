package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticks a second of the times in /proc; Linux says 100 on every machine we know.
const ticks = 100

// tick is a tick's microseconds.
const tick = 1e6 / ticks

// CPU is the time that a process and its children have spent, those that have ended included.
func CPU(pid int) (time.Duration, error) {
	self, parentOf, err := processTimes()
	if err != nil {
		return 0, err
	}
	root, ok := self[pid]
	if !ok {
		return 0, fmt.Errorf("read the CPU time: no process %d", pid)
	}
	total := root.own + root.ended
	for child, parent := range parentOf {
		if parent == pid {
			total += self[child].own + self[child].ended
		}
	}
	return time.Duration(total) * time.Second / ticks, nil
}

// postgresCPU is what each kind of PostgreSQL's processes has spent, in microseconds: the backends by database, the
// others by what they do. Those that have ended, workers of autovacuum above all, are the postmaster's children no
// more, and together under "ended".
func postgresCPU(postmaster int) (map[string]float64, error) {
	times, parents, err := processTimes()
	if err != nil {
		return nil, err
	}
	all := map[string]float64{"ended": float64(times[postmaster].ended) * tick, "postmaster": float64(times[postmaster].own) * tick}
	for pid, parent := range parents {
		if parent == postmaster {
			all[postgresKind(pid)] += float64(times[pid].own+times[pid].ended) * tick
		}
	}
	return all, nil
}

// postgresKind reads what a process of PostgreSQL says of itself: "postgres: checkpointer", or
// "postgres: user database address state" of one that works for a client.
func postgresKind(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	title := strings.TrimRight(string(raw), "\x00 ")
	if err != nil || !strings.HasPrefix(title, "postgres: ") {
		return "other"
	}
	words := strings.Fields(strings.TrimPrefix(title, "postgres: "))
	if len(words) >= 3 && strings.ContainsAny(words[2], "(.[") {
		return "for " + words[1]
	}
	return strings.Join(words, " ")
}

// usage is in ticks.
type usage struct{ own, ended int64 }

func processTimes() (times map[int]usage, parents map[int]int, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, nil, err
	}
	times, parents = map[int]usage{}, map[int]int{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended since
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		// The second field is a name in brackets that may hold anything.
		end := bytes.LastIndexByte(raw, ')')
		if err != nil || end < 0 {
			continue
		}
		fields := strings.Fields(string(raw[end+1:]))
		if len(fields) < 15 {
			continue
		}
		n := func(i int) int64 { v, _ := strconv.ParseInt(fields[i], 10, 64); return v }
		parents[pid] = int(n(1))
		times[pid] = usage{own: n(11) + n(12), ended: n(13) + n(14)}
	}
	return times, parents, nil
}
