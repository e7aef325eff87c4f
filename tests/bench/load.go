package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Load says how many orders come, and how.
type Load struct {
	Orders int `json:"orders"`
	// Rate is how many arrive in a second, on average, at random moments (a Poisson process) that do not wait for
	// answers; 0 is as many as Window lets in.
	Rate float64 `json:"rate"`
	// Window is how many may be placed and not final yet (with Accepted: not accepted yet); 0 is any number.
	Window int `json:"window"`
	// Accepted ends the load when everything is accepted: nobody waits for the ends.
	Accepted bool `json:"accepted"`
	// Products is over how many they spread. First is the number of the first of them.
	Products int `json:"products"`
	First    int `json:"first"`
	// Seed of the choices.
	Seed uint64 `json:"seed"`
}

// Outcome is what became of a load.
type Outcome struct {
	Orders    int `json:"orders"`
	Completed int `json:"completed"`
	Cancelled int `json:"cancelled"`
	Refused   int `json:"refused"`
	// Seconds from the first arrival to the last order's end, as a subscriber of order.v1 sees it. AtRest is until all
	// services have read all events and made all calls as well.
	Seconds float64 `json:"seconds"`
	AtRest  float64 `json:"seconds_to_rest"`
	// PerSecond counts the orders that came to their end.
	PerSecond       float64 `json:"per_second"`
	PerSecondAtRest float64 `json:"per_second_to_rest"`
	// Accepted is from arrival to the answer, Final from arrival to the end.
	Accepted Latency  `json:"accepted_ms"`
	Final    Latency  `json:"final_ms"`
	Errors   []string `json:"errors,omitempty"`
}

// rest notes when everything was at rest.
func (o *Outcome) rest(after time.Duration) {
	o.AtRest = after.Seconds()
	o.PerSecondAtRest = float64(o.Completed+o.Cancelled) / o.AtRest
}

// placer places one order and returns its id. The number picks product, member and connection.
type placer func(ctx context.Context, n int, product int, rng *rand.Rand) (orderID string, err error)

// placed is one order of a load.
type placed struct {
	id      string
	arrived time.Time
	took    time.Duration
	err     error
}

// run offers the load and waits until all that was accepted has come to its end, as the tracker sees it.
func (l Load) run(ctx context.Context, t *Tracker, window *window, place placer, say func(done, total int)) (Outcome, error) {
	rng := rand.New(rand.NewPCG(l.Seed, 1))
	all := make([]placed, l.Orders)
	var answers sync.WaitGroup
	var answered atomic.Int64
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	begin := time.Now()
	next := begin
	for i := range all {
		if l.Rate > 0 {
			// The moment of arrival counts, whether this loop is in time or not: or the slow answers would delay
			// the arrivals after them, and be measured once instead of many times.
			next = next.Add(time.Duration(rng.ExpFloat64() / l.Rate * float64(time.Second)))
			if err := sleep(ctx, time.Until(next)); err != nil {
				return Outcome{}, err
			}
		}
		if err := window.enter(ctx, l.Window); err != nil {
			return Outcome{}, err
		}
		if l.Rate == 0 {
			next = time.Now()
		}
		p, product, seed := &all[i], l.First+rng.IntN(max(1, l.Products)), rng.Uint64()
		p.arrived = next
		answers.Go(func() {
			p.id, p.err = place(ctx, i, product, rand.New(rand.NewPCG(seed, 2)))
			p.took = time.Since(p.arrived)
			answered.Add(1)
			if p.err != nil || l.Accepted {
				window.leave()
			}
		})
		select {
		case <-ticker.C:
			say(i, l.Orders)
		default:
		}
	}
	answers.Wait()
	if l.Accepted {
		return accepted(all, begin), nil
	}
	return l.await(ctx, t, all, begin)
}

// accepted is the outcome of a load that ends there.
func accepted(all []placed, begin time.Time) Outcome {
	o := Outcome{Orders: len(all), Seconds: time.Since(begin).Seconds()}
	var took []time.Duration
	for i := range all {
		if all[i].err != nil {
			o.Refused++
			continue
		}
		took = append(took, all[i].took)
	}
	o.PerSecond = ratio(float64(len(took)), o.Seconds)
	o.Accepted = latencyOf(took)
	return o
}

// await waits for the end of all.
func (l Load) await(ctx context.Context, t *Tracker, all []placed, begin time.Time) (Outcome, error) {
	o := Outcome{Orders: len(all)}
	var accepted, final []time.Duration
	last := begin
	for i := range all {
		p := &all[i]
		if p.err != nil {
			o.Refused++
			if len(o.Errors) < 5 {
				o.Errors = append(o.Errors, p.err.Error())
			}
			continue
		}
		accepted = append(accepted, p.took)
		at, completed, err := t.await(ctx, p.id)
		if err != nil {
			return o, err
		}
		if completed {
			o.Completed++
		} else {
			o.Cancelled++
		}
		final = append(final, at.Sub(p.arrived))
		if at.After(last) {
			last = at
		}
	}
	o.Seconds = last.Sub(begin).Seconds()
	o.PerSecond = ratio(float64(o.Completed+o.Cancelled), o.Seconds)
	o.Accepted, o.Final = latencyOf(accepted), latencyOf(final)
	return o, nil
}

// errLate says that an order has not come to its end in a time that is beyond every deadline.
var errLate = errors.New("not final after two minutes")

func (t *Tracker) await(ctx context.Context, id string) (time.Time, bool, error) {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		if at, completed, ok := t.End(id); ok {
			return at, completed, nil
		}
		if err := t.Err(); err != nil {
			return time.Time{}, false, fmt.Errorf("follow the orders: %w", err)
		}
		if time.Now().After(deadline) {
			return time.Time{}, false, fmt.Errorf("order %s: %w", id, errLate)
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return time.Time{}, false, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// window counts the orders that are placed and not final.
type window struct {
	mu    sync.Mutex
	free  *sync.Cond
	under int
}

func newWindow() *window {
	w := &window{}
	w.free = sync.NewCond(&w.mu)
	return w
}

func (w *window) enter(ctx context.Context, most int) error {
	// Under the lock: between the look at ctx and the wait nobody would hear it.
	defer context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.free.Broadcast()
	})()
	w.mu.Lock()
	defer w.mu.Unlock()
	for most > 0 && w.under >= most && ctx.Err() == nil {
		w.free.Wait()
	}
	w.under++
	return ctx.Err()
}

// reset forgets who left without having entered.
func (w *window) reset() {
	w.mu.Lock()
	w.under = 0
	w.mu.Unlock()
}

func (w *window) leave() {
	w.mu.Lock()
	w.under--
	w.mu.Unlock()
	w.free.Signal()
}
