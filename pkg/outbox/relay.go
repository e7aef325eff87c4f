package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Config says what a relay reads, where it sends, and how it paces itself. Zero values take the
// defaults named; DatabaseURL and Kafka are required.
type Config struct {
	// DatabaseURL is the service's database. The relay opens one connection of its own: the election
	// is a lock of that connection, so it must not come from a pool, nor through a pooler that gives
	// a session to several clients (PgBouncer in transaction mode).
	DatabaseURL string
	// Kafka is how the brokers are reached: seed brokers, TLS, SASL, client id, metrics hooks. The
	// relay adds what its promise of order depends on, and that wins. No hook may write headers:
	// the stored traceparent is the one of the request that caused the event.
	Kafka []kgo.Opt
	// Partitions is how many the topics were made with; required. A key's partition is one of these, also where a topic has
	// more by now.
	Partitions int32
	// Log gets one line per change of state or failure; slog.Default() if nil.
	Log *slog.Logger
	// Registerer gets the metrics while Run runs; nil for none. Wrap it with a service label where
	// several services share a registry.
	Registerer prometheus.Registerer
	// BatchMax is the most rows read at once: 2,000. (A read also ends at about 960 KB.)
	BatchMax int
	// Pace is the least time between the starts of two reads unless the former was full: 20 ms. A
	// lone event never waits for it, a busy service does not read for every single one.
	Pace time.Duration
	// Poll is how often the table is read without being woken, for rows of other replicas: 500 ms.
	Poll time.Duration
	// Standby is how often a relay that is not elected asks again: 1 s.
	Standby time.Duration
	// Stall is how long the brokers may leave a batch unanswered before this relay gives up its
	// election, in case another replica still reaches them: 30 s.
	Stall time.Duration
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.BatchMax == 0 {
		c.BatchMax = 2000
	}
	defaults := []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Pace, 20 * time.Millisecond}, {&c.Poll, 500 * time.Millisecond}, {&c.Standby, time.Second}, {&c.Stall, 30 * time.Second}}
	for _, d := range defaults {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// Relay carries the rows of one database's outbox to Kafka. Every replica of a service runs one; one of
// them is elected and works, the others stand by. The election saves work, order does not need it (see
// the package's documentation).
type Relay struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	wake    chan struct{}
	ready   atomic.Bool

	surveyed  time.Time // when dead rows were last counted; only Run's goroutine looks
	started   atomic.Bool
	drain     chan struct{} // closed by Drain: end when there is nothing left
	drainOnce sync.Once
	done      chan struct{} // closed when Run has returned
	stop      context.CancelCauseFunc
	stopping  context.Context

	// at is called at the points where a machine may pause; tests stop relays there.
	at func(context.Context, point)
}

// point is a moment between two steps of a relay.
type point int

const (
	afterRead    point = iota // rows are read, nothing is sent
	beforeDelete              // everything is acknowledged, nothing is deleted
)

var (
	errDrained = errors.New("drained")
	errStalled = errors.New("brokers did not answer, giving up the election")
)

// NewRelay checks cfg and returns a relay that does nothing until Run.
func NewRelay(cfg Config) (*Relay, error) {
	cfg = cfg.withDefaults()
	if len(cfg.Kafka) == 0 {
		return nil, errors.New("outbox relay: no Kafka options: at least the seed brokers are needed")
	}
	if cfg.Partitions < 1 {
		return nil, errors.New("outbox relay: Partitions: at least 1")
	}
	if cfg.Poll >= sessionIdle/2 {
		return nil, fmt.Errorf("outbox relay: Poll is %v: must be below %v, or its connection counts as dead", cfg.Poll, sessionIdle/2)
	}
	if cfg.Standby >= sessionIdle/2 {
		return nil, fmt.Errorf("outbox relay: Standby is %v: must be below %v, or its connection counts as dead", cfg.Standby, sessionIdle/2)
	}
	if cfg.BatchMax < 1 {
		return nil, fmt.Errorf("outbox relay: BatchMax is %d: must be at least 1", cfg.BatchMax)
	}
	if _, err := connConfig(cfg.DatabaseURL); err != nil {
		return nil, fmt.Errorf("outbox relay: %w", err)
	}
	if err := kgo.ValidateOpts(producerOpts(cfg)...); err != nil {
		return nil, fmt.Errorf("outbox relay: Kafka options: %w", err)
	}
	stopping, stop := context.WithCancelCause(context.Background())
	return &Relay{
		cfg:      cfg,
		log:      cfg.Log.With("component", "outbox relay"),
		metrics:  newMetrics(),
		wake:     make(chan struct{}, 1),
		drain:    make(chan struct{}),
		done:     make(chan struct{}),
		stop:     stop,
		stopping: stopping,
		at:       func(context.Context, point) {},
	}, nil
}

// Wake says that rows may have been committed. It never blocks; call it after every COMMIT that
// appended. Calls while the relay is busy are one call.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Ready reports whether the relay has its connection and is elected or standing by.
func (r *Relay) Ready() bool { return r.ready.Load() }

// Run works until ctx ends or Drain is called, and then returns nil; it reconnects and asks for
// election again for as long as it takes. The only error is one of registering the metrics. Run may be
// called once.
func (r *Relay) Run(ctx context.Context) error {
	if r.started.Swap(true) {
		return errors.New("outbox relay: Run was called twice")
	}
	defer close(r.done)
	if reg := r.cfg.Registerer; reg != nil {
		if err := reg.Register(r.metrics); err != nil {
			return fmt.Errorf("register outbox metrics: %w", err)
		}
		defer reg.Unregister(r.metrics)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.stopping, cancel)()

	var failures backoff
	for ctx.Err() == nil {
		err := r.term(ctx)
		if r.ready.Swap(false) {
			failures.reset() // the database answered: this is a new trouble
		}
		if errors.Is(err, errDrained) || ctx.Err() != nil {
			break
		}
		wait := failures.next()
		if errors.Is(err, errStalled) {
			r.metrics.errors.WithLabelValues("stalled").Inc()
			wait += 2 * r.cfg.Standby // let another replica win: it may reach the brokers
		}
		r.log.WarnContext(ctx, "relay lost its term, trying again", "error", err, "in", wait)
		if r.sleep(ctx, wait) != nil {
			break
		}
	}
	return nil
}

// Drain lets the relay publish what is committed, and returns once Run has returned. A relay that
// stands by ends at once. When ctx ends first, Run is stopped where it is and Drain returns ctx's
// error: what is left goes out after the next start, or by another replica.
func (r *Relay) Drain(ctx context.Context) error {
	r.drainOnce.Do(func() { close(r.drain) })
	if !r.started.Load() {
		return nil
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
	}
	r.stop(ctx.Err())
	<-r.done // short: nothing Run waits for outlives its context
	return fmt.Errorf("drain outbox: %w", ctx.Err())
}

func (r *Relay) draining() bool {
	select {
	case <-r.drain:
		return true
	default:
		return false
	}
}

// sleep waits for d, or for the end of ctx (an error) or the beginning of draining (errDrained).
// Nobody whom sleep delays has anything to send.
func (r *Relay) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.drain:
		return errDrained
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backoff counts failures in a row: 100 ms, doubling up to 3 s, with up to a quarter taken off so that
// replicas do not keep step. The most is below sessionIdle: a relay that waits stays elected.
type backoff int

func (b *backoff) next() time.Duration {
	d := min(100*time.Millisecond<<min(*b, 10), 3*time.Second)
	*b++
	return d - rand.N(d/4)
}

func (b *backoff) reset() { *b = 0 }
