package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// statements counts those of a replica, and the rows they changed, by a part of their text. Statements of a batch
// are counted too.
type statements struct {
	mu    sync.Mutex
	parts map[string]*counted
}

type counted struct{ times, rows int64 }

// of is what is counted of statements with that text in them.
func (y *statements) of(part string) counted {
	y.mu.Lock()
	defer y.mu.Unlock()
	return *y.parts[part]
}

func (y *statements) add(sql string, rows int64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for part, c := range y.parts {
		if strings.Contains(sql, part) {
			c.times++
			c.rows += rows
		}
	}
}

type tallyKey struct{}

func (y *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, tallyKey{}, data.SQL)
}

func (y *statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if sql, ok := ctx.Value(tallyKey{}).(string); ok {
		y.add(sql, data.CommandTag.RowsAffected())
	}
}

func (y *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (y *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	y.add(data.SQL, data.CommandTag.RowsAffected())
}

func (y *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// counting has statements with these texts counted.
func counting(parts ...string) (*statements, option) {
	y := &statements{parts: map[string]*counted{}}
	for _, p := range parts {
		y.parts[p] = &counted{}
	}
	return y, func(s *setup) { s.pool.ConnConfig.Tracer = y }
}

const claiming = "UPDATE call c SET due_at = clock_timestamp() + $2, attempts"

// A call is its process's from the moment it is asked for: one row, made once, and no statement to claim it.
func TestACallIsClaimedAsItIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newPrinter(printLabel)
	y, count := counting(claiming)
	n := s.start(t, count, calling(p.call), tuned(func(t *engine.Tuning) { t.Sweep = time.Hour }))
	names := orders(60)
	for _, o := range names {
		s.produce(t, s.completed(o))
	}
	s.becomes(t, 60, labels)
	for _, o := range names {
		if p.times(o) != 1 {
			t.Errorf("the label of %s was printed %d times", o, p.times(o))
		}
	}
	if claimed := y.of(claiming); claimed.rows != 0 {
		t.Errorf("%d calls were claimed from the table: want none", claimed.rows)
	}
	if n := s.count(t, `SELECT count(*) FROM call WHERE state = 1 AND attempts = 1`); n != 60 {
		t.Errorf("%d calls are answered at the first try: want 60", n)
	}
	eventually(t, "room for calls", 32*128, func() (int, error) { return engine.Room(n.engine), nil })
}

// one has one slot for calls.
var one = tuned(func(t *engine.Tuning) { t.CallSlots = 1 })

// busy is a label printer that is busy with its first label until it is let go, which must be before its replica stops.
type busy struct {
	*printer
	under, released chan struct{}
	release         func()
	made            atomic.Int64
}

func newBusy() *busy {
	b := &busy{under: make(chan struct{}), released: make(chan struct{})}
	b.release = sync.OnceFunc(func() { close(b.released) })
	b.printer = newPrinter(func(ctx context.Context, c engine.Call) (flow.Command, error) {
		if b.made.Add(1) == 1 {
			close(b.under)
			<-b.released
		}
		return printLabel(ctx, c)
	})
	return b
}

// More calls than a process may claim ahead are all made, once each: what there is no room for is claimed from the
// table.
func TestMoreCallsThanThereIsRoomForAreAllMade(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := newBusy()
	y, count := counting(claiming)
	var under, most atomic.Int64
	n := s.start(t, one, count, tuned(func(t *engine.Tuning) { t.CallLease = time.Minute }),
		calling(func(ctx context.Context, c engine.Call) (flow.Command, error) {
			most.Store(max(most.Load(), under.Add(1)))
			defer under.Add(-1)
			return b.call(ctx, c)
		}))
	t.Cleanup(b.release)
	names := orders(150)
	for _, o := range names {
		s.produce(t, s.completed(o))
	}
	s.becomes(t, 150, `SELECT count(*) FROM call`)
	if claimed := s.count(t, `SELECT count(*) FROM call WHERE attempts = 1`); claimed < 32 || claimed > 64 {
		t.Errorf("%d calls are claimed for one slot: want 32, and no more than a batch or two beyond", claimed)
	}
	b.release()
	s.becomes(t, 150, labels)
	for _, o := range names {
		if b.times(o) != 1 {
			t.Errorf("the label of %s was printed %d times", o, b.times(o))
		}
	}
	if claimed := y.of(claiming); claimed.rows == 0 || claimed.rows > 150-32 {
		t.Errorf("%d calls were claimed from the table: want those that there was no room for", claimed.rows)
	}
	if most.Load() != 1 {
		t.Errorf("%d calls were under way at once: there is one slot", most.Load())
	}
	eventually(t, "room for calls", 32, func() (int, error) { return engine.Room(n.engine), nil })
}

// A process that dies between the commit of what asked for a call and the call leaves a row that another process
// makes the call of, once the lease has ended. The dead one, should it live after all, does not.
func TestACallWhoseProcessDiedBeforeItWasMade(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	short := tuned(func(t *engine.Tuning) { t.CallTimeout, t.CallLease = 100*time.Millisecond, 600*time.Millisecond })
	b := newBusy()
	dead := s.start(t, one, short, calling(b.call))
	t.Cleanup(func() { dead.net.restore(); b.release() })
	s.produce(t, s.completed("first"))
	<-b.under
	s.produce(t, s.completed("second")) // claimed, and waits for the slot
	s.becomes(t, 1, `SELECT count(*) FROM call WHERE subject = 'second' AND attempts = 1 AND state = 0`)
	dead.net.cut()
	p := newPrinter(printLabel)
	s.start(t, short, calling(p.call))
	s.becomes(t, 2, labels)
	for _, o := range []string{"first", "second"} {
		if p.times(o) != 1 {
			t.Errorf("the living process has made the call of %s %d times: want once", o, p.times(o))
		}
	}
	if n := s.count(t, `SELECT count(*) FROM call WHERE subject = 'second' AND state = 1 AND attempts >= 2`); n != 1 {
		t.Error("the call was not claimed anew")
	}
	b.release()
	// (The answer of the first one cannot be taken, so that one stays.)
	eventually(t, "room for all calls but one", true, func() (bool, error) { return engine.Room(dead.engine) >= 31, nil })
	if b.times("second") != 0 {
		t.Error("the dead process has made a call that was not its own any more")
	}
	dead.net.restore()
}

// A worker that stops makes no call that it has not begun, and gives them back: nobody has to wait for its leases.
func TestAStoppingWorkerMakesNoMoreCalls(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := newBusy()
	n := s.start(t, one, calling(b.call), tuned(func(t *engine.Tuning) { t.CallLease = time.Hour }))
	t.Cleanup(b.release)
	s.produce(t, s.completed("first"))
	<-b.under
	for _, o := range orders(20) {
		s.produce(t, s.completed(o))
	}
	s.becomes(t, 21, `SELECT count(*) FROM call WHERE state = 0 AND attempts = 1`)
	stopped := make(chan struct{})
	go func() { n.stop(); close(stopped) }()
	eventually(t, "room for calls", 0, func() (int, error) { return engine.Room(n.engine), nil })
	b.release()
	<-stopped
	if b.made.Load() != 1 || s.count(t, labels) != 1 {
		t.Errorf("%d calls were made, %d answers decided: want the one that was under way", b.made.Load(), s.count(t, labels))
	}
	if due := s.count(t, `SELECT count(*) FROM call WHERE state = 0 AND due_at <= clock_timestamp()`); due != 20 {
		t.Errorf("%d calls are due: want the 20 that were not made", due)
	}
	p := newPrinter(printLabel)
	s.start(t, calling(p.call))
	s.becomes(t, 21, labels)
	for _, o := range orders(20) {
		if p.times(o) != 1 {
			t.Errorf("the call of %s was made %d times", o, p.times(o))
		}
	}
}

// A call that has waited for a slot for too long to be sent within its lease is due at once, not when that ends.
func TestACallThatWaitedTooLongIsGivenBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := newBusy()
	s.start(t, one, calling(b.call), tuned(func(t *engine.Tuning) {
		t.CallTimeout, t.CallLease = time.Hour-100*time.Millisecond, time.Hour
	}))
	t.Cleanup(b.release)
	s.produce(t, s.completed("first"))
	<-b.under
	names := orders(5)
	for _, o := range names {
		s.produce(t, s.completed(o))
	}
	s.becomes(t, 6, `SELECT count(*) FROM call WHERE attempts = 1 AND created_at < clock_timestamp() - interval '200 ms'`)
	b.release()
	s.becomes(t, 6, labels)
	for _, o := range names {
		if b.times(o) != 1 {
			t.Errorf("the call of %s was made %d times", o, b.times(o))
		}
	}
	if n := s.count(t, `SELECT count(*) FROM call WHERE last_error <> ''`); n != 0 {
		t.Errorf("%d calls are said to have failed, and were not made", n)
	}
}

// A call that was claimed from the table is nobody else's to claim while it is being made.
func TestAClaimIsALease(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := newBusy()
	y, count := counting(claiming)
	s.start(t, count, calling(b.call), tuned(func(t *engine.Tuning) { t.CallLease = time.Minute }))
	t.Cleanup(b.release)
	_, err := s.pool.Exec(t.Context(), `
		INSERT INTO call (subject, kind, body, due_at, cause, root, traceparent, state, attempts, created_at)
		VALUES ('o', 'label', '{}', now(), '', '', '', 0, 0, now())`)
	check(t, err)
	<-b.under
	before := y.of(claiming).times
	testkit.Eventually(t, patience, func() error {
		if n := y.of(claiming).times - before; n < 5 {
			return fmt.Errorf("claimed %d times since", n)
		}
		return nil
	})
	if claimed := y.of(claiming); claimed.rows != 1 {
		t.Errorf("one call was claimed %d times", claimed.rows)
	}
}
