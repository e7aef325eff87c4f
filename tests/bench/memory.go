package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// Memory of the services, in bytes.
type Memory struct {
	// Live is what a collection found in use: the heap without the garbage, of which GOGC lets a multiple come
	// together. Growth of Live is growth; that of Resident may be GOGC's alone.
	Live int64 `json:"live_bytes"`
	// Stacks of the goroutines.
	Stacks int64 `json:"stack_bytes"`
	// Resident is what the process has of the machine's memory, garbage and what is kept for later included.
	Resident   int64 `json:"resident_bytes"`
	Goroutines int64 `json:"goroutines"`
}

func (m Memory) String() string {
	return fmt.Sprintf("%d MB live, %d MB stacks of %d goroutines, %d MB resident", m.Live>>20, m.Stacks>>20, m.Goroutines, m.Resident>>20)
}

// most has each figure's larger value.
func (m Memory) most(o Memory) Memory {
	return Memory{max(m.Live, o.Live), max(m.Stacks, o.Stacks), max(m.Resident, o.Resident), max(m.Goroutines, o.Goroutines)}
}

// memory of this process, as the last collection found it; collect runs one first.
func memory(collect bool) (m Memory, err error) {
	if collect {
		// The first one moves what pools keep to where the second one finds it.
		runtime.GC()
		runtime.GC()
	}
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(samples)
	for i, into := range []*int64{&m.Live, &m.Stacks, &m.Goroutines} {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return m, fmt.Errorf("the runtime does not know %s", samples[i].Name)
		}
		*into = int64(samples[i].Value.Uint64())
	}
	m.Resident, err = resident(os.Getpid())
	return m, err
}

// memory answers with this process's; ?collect=true runs a collection first.
func (p *process) memory(w http.ResponseWriter, r *http.Request) {
	m, err := memory(r.FormValue("collect") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(m) // the client that is gone does not need it
}

// Memory of the services; collect has what is garbage gone first, which costs them some of their time.
func (y *System) Memory(ctx context.Context, collect bool) (m Memory, err error) {
	err = y.control(ctx, "/memory?collect="+strconv.FormatBool(collect), struct{}{}, &m)
	return m, err
}

// watch runs do and returns what memory the services had meanwhile, five times a second. No collection is run for it.
func (y *System) watch(ctx context.Context, do func(context.Context) error) (seen []Memory, err error) {
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return seen, err
		case <-ticker.C:
			now, err := y.Memory(ctx, false)
			if err != nil {
				return seen, err
			}
			seen = append(seen, now)
		}
	}
}

// resident is the memory a process has, in bytes.
func resident(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0, fmt.Errorf("read the memory of process %d: %q", pid, raw)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
