// Package engine runs a service's declared part of the choreography: whole batches of events,
// commands, answers and deadlines go through Load, decide and Save in one transaction each.
//
// Kafka delivers at least once and a partition can have two owners for a moment, so PostgreSQL is the
// only truth: the fence says how far a partition is dealt with, the inbox which events were, and the
// subject's lock serialises everything about one order. Whatever happens between any two statements,
// running the same batch again is right: what had committed is recognised, what had not, had not.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// Store is a service's SQL: whole batches in, whole batches out.
type Store[W any] interface {
	// Load brings every row the inputs need, locked, with one statement per table and in key order.
	// The subjects of the inputs are locked already.
	Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*W, error)
	// Save queues what writes the changes, with one statement per table, in the same order of tables. They go out with
	// COMMIT, so what must not be committed has to be an error of a statement, a constraint for example.
	Save(b *pg.Batch, w *W) error
}

// Config is what an engine needs. Definition, Store, Pool and Kafka are required.
type Config[W any] struct {
	Definition *flow.Definition[W]
	Store      Store[W]
	Pool       *pgxpool.Pool
	Kafka      kafka.Config
	// Wake is called after every COMMIT that may have written to the outbox; see outbox.Relay.Wake.
	Wake func()
	// Callers make the calls outside, by kind.
	Callers map[string]Caller
	// Due lists deadlines that have passed by the database's clock, at most limit. It claims nothing.
	Due func(ctx context.Context, pool *pgxpool.Pool, limit int) ([]flow.Command, error)
	// NoInbox is for services whose own rows recognise a repeated event (the gateway's timeline has
	// the event id as its key, the mailer one row per order and kind).
	NoInbox bool
	// SideBySide is for services to which each event is a fact of its own (an archive): two events of one subject may
	// be decided on at the same moment, so there is no row per subject, and none is locked. Their decisions on
	// events emit nothing and ask for no calls. What is parked still waits in its order.
	SideBySide bool

	Log        *slog.Logger
	Registerer prometheus.Registerer
	Tracer     trace.Tracer
	Tuning     Tuning
}

// Tuning holds the numbers. The zero value of each means its default.
type Tuning struct {
	BatchMax        int             // most records of one transaction: 2,000
	Pace            time.Duration   // least time between the starts of two batches: 20 ms
	Relaxed         time.Duration   // the same where nobody waits for any of it: 250 ms
	SessionTime     time.Duration   // group session timeout: 10 s
	Sweep           time.Duration   // how often deadlines, due calls and due replays are looked for: 500 ms
	CallTimeout     time.Duration   // longest an outside call may take: 10 s
	CallLease       time.Duration   // how long a claimed call is the worker's: 15 s; a call lost with its worker is made again then
	CallSlots       int             // calls under way at once: 128
	Retries         []time.Duration // when a parked subject is tried again by itself: 1 min, 10 min, 1 h
	ParkedPerMinute int             // more than this many parked in a minute stop the partition: 20
	KeepInbox       time.Duration   // 14 days; longer than topics and failures are kept
	KeepCommands    time.Duration   // 24 h
}

func (t Tuning) withDefaults() Tuning {
	if t.BatchMax == 0 {
		t.BatchMax = 2000
	}
	if t.CallSlots == 0 {
		t.CallSlots = 128
	}
	if t.ParkedPerMinute == 0 {
		t.ParkedPerMinute = 20
	}
	if t.Retries == nil {
		t.Retries = []time.Duration{time.Minute, 10 * time.Minute, time.Hour}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Pace, 20 * time.Millisecond},
		{&t.Relaxed, 250 * time.Millisecond},
		{&t.SessionTime, 10 * time.Second},
		{&t.Sweep, 500 * time.Millisecond},
		{&t.CallTimeout, 10 * time.Second},
		{&t.CallLease, 15 * time.Second},
		{&t.KeepInbox, 14 * 24 * time.Hour},
		{&t.KeepCommands, 24 * time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// Engine runs one service's definition.
type Engine[W any] struct {
	cfg      Config[W]
	tuning   Tuning
	log      *slog.Logger
	metrics  *metrics
	lane     *lane[W]
	consumer *consumer[W]
	worker   *worker[W]
	habit    habit

	fatal chan error
}

// New makes an engine; Run starts it.
func New[W any](cfg Config[W]) (*Engine[W], error) {
	if cfg.Definition == nil || cfg.Store == nil || cfg.Pool == nil {
		return nil, errors.New("engine: Definition, Store and Pool are required")
	}
	for _, edge := range cfg.Definition.Topology().Edges {
		for _, kind := range edge.Calls {
			if cfg.Callers[kind] == nil {
				return nil, fmt.Errorf("engine: %s asks for calls %q, and nothing makes them", edge.Func, kind)
			}
		}
	}
	if err := sideBySide(cfg); err != nil {
		return nil, err
	}
	if t := cfg.Tuning.withDefaults(); t.CallLease <= t.CallTimeout {
		return nil, fmt.Errorf("engine: CallLease %s must be longer than CallTimeout %s, or no call could be sent within its claim", t.CallLease, t.CallTimeout)
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Wake == nil {
		cfg.Wake = func() {}
	}
	e := &Engine[W]{
		cfg: cfg, tuning: cfg.Tuning.withDefaults(), log: cfg.Log.With("part", "engine"),
		fatal: make(chan error, 1),
	}
	e.metrics = newMetrics(cfg.Registerer)
	e.lane = newLane(e)
	e.worker = newWorker(e)
	e.consumer = newConsumer(e)
	return e, nil
}

// sideBySide refuses a service whose events need a number or a cause: both are kept in the subject's row.
func sideBySide[W any](cfg Config[W]) error {
	if !cfg.SideBySide {
		return nil
	}
	for _, edge := range cfg.Definition.Topology().Edges {
		if edge.Kind == flow.KindEvent && len(edge.Emits)+len(edge.Calls) > 0 {
			return fmt.Errorf("engine: %s emits events or asks for calls, which needs its subject's row: not with SideBySide", edge.Func)
		}
	}
	return nil
}

// Run works until ctx ends, then stops in order: the command lane finishes what it has taken, the
// consumer its batch, the workers their calls. It returns the error that stopped it, nil for ctx.
func (e *Engine[W]) Run(ctx context.Context) error {
	if err := e.prepareInbox(ctx); err != nil {
		return err
	}
	// Each part has its own context, so that they can be stopped one after the other.
	var stops []func()
	start := func(run func(context.Context) error) {
		partCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := run(partCtx); err != nil {
				e.fail(err)
			}
		})
		stops = append(stops, func() { cancel(); wg.Wait() })
	}
	start(e.maintain)
	start(e.lane.run)
	start(e.worker.run)
	start(e.consumer.run)
	start(e.sweep)

	var err error
	select {
	case <-ctx.Done():
	case err = <-e.fatal:
	}
	// Last started, first stopped: no new deadlines, then no new events, then answers still get in
	// through the lane while the workers finish, and the lane goes after them.
	for i := len(stops) - 1; i >= 0; i-- {
		stops[i]()
	}
	return err
}

// fail stops Run with err; the first one counts.
func (e *Engine[W]) fail(err error) {
	select {
	case e.fatal <- err:
	default:
	}
}

// Ready says what the engine still waits for; nil when it works.
func (e *Engine[W]) Ready() error {
	if !e.consumer.joined.Load() {
		return errors.New("consumer has not joined its group yet")
	}
	return nil
}
