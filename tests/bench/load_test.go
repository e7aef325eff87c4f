package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// shopkeeper places orders in a time and brings them to their ends, as the tracker would have seen it. Time is that
// of a synctest bubble.
type shopkeeper struct {
	tracker *Tracker
	window  *window
	// takes is how long an order is waited for, ends how long after that it is final.
	takes, ends time.Duration
	refuse      func(n int) bool
	cancel      func(n int) bool

	mu       sync.Mutex
	products map[int]int
	under    atomic.Int64
	most     int64
}

func newShopkeeper() *shopkeeper {
	return &shopkeeper{
		tracker: &Tracker{ended: map[string]end{}}, window: newWindow(), products: map[int]int{},
		refuse: func(int) bool { return false }, cancel: func(int) bool { return false },
	}
}

var errSoldOut = errors.New("sold out")

func (s *shopkeeper) place(_ context.Context, n, product int, _ *rand.Rand) (string, error) {
	s.mu.Lock()
	s.products[product]++
	s.most = max(s.most, s.under.Add(1))
	s.mu.Unlock()
	<-time.After(s.takes)
	if s.refuse(n) {
		s.under.Add(-1)
		return "", errSoldOut
	}
	id := fmt.Sprint("order-", n)
	time.AfterFunc(s.ends, func() {
		s.tracker.mu.Lock()
		s.tracker.ended[id] = end{time.Now(), !s.cancel(n)}
		s.tracker.mu.Unlock()
		s.under.Add(-1)
		s.window.leave()
	})
	return id, nil
}

func (s *shopkeeper) run(t *testing.T, l Load) Outcome {
	t.Helper()
	o, err := l.run(t.Context(), s.tracker, s.window, s.place, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Orders arrive when they arrive, whether there is an answer to the ones before or not, and are measured from then:
// behind a window that is full each one waits longer than the one before, and that is seen.
func TestAnOpenLoopCountsFromTheArrival(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShopkeeper()
		s.takes, s.ends = 40*time.Millisecond, 60*time.Millisecond
		// One at a time, a tenth of a second each: ten a second, while a hundred come.
		o := s.run(t, Load{Orders: 50, Rate: 100, Window: 1, Products: 1, Seed: 7})
		if o.Completed != 50 || s.most != 1 {
			t.Fatalf("%d are completed, %d at once: want 50 and 1", o.Completed, s.most)
		}
		if o.Seconds < 4.9 || o.Seconds > 5.3 {
			t.Errorf("took %.2f s: want 5", o.Seconds)
		}
		if o.Final.Max < 4000 || o.Accepted.Max < 3900 || o.Final.P50 < 1500 {
			t.Errorf("the longest waits were %.0f and %.0f ms, half of them over %.0f: want those of orders that came 4 s before their turn",
				o.Accepted.Max, o.Final.Max, o.Final.P50)
		}
	})
}

// Without a window nobody waits for anybody.
func TestAnOpenLoopDoesNotWaitForAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShopkeeper()
		s.takes, s.ends = 10*time.Second, 5*time.Second
		o := s.run(t, Load{Orders: 1000, Rate: 100, Products: 10, First: 100, Seed: 7})
		if o.Seconds < 15+8 || o.Seconds > 15+12 {
			t.Errorf("took %.2f s: want the ten of the arrivals and fifteen of the last order", o.Seconds)
		}
		if o.Accepted.P50 != 10_000 || o.Final.P50 < 15_000 || o.Final.Max > 15_010 {
			t.Errorf("accepted in %v, final in %v: want 10 s and 15 s", o.Accepted, o.Final)
		}
		for product, n := range s.products {
			if product < 100 || product > 109 || n < 50 || n > 200 {
				t.Errorf("%d orders of product %d: want about a hundred of each of ten from 100 on", n, product)
			}
		}
	})
}

