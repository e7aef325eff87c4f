package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// consumes runs batches of events of partition 0, one after the other, and returns how many statements it took to
// correct what was guessed about their subjects.
func (b *bench) consumes(t *testing.T, offset *int64, records ...*kgo.Record) (mended int64) {
	t.Helper()
	before := b.counted.of(mending).times
	check(t, engine.Consume(t.Context(), b.engine, at(0, *offset, records...)))
	*offset += int64(len(records))
	if wrong := b.unchained(t); wrong != "" {
		t.Error(wrong)
	}
	return b.counted.of(mending).times - before
}

// A subject's row is written with what its inputs are likely to emit, by what others of their type did last. It is
// right whatever they do: one statement corrects it, and none where the guess was right.
func TestASubjectsRowIsRightWhateverWasGuessed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	check(t, pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `
			INSERT INTO product VALUES ('P', 100);
			INSERT INTO fence VALUES ('00000000-0000-0000-0000-000000000000', 0, 'order.v1', 0)`)
		return err
	}))
	s := &stage{kafka: kafka.Config{}}
	garbage := s.created("garbage")
	garbage.Value = []byte{0xff}
	again := s.created("parked")
	again.Value = []byte{0xff}
	var offset int64
	for _, step := range []struct {
		what    string
		records []*kgo.Record
		mended  int64
	}{
		{"the first of its type", []*kgo.Record{s.created("a")}, 1},
		{"one like the last", []*kgo.Record{s.created("b")}, 0},
		{"three like the last", []*kgo.Record{s.created("c"), s.created("d"), s.created("e")}, 0},
		{"one of which the second says nothing", []*kgo.Record{s.created("f"), s.created("f")}, 1},
		{"one after one that said nothing", []*kgo.Record{s.created("g")}, 1},
		{"two events instead of one", []*kgo.Record{s.createdBy("h", talkative)}, 1},
		{"two events again", []*kgo.Record{s.createdBy("i", talkative)}, 0},
		{"one event instead of two", []*kgo.Record{s.created("j")}, 1},
		{"a new subject that is parked at once", []*kgo.Record{garbage}, 0},
		{"what waits behind a parked event", []*kgo.Record{again, s.created("parked")}, 1},
		{"more for a parked subject", []*kgo.Record{s.created("parked")}, 0},
		{"a known subject that says nothing", []*kgo.Record{s.created("a")}, 0},
		{"a known subject that says more", []*kgo.Record{s.cancelled("a")}, 1},
	} {
		if mended := b.consumes(t, &offset, step.records...); mended != step.mended {
			t.Errorf("%s: %d statements to correct the guess: want %d", step.what, mended, step.mended)
		}
	}
	gapless(t, (&stage{pool: b.pool}).emitted(t))
}

// A command that is refused leaves nothing of what was guessed: the next one's event is the first of its chain.
func TestARefusedCommandLeavesNoGuessBehind(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t)
	restock := func(product string, pieces int64) error {
		_, err := n.engine.Do(t.Context(), restocking(fmt.Sprint(product, pieces), product, pieces))
		return err
	}
	check(t, restock("Q", 5)) // from here on a restock is likely to emit one event
	row := `SELECT count(*) FROM subject WHERE id = 'R' AND emitted = $1 AND root = coalesce((SELECT event_id::text FROM outbox WHERE key = 'R' AND seq = 1), '')`
	answer, err := n.engine.Do(t.Context(), restocking("refused", "R", 0))
	if err != nil || answer.Refusal == nil {
		t.Fatalf("answered %+v, %v: want a refusal", answer, err)
	}
	if s.count(t, row, 0) != 1 {
		t.Error("the row of a subject that nothing was emitted about says that something was")
	}
	for emitted := range int64(2) {
		check(t, restock("R", 5+emitted))
		if s.count(t, row, emitted+1) != 1 {
			t.Errorf("the row is wrong after %d events", emitted+1)
		}
	}
	gapless(t, s.emitted(t))
}

// Two transactions that make the same subject at the same moment, each with its guess: one makes the row, the other
// waits for it and goes on from what it says.
func TestTwoThatMakeTheSameSubjectAtOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for i, e := range p.engines {
		check(t, engine.Consume(t.Context(), e, at(int32(i), 0, p.stage.created(fmt.Sprint("warm-up-", i)))))
	}
	first, second := p.stage.createdBy("order-1", unguarded), p.stage.createdBy("order-1", unguarded)
	at(0, 1, first)
	at(1, 1, second)
	p.meet(t, first, second)
	gapless(t, p.stage.emitted(t))
	if n := p.stage.count(t, `SELECT count(*) FROM subject WHERE id = 'order-1' AND emitted = 2 AND root = 'root-of-order-1'`); n != 1 {
		t.Error("the row does not say that two events were emitted")
	}
}

