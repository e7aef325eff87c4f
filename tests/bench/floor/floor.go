package floor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says what to write and where.
type Config struct {
	// Database is the URL of a database of a superuser; databases with names that begin with Prefix are
	// made beside it, and stay.
	Database string
	// Brokers is host:port of each; topics with names that begin with Prefix are made there, and stay.
	Brokers []string
	Prefix  string
	// Orders to write, after Warmup others that are not measured.
	Orders, Warmup int
	// Seed of everything random.
	Seed uint64
	// Batch is how many orders a transaction writes; 0 is DefaultBatch.
	Batch int
	// Products and Members the orders are spread over, at random unless there is one for each order; 0 is
	// 1,000.
	Products, Members int
	// Partitions of every topic; 0 is 12.
	Partitions int32
	// GatewayTouches is in how many transactions the gateway files an order's five events: from 5, where each
	// comes alone, to 1. OrderTouches is in how many order takes the three answers to an order: 3, or 2. How
	// much the real ones gather depends on the load: whoever compares, sets what was counted there (updates of
	// order_line for an order, plus one; updates of orders). 0 is the default of each.
	GatewayTouches, OrderTouches int
	// Traced orders carry a traceparent, as those that come through the API do.
	Traced bool
	// Progress is told once a second how many orders of how many are done; may be nil.
	Progress func(done, total int)
}

// Defaults of Config.
const (
	// DefaultBatch of orders.
	DefaultBatch = 500
	// DefaultGatewayTouches and DefaultOrderTouches are for whoever has not counted: the real ones were seen to do
	// with 1 to 4, and with 2.5 to 3.
	DefaultGatewayTouches = 2
	DefaultOrderTouches   = 3
)

func (c Config) withDefaults() Config {
	c.Batch, c.Products, c.Members = cmp.Or(c.Batch, DefaultBatch), cmp.Or(c.Products, 1_000), cmp.Or(c.Members, 1_000)
	c.GatewayTouches = cmp.Or(c.GatewayTouches, DefaultGatewayTouches)
	c.OrderTouches = cmp.Or(c.OrderTouches, DefaultOrderTouches)
	c.Partitions = cmp.Or(c.Partitions, 12)
	return c
}

func (c Config) check() error {
	switch {
	case c.Database == "" || len(c.Brokers) == 0 || c.Prefix == "":
		return errors.New("a database, brokers and a prefix are needed")
	case c.Orders < 1 || c.Warmup < 0:
		return errors.New("at least one order, and no negative number of others")
	case c.Batch < 1 || c.Products < 1 || c.Members < 1 || c.Partitions < 1:
		return errors.New("a batch, products, members and partitions: at least one each")
	case c.GatewayTouches < 1 || c.GatewayTouches > events:
		return fmt.Errorf("gateway touches: from 1 to %d", events)
	case c.OrderTouches < 2 || c.OrderTouches > 3:
		return errors.New("order touches: 2 or 3")
	}
	return nil
}

// Latency of orders, in milliseconds, from when an order's batch is handed out to when its last row is
// committed and its last record acknowledged. The floor runs as full as it can, so these are of its queues.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// Result of a run.
type Result struct {
	Name   string `json:"name"`
	Orders int    `json:"orders"`
	// Seconds from when the first measured order was handed out to when the last one was done.
	Seconds   float64           `json:"seconds"`
	PerSecond float64           `json:"per_second"`
	Warmup    int               `json:"warmup_orders"`
	Settings  map[string]string `json:"settings"`
	Latency   Latency           `json:"latency_ms"`
	// Checks are rows and records counted at the end, warm-up included.
	Checks map[string]int64 `json:"checks"`
}

// Run writes and counts. A count that is not what it has to be is an error.
func Run(ctx context.Context, cfg Config) (Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return Result{}, fmt.Errorf("floor: %w", err)
	}
	services := plan(cfg)
	if err := makeTopics(ctx, cfg); err != nil {
		return Result{}, fmt.Errorf("floor: %w", err)
	}
	urls, err := databases(ctx, cfg, services)
	if err != nil {
		return Result{}, fmt.Errorf("floor: %w", err)
	}
	r := &run{cfg: cfg, maker: newMaker(cfg)}
	defer r.close()
	for _, s := range services {
		c, err := newChain(ctx, cfg, s, urls[s.name])
		if err != nil {
			return Result{}, fmt.Errorf("floor: %s: %w", s.name, err)
		}
		r.chains = append(r.chains, c)
		r.shares += 1 + s.publishes()
	}
	if err := r.write(ctx); err != nil {
		return Result{}, fmt.Errorf("floor: %w", err)
	}
	result := r.result()
	if result.Checks, err = count(ctx, cfg, urls); err != nil {
		return Result{}, fmt.Errorf("floor: %w", err)
	}
	return result, nil
}

