package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// fill copies every table, some at once, the largest first.
func (l *loader) fill(ctx context.Context) error {
	if err := migrate(ctx, l.cfg.Databases); err != nil {
		return err
	}
	f := newFilling(l.cfg, l.recording)
	slices.SortStableFunc(f.streams, func(a, b *stream) int {
		return int(l.report.Estimate.Tables[b.recorded.String()] - l.report.Estimate.Tables[a.recorded.String()])
	})
	stop := f.tell(l)
	err := f.run(ctx)
	stop()
	l.report.Rows = f.done()
	return err
}

// services are those that have a past: all but the members' (a member's rows are nobody's order) and the data
// platform's, which keeps its facts for some days only and numbers them in the order of their arrival. These two begin
// empty.
func services() []string {
	return slices.DeleteFunc(local.Services(), func(name string) bool { return migrations[name] == nil })
}

// migrate brings all databases to the newest schema.
func migrate(ctx context.Context, urls map[string]string) error {
	for _, name := range services() {
		if err := migrations[name](ctx, urls[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// filling is a set of tables that are being loaded.
type filling struct {
	urls     map[string]string
	parallel int
	plan     *plan
	streams  []*stream

	mu   sync.Mutex
	busy map[*stream]string // what is done to it
}

func newFilling(cfg Config, r *recording) *filling {
	f := &filling{urls: cfg.Databases, parallel: cfg.Parallel, plan: newPlan(cfg), busy: map[*stream]string{}}
	left := f.plan.sums()
	for _, t := range r.tables {
		if t.hasAny() {
			f.streams = append(f.streams, &stream{
				recorded: t, plan: f.plan, began: r.began, now: time.Now().UnixMicro(),
				first: cfg.Orders - cfg.ordersOf(t.service), writer: writer{seed: cfg.Seed, sums: left},
			})
		}
	}
	return f
}

func (f *filling) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(f.parallel)
	for _, s := range f.streams {
		g.Go(func() error {
			defer f.set(s, "")
			if err := f.load(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s.recorded, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// set notes what is done to a table; "" is nothing any more.
func (f *filling) set(s *stream, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if what == "" {
		delete(f.busy, s)
		return
	}
	f.busy[s] = what
}

// load fills one table in one transaction.
func (f *filling) load(ctx context.Context, s *stream) (err error) {
	f.set(s, "copy")
	conn, err := pgx.Connect(ctx, f.urls[s.recorded.service])
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // its transaction has ended
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, set := range []string{
			"SET LOCAL maintenance_work_mem = '512MB'", "SET LOCAL statement_timeout = 0", "SET LOCAL transaction_timeout = 0",
			"SET LOCAL lock_timeout = '10s'",
		} {
			if _, err := tx.Exec(ctx, set); err != nil {
				return err
			}
		}
		var there bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+s.recorded.quoted()+")").Scan(&there); err != nil {
			return err
		}
		if there {
			return errors.New("there are rows already")
		}
		if s.recorded.partitioned {
			return f.copyInto(ctx, tx, s)
		}
		return f.replace(ctx, tx, s)
	})
}

// replace fills a plain table between taking its indexes off and putting them on. As it is truncated in the same
// transaction its rows may be frozen at once: nobody can have looked at it.
func (f *filling) replace(ctx context.Context, tx pgx.Tx, s *stream) error {
	indexes, err := definitions(ctx, tx, s.recorded.table)
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(indexes) {
		if _, err := tx.Exec(ctx, d.off); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, "TRUNCATE "+s.recorded.quoted()); err != nil {
		return err
	}
	if err := f.copyRows(ctx, tx, s, ", FREEZE"); err != nil {
		return err
	}
	f.set(s, "indexes")
	for _, d := range indexes {
		if _, err := tx.Exec(ctx, d.on); err != nil {
			return fmt.Errorf("%s: %w", d.on, err)
		}
	}
	if serial := s.recorded.serial(); serial != "" && s.writer.count > 0 {
		_, err := tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence($1, $2), $3)", s.recorded.quoted(), serial, s.writer.count)
		if err != nil {
			return fmt.Errorf("move the sequence of %s: %w", serial, err)
		}
	}
	return nil
}

// copyInto fills the inbox, whose days are tables that others may read.
func (f *filling) copyInto(ctx context.Context, tx pgx.Tx, s *stream) error {
	if s.recorded.name == "inbox" {
		if err := inboxDays(ctx, tx); err != nil {
			return err
		}
	}
	return f.copyRows(ctx, tx, s, "")
}

func (f *filling) copyRows(ctx context.Context, tx pgx.Tx, s *stream, options string) error {
	sql := fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary%s)", s.recorded.quoted(), s.recorded.columnList(), options)
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, s, sql)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	if tag.RowsAffected() != s.rows.Load() {
		return fmt.Errorf("copied %d rows of %d", tag.RowsAffected(), s.rows.Load())
	}
	return nil
}

func (f *filling) done() int64 {
	var n int64
	for _, s := range f.streams {
		n += s.rows.Load()
	}
	return n
}

// expected is about how many rows there will be.
func (r *recording) expected(cfg Config) int64 {
	var n float64
	p := newPlan(cfg)
	for _, t := range r.tables {
		part := float64(cfg.ordersOf(t.service)) / float64(max(cfg.Orders, 1))
		for c, templates := range t.rows {
			for _, tp := range templates {
				rows := float64(p.many(c))
				if c >= 0 {
					rows *= part
				}
				if tp.keep > 0 {
					rows *= min(1, tp.keep.Seconds()/max(float64(p.span), 1))
				}
				n += rows
			}
		}
	}
	return int64(n)
}

// tell says once a second how far it is, until it is stopped.
func (f *filling) tell(l *loader) (stop func()) {
	total := max(l.recording.expected(l.cfg), 1)
	end, ended := make(chan struct{}), make(chan struct{})
	begin := time.Now()
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				l.say("%4.0f s: %.1f of about %.1f million rows (%d %%); %s", time.Since(begin).Seconds(),
					float64(f.done())/million, float64(total)/million, min(100, 100*f.done()/total), f.doing())
			}
		}
	}()
	return func() { close(end); <-ended }
}

// doing says what is done to which tables.
func (f *filling) doing() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := ""
	for _, s := range f.streams {
		if what, busy := f.busy[s]; busy {
			text += " " + s.recorded.String() + " (" + what + ")"
		}
	}
	return "now" + text
}
