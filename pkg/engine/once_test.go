package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// took checks that n orders took one piece each, once, and told of it once.
func (s *stage) took(t *testing.T, n int) {
	t.Helper()
	if left := s.count(t, `SELECT quantity FROM product WHERE id = 'P'`); left != 1000000-int64(n) {
		t.Errorf("%d pieces are left: want %d", left, 1000000-n)
	}
	if got := s.count(t, `SELECT count(*) FROM reservation WHERE state = 'taken'`); got != int64(n) {
		t.Errorf("%d orders have taken: want %d", got, n)
	}
	list := s.emitted(t)
	if len(list) != n {
		t.Errorf("%d events were emitted: want %d", len(list), n)
	}
	gapless(t, list)
}

func TestAnEventRepublishedIsDropped(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	// Only the inbox keeps it from taking twice.
	first, again := s.createdBy("order-1", unguarded), s.createdBy("order-1", unguarded)
	again.Headers = first.Headers
	s.start(t)
	s.produce(t, first, again)
	s.handled(t)
	third := s.createdBy("order-1", unguarded)
	third.Headers = first.Headers
	s.produce(t, third)
	s.handled(t)
	s.took(t, 1)
	if n := s.count(t, `SELECT count(*) FROM inbox`); n != 1 {
		t.Errorf("%d events are in the inbox: want 1", n)
	}
}

func TestRecordsBelowTheFenceAreDropped(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, withoutInbox)
	s.produce(t, s.createdBy("a", unguarded))
	s.handled(t)
	records := s.published(t, "order.v1")
	before := s.count(t, `SELECT sum(next_offset)::bigint FROM fence`)
	check(t, engine.Consume(t.Context(), n.engine, records))
	if after := s.count(t, `SELECT sum(next_offset)::bigint FROM fence`); after != before {
		t.Errorf("fences moved from %d to %d", before, after)
	}
	s.took(t, 1)
}

func withoutInbox(set *setup) { set.cfg.NoInbox = true }

// Two replicas share the partitions; one is killed in the middle, with a batch in its hands.
func TestAKilledReplicaLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	short := tuned(func(t *engine.Tuning) { t.SessionTime, t.BatchMax = 500*time.Millisecond, 7 })
	first := s.start(t, short, noWait)
	testkit.Eventually(t, patience, first.engine.Ready)
	s.start(t, short)
	names := orders(300)
	for i, o := range names {
		s.produce(t, s.created(o))
		if i == 100 {
			first.net.cut()
		}
	}
	s.handled(t)
	s.took(t, len(names))
}

// A replica that keeps a batch while its partitions are given away, and wakes up later, changes nothing.
func TestAZombieReplicaChangesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	gate := newGate()
	short := tuned(func(t *engine.Tuning) { t.SessionTime = 500 * time.Millisecond })
	zombie := s.start(t, short, noWait, func(set *setup) { set.pool.PrepareConn = gate.pass })
	testkit.Eventually(t, patience, zombie.engine.Ready)
	names := orders(60)
	s.produce(t, s.created(names[0]))
	s.handled(t)
	gate.shut()
	for _, o := range names[1:] {
		s.produce(t, s.created(o))
	}
	gate.waited(t)
	// Its brokers lose sight of it, while the batch waits for a connection to the database.
	zombie.net.cut()
	s.start(t, short)
	s.handled(t)
	s.took(t, len(names))
	zombie.net.restore()
	gate.open()
	more := orders(90)
	for _, o := range more[60:] {
		s.produce(t, s.created(o))
	}
	s.handled(t)
	s.took(t, len(more))
}

// gate holds up whoever wants a connection from a pool.
type gate struct {
	mu      sync.Mutex
	closed  chan struct{}
	waiting chan struct{}
}

func newGate() *gate { return &gate{waiting: make(chan struct{}, 1)} }

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.closed)
	g.closed = nil
}

func (g *gate) pass(ctx context.Context, _ *pgx.Conn) (bool, error) {
	g.mu.Lock()
	closed := g.closed
	g.mu.Unlock()
	if closed != nil {
		select {
		case g.waiting <- struct{}{}:
		default:
		}
		select {
		case <-closed:
		case <-ctx.Done():
		}
	}
	return true, nil
}

func (g *gate) waited(t *testing.T) {
	t.Helper()
	select {
	case <-g.waiting:
	case <-time.After(patience):
		t.Fatal("nobody came to the gate")
	}
}

// The server commits, and the client sees an error: the same batch again changes nothing.
func TestABatchIsRunAgainAfterACommitOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var p *proxy
	s.start(t, behindProxy(t, &p))
	p.lose.Store(3)
	for _, o := range orders(40) {
		s.produce(t, s.created(o))
	}
	s.handled(t)
	eventually(t, "lost COMMITs", 3, func() (int64, error) { return p.lost.Load(), nil })
	s.took(t, 40)
}

// A command whose COMMIT is of unknown outcome gets the answer that was stored, as its own.
func TestACommandIsAnsweredAfterACommitOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var p *proxy
	n := s.start(t, behindProxy(t, &p))
	for i := range 5 {
		key := "" // every other one goes under the key that is made for it
		if i%2 == 0 {
			key = fmt.Sprint(i)
		}
		p.lose.Store(2)
		answer, err := n.engine.Do(t.Context(), engine.Request{
			Member: "m", Key: key, Command: restock{product: "Q", pieces: 1},
		})
		check(t, err)
		if want := fmt.Sprintf(`{"pieces":%d}`, i+1); answer.Replayed || string(answer.Body) != want {
			t.Errorf("answered %s (replayed %v): want %s as the command's own answer", answer.Body, answer.Replayed, want)
		}
	}
	if p.lost.Load() < 5 {
		t.Errorf("%d COMMITs were lost: want 5 at least", p.lost.Load())
	}
	if list := s.emitted(t); len(list) != 5 {
		t.Errorf("%d events were emitted: want 5", len(list))
	}
}

// Event ids are unique across days as ce_time has them; a repeated event keeps its time.
func TestEventsOfAnyDayEnterTheInbox(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.start(t)
	var records []*kgo.Record
	for i, at := range []time.Time{time.Now(), time.Now().AddDate(0, 0, -40), time.Now().AddDate(0, 0, 40)} {
		r := s.created(fmt.Sprint("order-", i))
		for j, h := range r.Headers {
			if h.Key == "ce_time" {
				r.Headers[j].Value = []byte(at.UTC().Format(time.RFC3339Nano))
			}
		}
		records = append(records, r, &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers})
	}
	s.produce(t, records...)
	s.handled(t)
	s.took(t, 3)
}

func TestTwoReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	nodes := []*node{s.start(t), s.start(t)}
	for _, o := range orders(200) {
		s.produce(t, s.created(o))
	}
	s.handled(t)
	s.took(t, 200)
	sub, err := nodes[0].engine.Subscription(t.Context())
	check(t, err)
	if sub.Members != 2 || sub.Lag != 0 || len(sub.Topics) != 1 || sub.Topics[0].Topic != "order.v1" {
		t.Errorf("subscription is %+v: want 2 members without lag", sub)
	}
}