// A row that looks as if this very transaction had made it, and was not: the batch is not decided on an empty
// subject, but fails, and is tried again in a transaction of another number.
func TestARowThatOnlyLooksFreshIsNotTakenForNew(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	_, err := p.stage.pool.Exec(t.Context(), `
		INSERT INTO subject (id, emitted, root) VALUES ('order-1', 7, 'root-of-order-1');
		CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			UPDATE subject SET trace = '' WHERE id = 'order-1'; RETURN NULL;
		END $$;
		CREATE TRIGGER touch AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION touch()`)
	check(t, err)
	err = engine.Consume(t.Context(), p.engines[0], at(0, 0, p.stage.created("order-1")))
	if err == nil || !strings.Contains(err.Error(), "0 were made and 0 found") {
		t.Errorf("consumed with %v: want an error that says what was not found", err)
	}
	if n := p.stage.count(t, `SELECT count(*) FROM outbox`); n != 0 {
		t.Errorf("%d events were emitted", n)
	}
}

// Events that are none of the service's business, by what is in them, are read past: no row is left of them, and
// they do not wait behind a parked one. Those that cannot be read, or are of another version, are parked all the same.
func TestWhatIsNobodysBusinessLeavesNoRow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, noRetries)
	of := func(order, user string) *kgo.Record {
		return s.event(order, 1, &orderv1.OrderCancelRequested{OrderId: order, UserId: user})
	}
	s.produce(t, of("order-1", nobody), of("order-2", nobody))
	s.handled(t)
	left := `SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM subject) + (SELECT count(*) FROM reservation) + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM call)`
	if n := s.count(t, left); n != 0 {
		t.Errorf("%d rows of what is nobody's business", n)
	}
	s.produce(t, of("order-1", "customer"))
	s.handled(t)
	if n := s.count(t, left); n != 2 {
		t.Errorf("%d rows of an event that is our business: want one in the inbox, and the subject's", n)
	}
	garbage, later := of("garbage", nobody), of("later", nobody)
	garbage.Value = []byte{0xff}
	for i, h := range later.Headers {
		if h.Key == "ce_type" {
			later.Headers[i].Value = []byte("quadrille.order.v2.OrderCancelRequested")
		}
	}
	s.produce(t, garbage, later)
	s.handled(t)
	s.produce(t, of("later", nobody), of("garbage", nobody))
	s.handled(t)
	failures, err := n.engine.Failures(t.Context(), 10)
	check(t, err)
	if len(failures) != 2 || failures[0].Queued != 1 || failures[1].Queued != 1 {
		t.Errorf("failures are %+v: want two, with one event each", failures)
	}
}

// Relaxed events that wait for company come along with a hurried one of their partition or about their subject, and
// only those; the others wait, survive a stop, and are taken when their time has come.
func TestRelaxedEventsWaitForCompany(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	lazyToy := func(wait engine.Tuning) option {
		return func(set *setup) {
			set.node.toy.lazy, set.cfg.Tuning.Relaxed = true, wait.Relaxed
		}
	}
	n := s.start(t, lazyToy(engine.Tuning{Relaxed: 1 << 50}))
	producer := s.manual(t)
	put := func(partition int32, r *kgo.Record) {
		r.Partition = partition
		check(t, producer.ProduceSync(context.Background(), r).FirstErr())
	}
	put(2, s.created("warm-up")) // the first batch takes all there is
	s.becomes(t, 1, `SELECT count(*) FROM reservation WHERE state = 'taken'`)
	put(0, s.completed("before"))
	put(1, s.completed("order-1"))
	put(2, s.completed("elsewhere"))
	put(0, s.created("order-1"))
	put(0, s.completed("after"))
	s.becomes(t, 2, `SELECT count(*) FROM reservation WHERE order_id IN ('before', 'order-1') AND state = 'labelled'`)
	put(0, s.created("order-2")) // which brings along what was left before it
	s.becomes(t, 1, `SELECT count(*) FROM reservation WHERE order_id = 'after' AND state = 'labelled'`)
	if n := s.count(t, `SELECT count(*) FROM subject WHERE id = 'elsewhere'`); n != 0 {
		t.Error("an event that nobody waits for was decided before its time")
	}
	n.stop()
	s.start(t, lazyToy(engine.Tuning{Relaxed: 1}))
	s.becomes(t, 1, `SELECT count(*) FROM reservation WHERE order_id = 'elsewhere' AND state = 'labelled'`)
	s.handled(t)
}
