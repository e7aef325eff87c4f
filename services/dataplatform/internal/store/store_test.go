package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/dataplatform"
	"github.com/quadrille-io/quadrille/services/dataplatform/internal/store"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// shelf is a database with facts.
type shelf struct {
	t    *testing.T
	pool *pgxpool.Pool
}

func newShelf(t *testing.T) shelf {
	t.Helper()
	return shelf{t, rig.Database(t, store.Migrate)}
}

// facts makes n facts of one time.
func facts(n int, at time.Time) []dataplatform.Fact {
	all := make([]dataplatform.Fact, n)
	for i := range all {
		all[i] = dataplatform.Fact{
			ID: rig.NewID(), Type: "quadrille.order.v1.OrderCreated", Subject: fmt.Sprint("o", i), Sequence: int64(i + 1), OccurredAt: at,
			Causation: rig.NewID(), Correlation: rig.NewID(), Payload: []byte{1, 2, byte(i)},
		}
	}
	return all
}

func (s shelf) keep(all ...dataplatform.Fact) {
	s.t.Helper()
	rig.Transact(s.t, s.pool, func(_ context.Context, tx *pg.Tx) error {
		return store.Store{}.Save(tx.Last(), &dataplatform.World{Facts: all})
	})
}

func (s shelf) exporter() *store.Exporter {
	s.t.Helper()
	e, err := store.Connect(s.t.Context(), s.pool.Config().ConnString())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(e.Close)
	return e
}

var large = store.Limit{Facts: 1000, Bytes: 1 << 20}

func (s shelf) cut(e *store.Exporter, stream uuid.UUID, limit store.Limit) store.Cut {
	s.t.Helper()
	c, is, err := e.Cut(s.t.Context(), stream, limit)
	if err != nil || !is {
		s.t.Fatalf("cut: %v, %v", is, err)
	}
	return c
}

func (s shelf) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s shelf) read(e *store.Exporter, c store.Cut) []dataplatform.Fact {
	s.t.Helper()
	found, err := e.Facts(s.t.Context(), c)
	s.must(err)
	return found
}

func ids(all []dataplatform.Fact) []string {
	var out []string
	for _, f := range all {
		out = append(out, f.ID)
	}
	return out
}

// What is kept comes back as it was, with positions in the order of arrival.
func TestFactsComeBack(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	want := facts(3, noon)
	want[1].Causation, want[1].Payload = "", nil
	want[2].Correlation = "not an id" // nobody writes one; the fact is kept all the same
	s.keep(want[0])
	s.keep(want[1:]...)
	e := s.exporter()
	got := s.read(e, s.cut(e, store.Live, large))
	for i := range want {
		want[i].Position = int64(i + 1)
	}
	want[1].Payload, want[2].Correlation = []byte{}, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An event that comes again, in the same batch, in another one, or past midnight, is one fact.
func TestARepeatedEventIsOneFact(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(store.PrepareDays(t.Context(), s.pool, noon))
	all := facts(4, noon.Add(12*time.Hour-time.Millisecond))
	s.keep(all[0], all[1], all[0])
	s.keep(all[1], all[2], all[0])
	s.keep(all[3])
	e := s.exporter()
	c := s.cut(e, store.Live, large)
	if got := ids(s.read(e, c)); !slices.Equal(got, ids(all)) || c.Facts != 4 {
		t.Errorf("a batch of %d: %v, want %v", c.Facts, got, ids(all))
	}
	s.must(e.Sent(t.Context(), c))
	s.keep(all...)
	if _, is, err := e.Cut(t.Context(), store.Live, large); is || err != nil {
		t.Errorf("exported events made another batch: %v", err)
	}
}

// One statement for any number of facts, none to load them.
func TestOneStatementPerBatch(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	for _, n := range []int{1, 500} {
		statements := asked.During(func() {
			rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
				w, err := store.Store{}.Load(ctx, tx, []flow.Input{{Kind: flow.KindEvent, Msg: flow.Record{}}})
				if err != nil {
					return err
				}
				w.Facts = facts(n, noon)
				return store.Store{}.Save(tx.Last(), w)
			})
		})
		if statements != 1 {
			t.Errorf("%d statements for %d facts", statements, n)
		}
	}
}