// run is one run under way.
type run struct {
	cfg    Config
	maker  *maker
	chains []*chain
	// shares is how many times done is called for a batch: once by every chain and for every relay's turn.
	shares int32

	finished atomic.Int64 // orders

	mu    sync.Mutex
	begun time.Time // of the first measured batch
	ended time.Time // of the last one
	took  []span
}

// span is how long a batch's orders took.
type span struct {
	took   time.Duration
	orders int
}

func (r *run) close() {
	for _, c := range r.chains {
		c.close()
	}
}

// write hands out all batches and waits until they are done.
func (r *run) write(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range r.chains {
		c.run(ctx, g, r.done)
	}
	g.Go(func() error {
		defer func() {
			for _, c := range r.chains {
				close(c.stages[0].in)
			}
		}()
		if err := r.hand(ctx, r.cfg.Warmup); err != nil {
			return err
		}
		if err := r.settled(ctx); err != nil {
			return err
		}
		r.mu.Lock()
		r.begun, r.took = time.Now(), nil
		r.mu.Unlock()
		return r.hand(ctx, r.cfg.Orders)
	})
	told, stop := context.WithCancel(ctx)
	var telling sync.WaitGroup
	telling.Go(func() { r.tell(told) })
	err := g.Wait()
	stop()
	telling.Wait()
	return err
}

// hand makes n orders and hands every batch to every service.
func (r *run) hand(ctx context.Context, n int) error {
	for n > 0 {
		size := min(n, r.cfg.Batch)
		n -= size
		b, err := r.maker.batch(size)
		if err != nil {
			return err
		}
		b.begun = time.Now()
		b.left.Store(r.shares)
		for _, c := range r.chains {
			if err := send(ctx, c.stages[0].in, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// settled waits for the end of the warm-up.
func (r *run) settled(ctx context.Context) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for r.finished.Load() < int64(r.cfg.Warmup) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// done notes that one share of a batch is finished.
func (r *run) done(b *batch) {
	if b.left.Add(-1) > 0 {
		return
	}
	r.mu.Lock()
	r.ended = time.Now()
	r.took = append(r.took, span{took: r.ended.Sub(b.begun), orders: len(b.orders)})
	r.mu.Unlock()
	r.finished.Add(int64(len(b.orders)))
}

// tell reports progress once a second.
func (r *run) tell(ctx context.Context) {
	if r.cfg.Progress == nil {
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.cfg.Progress(int(r.finished.Load()), r.cfg.Warmup+r.cfg.Orders)
		case <-ctx.Done():
			return
		}
	}
}

func (r *run) result() Result {
	seconds := r.ended.Sub(r.begun).Seconds()
	connections := 0
	for _, c := range r.chains {
		connections += len(c.stages)
		if c.relay != nil {
			connections++
		}
	}
	return Result{
		Name: "floor", Orders: r.cfg.Orders, Seconds: seconds, PerSecond: float64(r.cfg.Orders) / seconds,
		Warmup: r.cfg.Warmup,
		Settings: map[string]string{
			"batch": strconv.Itoa(r.cfg.Batch), "products": strconv.Itoa(r.cfg.Products), "members": strconv.Itoa(r.cfg.Members),
			"partitions": strconv.Itoa(int(r.cfg.Partitions)), "gateway_touches": strconv.Itoa(r.cfg.GatewayTouches),
			"order_touches": strconv.Itoa(r.cfg.OrderTouches),
			"traced":        strconv.FormatBool(r.cfg.Traced), "connections": strconv.Itoa(connections),
		},
		Latency: latency(r.took),
	}
}

// latency takes every order of a batch to have taken what the batch took.
func latency(took []span) Latency {
	slices.SortFunc(took, func(a, b span) int { return cmp.Compare(a.took, b.took) })
	total := 0
	for _, s := range took {
		total += s.orders
	}
	at := func(share float64) float64 {
		rest := int(share * float64(total))
		for _, s := range took {
			if rest -= s.orders; rest < 0 {
				return float64(s.took.Microseconds()) / 1000
			}
		}
		return 0
	}
	return Latency{P50: at(0.5), P95: at(0.95), P99: at(0.99)}
}
