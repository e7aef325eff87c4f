// Package outage switches a simulator's faults on and off while it runs: what
// `quadrille fault` and the chaos tests turn. Faults are not kept over a
// restart.
package outage

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Mode is the kind of fault.
type Mode string

// The faults an HTTP simulator knows.
const (
	None    Mode = "none"
	Down    Mode = "down"    // 503 at once, nothing is done
	Broken  Mode = "broken"  // 500 at once; see Fault.Applied
	Cut     Mode = "cut"     // the connection is reset, nothing is done
	Slow    Mode = "slow"    // answered after Delay
	Timeout Mode = "timeout" // never answered; see Fault.Applied
)

// The faults a mail server knows, beside Down (it greets nobody).
const (
	TempFail Mode = "tempfail" // 451: try again later
	PermFail Mode = "permfail" // 554: refused for good
)

// Fault is what is wrong at the moment, and the body of POST /faults.
type Fault struct {
	// Mode defaults to none.
	Mode Mode `json:"mode"`
	// Percent of the requests that meet the fault, spread evenly; 0 stands for
	// 100.
	Percent int `json:"percent,omitempty"`
	// DelayMS is the delay of slow in milliseconds (default 3000), and how long
	// timeout keeps the caller (default 30000; then the connection is cut).
	DelayMS int `json:"delayMs,omitempty"`
	// Applied says whether a request that is never answered, or answered 500, takes effect all the
	// same. Absent: every second one does, which is the hardest for the caller.
	Applied *bool `json:"applied,omitempty"`
}

// Switch holds the current fault. Its methods may be called from many
// goroutines.
type Switch struct {
	modes []Mode
	done  <-chan struct{}

	mu    sync.Mutex
	fault Fault
	seen  int // requests since the fault was set
	hit   int // those of them that met it
}

// New makes a switch without a fault that accepts none and the given modes.
// Closing done ends the requests that are kept waiting.
func New(done <-chan struct{}, modes ...Mode) *Switch {
	return &Switch{modes: append(modes, None), done: done, fault: Fault{Mode: None}}
}

// Set replaces the fault. It fails on an unknown mode and on numbers that make
// no sense.
func (s *Switch) Set(f Fault) error {
	if f.Mode == "" {
		f.Mode = None
	}
	if !slices.Contains(s.modes, f.Mode) {
		return fmt.Errorf("set fault: unknown mode %q, known are %v", f.Mode, s.modes)
	}
	if f.Percent < 0 || f.Percent > 100 || f.DelayMS < 0 {
		return fmt.Errorf("set fault: percent must be 0 to 100 and delayMs not negative")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.seen, s.hit = f, 0, 0
	return nil
}

// Fault returns the current one.
func (s *Switch) Fault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// Meet decides for one request: the fault it meets (Mode none if it is spared),
// with Applied decided.
func (s *Switch) Meet() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fault
	percent := f.Percent
	if percent == 0 {
		percent = 100
	}
	// Evenly spread and the same in every run: request n is hit when the whole
	// part of n*percent/100 grows with it.
	s.seen++
	if f.Mode == None || s.seen*percent/100 == (s.seen-1)*percent/100 {
		return Fault{Mode: None}
	}
	s.hit++
	if f.Applied == nil {
		applied := s.hit%2 == 1
		f.Applied = &applied
	}
	return f
}

// ServeHTTP answers GET with the current fault and sets it by POST.
func (s *Switch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost, http.MethodPut:
		var f Fault
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			http.Error(w, "fault must be a JSON object like {\"mode\":\"down\"}", http.StatusBadRequest)
			return
		}
		if err := s.Set(f); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.Fault()) // a caller that hung up asked for nothing more
}

// Wrap puts the fault before a handler.
func (s *Switch) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := s.Meet()
		switch f.Mode {
		case Down:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"error":{"code":"unavailable","message":"the simulator is switched to down"}}`))
		case Broken:
			if *f.Applied {
				next.ServeHTTP(&unheard{header: http.Header{}}, r)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"error":{"code":"internal","message":"the simulator is switched to broken"}}`))
		case Cut:
			panic(http.ErrAbortHandler)
		case Slow:
			s.Pause(f.delay(3 * time.Second))
			next.ServeHTTP(w, r)
		case Timeout:
			if *f.Applied {
				next.ServeHTTP(&unheard{header: http.Header{}}, r)
			}
			s.Hang(r, f.delay(30*time.Second))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (f Fault) delay(otherwise time.Duration) time.Duration {
	if f.DelayMS == 0 {
		return otherwise
	}
	return time.Duration(f.DelayMS) * time.Millisecond
}

// Pause waits; it ends early only when the simulator closes (then false). A
// caller who hangs up does not end it: a slow provider goes on working.
func (s *Switch) Pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return false
	}
}

// Hang keeps the caller without an answer until it gives up, at most for d, and
// then cuts the connection. It does not return.
func (s *Switch) Hang(r *http.Request, d time.Duration) {
	// net/http notices a caller that hangs up only once the body is read.
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done:
	case <-r.Context().Done():
	}
	panic(http.ErrAbortHandler) // net/http's way to cut a connection quietly
}

// unheard takes an answer nobody will see.
type unheard struct{ header http.Header }

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) Write(p []byte) (int, error) { return len(p), nil }
func (u *unheard) WriteHeader(int)             {}