// A transaction that has positions and does not commit yet holds up the next one, instead of being passed over: an
// exporter that reads in between would never come back for its rows.
func TestALateCommitIsNotPassedOver(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx := t.Context()
	late, early := facts(2, noon), facts(2, noon)
	written, commit, saved := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	go func() {
		saved <- pg.Transact(ctx, s.pool, func(tx *pg.Tx) error {
			b := &pg.Batch{}
			err := store.Store{}.Save(b, &dataplatform.World{Facts: late})
			err = errors.Join(err, tx.Send(ctx, b))
			close(written)
			<-commit
			return err
		})
	}()
	<-written
	go func() {
		saved <- pg.Transact(ctx, s.pool, func(tx *pg.Tx) error {
			return store.Store{}.Save(tx.Last(), &dataplatform.World{Facts: early})
		})
	}()
	// It has come as far as it can: it waits for the head.
	testkit.Eventually(t, rig.Patience, func() error {
		var waits int
		err := s.pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE '%UPDATE head%'`).Scan(&waits)
		if err == nil && waits == 0 {
			err = errors.New("nobody waits for the head")
		}
		return err
	})
	e := s.exporter()
	if _, is, err := e.Cut(ctx, store.Live, large); is || err != nil {
		t.Fatalf("something was cut before anything was committed: %v", err)
	}
	close(commit)
	s.must(errors.Join(<-saved, <-saved))
	if got, want := ids(s.read(e, s.cut(e, store.Live, large))), slices.Concat(ids(late), ids(early)); !slices.Equal(got, want) {
		t.Errorf("exported %v, want %v", got, want)
	}
}

// A batch ends with the number of facts or of bytes, and the next one goes on behind it; the oldest fact goes out
// whatever its size.
func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	all := facts(6, noon)
	all[3].Payload = make([]byte, 5000)
	s.keep(all...)
	e := s.exporter()
	for _, want := range []struct {
		limit store.Limit
		facts []dataplatform.Fact
	}{
		{store.Limit{Facts: 2, Bytes: 1 << 20}, all[:2]},
		{store.Limit{Facts: 10, Bytes: 4}, all[2:4]}, // 3 bytes, and then the one that goes beyond
		{store.Limit{Facts: 10, Bytes: 1}, all[4:5]},
		{large, all[5:]},
	} {
		c := s.cut(e, store.Live, want.limit)
		if got := s.read(e, c); !slices.Equal(ids(got), ids(want.facts)) {
			t.Errorf("%+v cut %d to %d", want.limit, c.First, c.Last)
		}
		s.must(e.Sent(t.Context(), c))
	}
	if n, err := e.Waiting(t.Context(), store.Live, 10); n != 0 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
}

// A batch stays the same, under the same id, until it is noted as sent; noted twice, the stream has moved once.
func TestAnOpenBatchStays(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.keep(facts(3, noon)...)
	first := s.exporter()
	cut := s.cut(first, store.Live, store.Limit{Facts: 2, Bytes: 1 << 20})
	s.must(first.Failed(t.Context(), cut, "no answer\x00\xff"))
	s.keep(facts(2, noon)...)
	second := s.exporter()
	again, is, err := second.Open(t.Context(), store.Live)
	if err != nil || !is || again.ID != cut.ID || again.Attempts != 1 || !slices.Equal(ids(s.read(second, again)), ids(s.read(first, cut))) {
		t.Fatalf("found %+v of %+v, %v", again, cut, err)
	}
	if _, _, err := second.Cut(t.Context(), store.Live, large); err == nil {
		t.Error("a second batch was cut beside an open one")
	}
	s.must(second.Sent(t.Context(), again))
	s.must(first.Sent(t.Context(), cut))
	w, err := store.ReadWatermark(t.Context(), s.pool)
	if err != nil || w.Exported != 2 || w.Position != 5 || w.Batches != 1 || w.Facts != 2 || w.Oldest == nil {
		t.Errorf("%+v, %v", w, err)
	}
}

// An exporter that was paused before it cut finds the stream where another one has left it.
func TestACutBeginsWhereTheStreamIs(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.keep(facts(4, noon)...)
	paused, other := s.exporter(), s.exporter()
	ctx := t.Context()
	// The other one's note that a batch was taken is under way while the paused one cuts: it waits for it.
	cut := s.cut(other, store.Live, store.Limit{Facts: 3, Bytes: 1 << 20})
	tx, err := s.pool.Begin(ctx)
	s.must(err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	_, err = tx.Exec(ctx, `UPDATE batch SET sent_at = clock_timestamp() WHERE id = $1`, cut.ID)
	s.must(err)
	_, err = tx.Exec(ctx, `UPDATE stream SET position = $1 WHERE id = $2`, cut.Last, store.Live)
	s.must(err)
	type result struct {
		cut store.Cut
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, _, err := paused.Cut(ctx, store.Live, large)
		done <- result{c, err}
	}()
	testkit.Eventually(t, rig.Patience, func() error {
		var waits int
		err := s.pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO batch%'`).Scan(&waits)
		if err == nil && waits == 0 {
			err = errors.New("nobody waits for the stream")
		}
		return err
	})
	s.must(tx.Commit(ctx))
	r := <-done
	if r.err != nil || r.cut.First != 4 || r.cut.Facts != 1 {
		t.Errorf("cut %+v, %v: want the fourth fact alone", r.cut, r.err)
	}
}

// One of two exporters is elected; when it goes, the other is.
func TestOneIsElected(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	first, second := s.exporter(), s.exporter()
	for i, want := range []bool{true, false} {
		if won, err := []*store.Exporter{first, second}[i].Campaign(t.Context()); err != nil || won != want {
			t.Errorf("exporter %d: elected %v, %v", i, won, err)
		}
	}
	first.Close()
	testkit.Eventually(t, rig.Patience, func() error {
		won, err := second.Campaign(t.Context())
		if err == nil && !won {
			err = errors.New("not elected")
		}
		return err
	})
}
