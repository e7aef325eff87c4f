// Package nemesis disturbs a running cluster: it kills, pauses and replaces processes, restarts Kafka and
// PostgreSQL, cuts and slows the ways between them and has the outside world fail, by a schedule that
// follows from a seed.
//
// Two lanes each do one fault after the other with a rest between, so one or two things are wrong at a
// time, or nothing. Every lane's faults, their order, aims, holds and rests follow from the seed; how long
// it takes until a process is ready again does not, so two runs of a seed differ in the moments.
package nemesis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// Plan says what Run does.
type Plan struct {
	Seed uint64
	// For is how long new faults begin; the last one ends a little later.
	For time.Duration
	// Rest is the mean pause of a lane between two faults; 0 is 7 s, which makes 6 to 9 faults a minute.
	Rest time.Duration
	// Only restricts the kinds; empty is all of them.
	Only []Kind
	// On is given every fault once it has ended, one at a time; may be nil.
	On func(Fault)
	// Log is told of every fault; nil discards.
	Log *slog.Logger
}

// Fault is one disturbance that happened.
type Fault struct {
	// Ordinal is its number in the seed's schedule.
	Ordinal int  `json:"ordinal"`
	Kind    Kind `json:"kind"`
	// Target is what it hit: "order-1", "order-1 → postgres", "kafka", "provider".
	Target string `json:"target"`
	// Detail is the fault's own figure, such as the delay of a slow link.
	Detail string `json:"detail,omitempty"`
	// Begin and End are when it was done and undone; Ready is when every process concerned said that it is
	// ready again.
	Begin time.Time `json:"begin"`
	End   time.Time `json:"end"`
	Ready time.Time `json:"ready"`
	// Error says what did not work, such as pausing a process that had just ended. Such a fault does not
	// count as done.
	Error string `json:"error,omitempty"`
}

// lanes is how many faults there may be at once.
const lanes = 2

// readyTime is how long undoing a fault may take, until everything concerned is ready again, before that
// is an error: long, as the machine may be busy with other things.
const readyTime = 5 * time.Minute

type nemesis struct {
	cluster *cluster.Cluster
	plan    Plan
	log     *slog.Logger
	claims  *claims
	telling sync.Mutex
}

// Run disturbs the cluster until plan.For has passed or ctx has ended. When it returns every process runs
// and is ready, every way is restored and the outside world works; otherwise the error says what does not.
func Run(ctx context.Context, c *cluster.Cluster, plan Plan) error {
	n := &nemesis{cluster: c, plan: plan, log: plan.Log, claims: newClaims()}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if err := Check(plan.Only); err != nil {
		return err
	}
	running, cancel := context.WithTimeout(ctx, plan.For)
	defer cancel()
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() { n.work(running, lane) })
	}
	wg.Wait()
	healing, done := context.WithTimeout(context.WithoutCancel(ctx), readyTime)
	defer done()
	if err := bounded(healing, n.heal); err != nil {
		return fmt.Errorf("heal the cluster: %w", err)
	}
	return nil
}

// work does a lane's faults until ctx ends.
func (n *nemesis) work(ctx context.Context, lane int) {
	for step := range Schedule(n.plan, lane, n.replicas) {
		if !pause(ctx, step.Rest) {
			return
		}
		a := n.act(step)
		if !n.claims.take(ctx, a.claims) {
			return
		}
		fault := n.do(ctx, step, a)
		n.claims.give(a.claims)
		n.tell(fault)
	}
}

func (n *nemesis) replicas(service string) int { return len(n.cluster.Replicas(service)) }

// do is one fault from its beginning until everything concerned is ready again. It undoes what it did
// also when ctx has ended.
func (n *nemesis) do(ctx context.Context, step Step, a act) Fault {
	fault := Fault{Ordinal: step.Ordinal, Kind: step.Kind, Target: a.target, Detail: a.detail, Begin: time.Now().UTC()}
	n.log.Info("fault begins", "ordinal", fault.Ordinal, "kind", fault.Kind, "target", fault.Target, "detail", fault.Detail)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTime)
	defer cancel()
	err := bounded(after, a.begin)
	if err == nil {
		pause(ctx, step.Hold)
	}
	err = errors.Join(err, bounded(after, n.undo(a)))
	fault.End = time.Now().UTC()
	for _, p := range a.ready {
		err = errors.Join(err, p.Ready(after))
	}
	fault.Ready = time.Now().UTC()
	if err != nil {
		fault.Error = err.Error()
	}
	return fault
}

// undo tries a fault's end until it succeeds: a broker that did not come up in time must not stay away
// for the rest of the run.
func (n *nemesis) undo(a act) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			err := a.end(ctx)
			if err == nil || !pause(ctx, second) {
				return err
			}
			n.log.Warn("undoing a fault failed, trying again", "target", a.target, "error", err)
		}
	}
}

func (n *nemesis) tell(f Fault) {
	n.telling.Lock()
	defer n.telling.Unlock()
	n.log.Info("fault ended", "ordinal", f.Ordinal, "kind", f.Kind, "target", f.Target,
		"held", f.End.Sub(f.Begin).Round(time.Millisecond), "ready", f.Ready.Sub(f.End).Round(time.Millisecond), "error", f.Error)
	if n.plan.On != nil {
		n.plan.On(f)
	}
}

// heal undoes whatever may be left, of faults whose end failed too.
func (n *nemesis) heal(ctx context.Context) error {
	c := n.cluster
	var errs []error
	if c.Kafka().Paused() {
		errs = append(errs, c.Kafka().Resume())
	}
	errs = append(errs, c.Kafka().Start(ctx), c.Postgres().Start(ctx))
	for _, service := range cluster.Services() {
		for _, p := range c.Replicas(service) {
			for _, target := range cluster.Targets(service) {
				if l := c.Link(service, p.Replica, target); l != nil {
					errs = append(errs, l.Restore())
				}
			}
			if p.Paused() {
				errs = append(errs, p.Resume())
			}
			errs = append(errs, p.Start())
		}
	}
	for _, w := range worlds {
		errs = append(errs, n.switchFault(ctx, w, outsideFault{Mode: "none"}))
	}
	errs = append(errs, c.Ready(ctx))
	return errors.Join(errs...)
}

// bounded gives up on what does not come back: one stuck fault must not end the whole run.
func bounded(ctx context.Context, f func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stuck: %w", ctx.Err())
	}
}

// pause waits; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// claims keeps two lanes from the same thing: a way that is disturbed while the process at its end is
// paused could not be restored, and a fault that undoes another's is no fault.
type claims struct {
	mu    sync.Mutex
	taken map[string]bool
	freed chan struct{} // closed, and made anew, whenever something is given back
}

func newClaims() *claims { return &claims{taken: map[string]bool{}, freed: make(chan struct{})} }

// take waits until all names are free and takes them; false means that ctx ended first.
func (c *claims) take(ctx context.Context, names []string) bool {
	for {
		c.mu.Lock()
		free := true
		for _, name := range names {
			free = free && !c.taken[name]
		}
		if free {
			for _, name := range names {
				c.taken[name] = true
			}
			c.mu.Unlock()
			return true
		}
		freed := c.freed
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return false
		case <-freed:
		}
	}
}

func (c *claims) give(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		delete(c.taken, name)
	}
	close(c.freed)
	c.freed = make(chan struct{})
}