// As fast as the window lets them in: the wait for the window is the load's own, and not measured.
func TestAClosedLoopCountsFromTheEntry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShopkeeper()
		s.takes, s.ends = 40*time.Millisecond, 60*time.Millisecond
		s.refuse = func(n int) bool { return n%10 == 3 }
		s.cancel = func(n int) bool { return n%10 == 4 }
		o := s.run(t, Load{Orders: 200, Window: 20, Products: 1, Seed: 7})
		if o.Completed != 160 || o.Cancelled != 20 || o.Refused != 20 || s.most != 20 {
			t.Errorf("%d completed, %d cancelled, %d refused, %d at once: want 160, 20, 20, 20", o.Completed, o.Cancelled, o.Refused, s.most)
		}
		if o.Accepted.Max != 40 || o.Final.Max < 100 || o.Final.Max > 105 {
			t.Errorf("accepted in %v, final in %v: want 40 and 100 ms", o.Accepted, o.Final)
		}
		if got := o.PerSecond * o.Seconds; got < 179.99 || got > 180.01 {
			t.Errorf("%.1f a second for %.2f s are not the 180 that came to an end", o.PerSecond, o.Seconds)
		}
		if len(o.Errors) != 5 || !strings.Contains(o.Errors[0], errSoldOut.Error()) {
			t.Errorf("errors are %q: want the first five", o.Errors)
		}
	})
}

// What is only to be accepted leaves its window then, and nobody waits for its end.
func TestALoadToBeAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShopkeeper()
		s.takes, s.ends = 100*time.Millisecond, time.Hour
		o := s.run(t, Load{Orders: 50, Window: 5, Accepted: true, Products: 1, Seed: 7})
		if o.Seconds < .99 || o.Seconds > 1.05 || o.Accepted.Max != 100 {
			t.Errorf("took %.2f s, accepted in %v: want five at a time, a second in all", o.Seconds, o.Accepted)
		}
	})
}

// A load of which nothing is accepted has a result that can be written.
func TestALoadThatIsRefusedWhole(t *testing.T) {
	t.Parallel()
	for _, accepted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newShopkeeper()
			s.refuse = func(int) bool { return true }
			o := s.run(t, Load{Orders: 10, Window: 3, Accepted: accepted})
			if o.Refused != 10 || o.PerSecond != 0 {
				t.Errorf("outcome is %+v: want ten refusals and no rate", o)
			}
			if _, err := json.Marshal(o); err != nil {
				t.Error(err)
			}
		})
	}
}

// A load that is told to stop stops, also where it waits for a window that nobody leaves.
func TestALoadStops(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]Load{
		"at the window":       {Orders: 10, Window: 1},
		"between two orders":  {Orders: 10, Rate: .001},
		"waiting for the end": {Orders: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShopkeeper()
				s.ends = time.Hour
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := l.run(ctx, s.tracker, s.window, s.place, func(int, int) {}); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("ended with %v: want to be told that its time was over", err)
				}
			})
		})
	}
}

// An order that never comes to its end is an error, and so is a subscription that failed.
func TestALoadSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShopkeeper()
		s.ends = time.Hour
		if _, err := (Load{Orders: 1}).run(t.Context(), s.tracker, s.window, s.place, nil); !errors.Is(err, errLate) {
			t.Errorf("ended with %v: want %v", err, errLate)
		}
		s.tracker.reason = errSoldOut
		if _, err := (Load{Orders: 1}).run(t.Context(), s.tracker, s.window, s.place, nil); !errors.Is(err, errSoldOut) {
			t.Errorf("ended with %v: want the tracker's error", err)
		}
	})
}

func TestLatencyOf(t *testing.T) {
	t.Parallel()
	if got := latencyOf(nil); got != (Latency{}) {
		t.Errorf("of nothing: %v", got)
	}
	if got := latencyOf([]time.Duration{1500 * time.Microsecond}); got != (Latency{1.5, 1.5, 1.5, 1.5}) {
		t.Errorf("of one: %v", got)
	}
	var all []time.Duration
	for i := range 1000 {
		all = append(all, time.Duration(1000-i)*time.Millisecond)
	}
	if got := latencyOf(all); got != (Latency{P50: 501, P95: 951, P99: 991, Max: 1000}) {
		t.Errorf("of a thousand: %v", got)
	}
}
