package floor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// inFlight is how many batches may wait before each step.
const inFlight = 2

// stage is a step at work: its connection, and the batches that wait for it.
type stage struct {
	step
	conn *pgx.Conn
	in   chan *batch
}

// chain is a service at work.
type chain struct {
	service string
	stages  []*stage
	relay   *relay // nil where nothing is published
}

// newChain connects. On an error nothing is left open.
func newChain(ctx context.Context, cfg Config, s service, url string) (_ *chain, err error) {
	c := &chain{service: s.name}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	for _, st := range s.steps {
		// A plan made once for any number of rows: the arrays' lengths tell the planner nothing that it
		// needs, and new tables' statistics are as good as none.
		conn, err := connect(ctx, url, map[string]string{"plan_cache_mode": "force_generic_plan"})
		if err != nil {
			return nil, err
		}
		c.stages = append(c.stages, &stage{step: st, conn: conn, in: make(chan *batch, inFlight)})
	}
	if s.publishes() > 0 {
		if c.relay, err = newRelay(ctx, cfg, s.name, url); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *chain) close() {
	for _, s := range c.stages {
		closeConn(s.conn)
	}
	if c.relay != nil {
		c.relay.close()
	}
}

// run starts a goroutine for every stage and one for the relay. They end, one after the other, once the
// first stage's channel is closed. done is told of a batch by the last stage, and for each time the relay
// has carried something of it.
func (c *chain) run(ctx context.Context, g *errgroup.Group, done func(*batch)) {
	var writing sync.WaitGroup
	for i, s := range c.stages {
		next := func(b *batch) error { done(b); return nil }
		end := func() {}
		if i+1 < len(c.stages) {
			following := c.stages[i+1]
			next = func(b *batch) error { return send(ctx, following.in, b) }
			end = func() { close(following.in) }
		}
		writing.Add(1)
		g.Go(func() error {
			defer writing.Done()
			defer end()
			return c.work(ctx, s, next)
		})
	}
	if c.relay == nil {
		return
	}
	g.Go(func() error {
		writing.Wait()
		close(c.relay.in)
		return nil
	})
	g.Go(func() error { return c.relay.run(ctx, done) })
}

// work takes batches through one stage.
func (c *chain) work(ctx context.Context, s *stage, next func(*batch) error) error {
	for {
		select {
		case b, open := <-s.in:
			if !open {
				return nil
			}
			if err := c.commit(ctx, s, b); err != nil {
				return fmt.Errorf("%s, %s: %w", c.service, s.name, err)
			}
			if err := next(b); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// commit writes a batch in one round trip: what is sent together is one transaction, without a BEGIN.
func (c *chain) commit(ctx context.Context, s *stage, b *batch) error {
	all := &pgx.Batch{}
	var rows []int64
	for i, st := range s.statements {
		args := make([]any, len(st.args))
		for n, arg := range st.args {
			args[n] = arg(b)
		}
		queued := all.Queue(st.sql, args...)
		if s.emits != nothing && i == len(s.statements)-1 {
			queued.Query(func(found pgx.Rows) (err error) {
				rows, err = pgx.CollectRows(found, pgx.RowTo[int64])
				return err
			})
		}
	}
	if err := s.conn.SendBatch(ctx, all).Close(); err != nil {
		return fmt.Errorf("write %d orders: %w", len(b.orders), err)
	}
	if s.emits == nothing {
		return nil
	}
	records := make([]*kgo.Record, len(b.orders))
	for i := range b.orders {
		records[i] = b.orders[i].events[s.emits].record
	}
	return send(ctx, c.relay.in, committed{batch: b, event: s.emits, outbox: rows, records: records})
}

func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connect opens a connection with settings of the session.
func connect(ctx context.Context, url string, settings map[string]string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database's URL is not one") // the error would show the password
	}
	cfg.RuntimeParams["application_name"] = "floor"
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["jit"] = "off"
	for name, value := range settings {
		cfg.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// closeConn has its own time: the run's context may have ended.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server notices the closed socket anyhow
}
