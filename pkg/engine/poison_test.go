package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

const parkedSubjects = `SELECT count(*) FROM subject WHERE parked`

// noRetries leaves parked subjects to the test.
var noRetries = tuned(func(t *engine.Tuning) { t.Retries = []time.Duration{time.Hour} })

// Every kind of poison parks its own order, with what follows it, and holds up nobody else; after the
// mending the queue is run in order.
func TestPoisonParksItsSubjectOnly(t *testing.T) {
	t.Parallel()
	for name, poison := range map[string]func(*stage, string) *kgo.Record{
		"panic":       func(s *stage, o string) *kgo.Record { return s.event(o, 1, orderOf(o, "panic", "X")) },
		"SQLSTATE 23": func(s *stage, o string) *kgo.Record { return s.event(o, 1, orderOf(o, "overdraw", "X")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			n := s.start(t, noRetries)
			names := orders(60)
			var records []*kgo.Record
			for i, o := range names {
				switch i {
				case 30:
					records = append(records, poison(s, "bad"))
				default:
					records = append(records, s.created(o))
				}
			}
			s.produce(t, records...)
			s.handled(t)
			s.produce(t, s.completed("bad"), s.cancelled("bad"))
			s.handled(t)
			if parked := s.count(t, parkedSubjects); parked != 1 {
				t.Fatalf("%d subjects are parked: want the bad one", parked)
			}
			s.took(t, 59)
			failures, err := n.engine.Failures(t.Context(), 10)
			check(t, err)
			if len(failures) != 1 || failures[0].Subject != "bad" || failures[0].Queued != 3 || failures[0].Service != "stock" ||
				failures[0].EventType != "quadrille.order.v1.OrderCreated" || failures[0].NextRetryAt == nil {
				t.Fatalf("failures are %+v: want one of bad with 3 events", failures)
			}
			if _, err := n.engine.Replay(t.Context(), "bad"); fault.Classify(err) != fault.Deterministic {
				t.Errorf("a replay before the mending gave %v", err)
			}
			if again, err := n.engine.Failures(t.Context(), 10); err != nil || again[0].Retries != 0 || !again[0].NextRetryAt.Equal(*failures[0].NextRetryAt) {
				t.Errorf("failures are %+v, %v: a replay asked for by hand used up an automatic one", again, err)
			}
			n.toy.mended.Store(true)
			_, err = s.pool.Exec(t.Context(), `INSERT INTO product VALUES ('X', 5)`)
			check(t, err)
			handled, err := n.engine.Replay(t.Context(), "bad")
			check(t, err)
			if handled != 3 {
				t.Errorf("%d events were replayed: want 3", handled)
			}
			if state := s.count(t, `SELECT count(*) FROM reservation WHERE order_id = 'bad' AND state = 'back'`); state != 1 {
				t.Error("the queue was not run in order: created, then cancelled")
			}
			if told := s.count(t, `SELECT count(*) FROM outbox WHERE key = 'bad'`); told != 2 {
				t.Errorf("%d events of the replayed order: want taken and given back", told)
			}
			if left := s.count(t, parkedSubjects) + s.count(t, `SELECT count(*) FROM failure`) + s.count(t, `SELECT count(*) FROM parked_event`); left != 0 {
				t.Errorf("%d rows of parking are left", left)
			}
			if _, err := n.engine.Replay(t.Context(), "bad"); !errors.Is(err, engine.ErrNotParked) {
				t.Errorf("a second replay gave %v: want ErrNotParked", err)
			}
			gapless(t, s.emitted(t))
		})
	}
}

// Whatever bytes stand in a record, it can be parked.
func TestUnreadableRecordsAreParked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	node := s.start(t, noRetries)
	change := func(order, header, value string) *kgo.Record {
		r := s.created(order)
		for i, h := range r.Headers {
			if h.Key == header {
				r.Headers[i].Value = []byte(value)
			}
		}
		return r
	}
	garbage := s.created("garbage")
	garbage.Value = []byte{0xff, 0xff, 0xff}
	bare := &kgo.Record{Topic: garbage.Topic, Key: []byte("bare"), Value: []byte("x")}
	keyless := &kgo.Record{Topic: garbage.Topic, Value: []byte("x"), Headers: []kgo.RecordHeader{{Key: "\x00\xff", Value: []byte("\x00\xff")}}}
	records := []*kgo.Record{
		garbage, bare, keyless,
		change("unknown version", "ce_type", "quadrille.order.v1.OrderCreated\x00"), // skipped: no declared type
		change("no type", "ce_type", ""),
		change("no id", "ce_id", "\x00"),
		change("text id", "ce_id", "seven\xff"),
		change("no time", "ce_time", "yesterday"),
		change("no number", "ce_sequence", "first"),
		change("nul", "ce_subject", "a\x00b"),
		change("bytes", "ce_subject", "a\xffb"),
		change("long", "ce_subject", strings.Repeat("x", 5000)),
		change("other version", "ce_type", "quadrille.order.v2.OrderCreated"),
		change("other envelope", "ce_specversion", "2.0"),
		change("other encoding", "content-type", "application/json"),
		s.event("other order", 1, orderOf("not this one", "customer", "P")),
		change("trace", "traceparent", "\x00\xff"), // harmless, and handled
	}
	// Its key has chosen another partition than its subject's: nothing says what comes before it.
	astray := s.created("astray")
	astray.Key = []byte("another")
	records = append(records, astray)
	s.produce(t, records...)
	s.produce(t, s.created("good"))
	s.handled(t)
	s.took(t, 2)
	if n := s.count(t, `SELECT count(*) FROM failure`); n != 16 {
		t.Errorf("%d subjects are parked: want 16", n)
	}
	// What was wrong with a record still is when it is read from the table.
	for _, subject := range []string{"astray", "other version", "no id", "other order"} {
		if _, err := node.engine.Replay(t.Context(), subject); fault.Classify(err) != fault.Deterministic {
			t.Errorf("a replay of %s gave %v", subject, err)
		}
	}
	if n := s.count(t, `SELECT count(*) FROM failure WHERE subject LIKE 'unreadable/order.v1/%'`); n != 4 {
		t.Errorf("%d subjects have a made-up name: want 4", n)
	}
}

// Between the decision that a subject is parked and the append to its queue, a replay may run. Nothing
// is stranded: in the end every event was handled, in order.
func TestAReplayRacingWithArrivalsStrandsNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, noRetries)
	for round := range 15 {
		n.toy.mended.Store(false)
		o := fmt.Sprint("bad-", round)
		s.produce(t, s.createdBy(o, "panic"))
		s.becomes(t, 1, parkedSubjects)
		n.toy.mended.Store(true)
		var wg sync.WaitGroup
		wg.Go(func() {
			s.produce(t, s.completed(o))
			s.produce(t, s.cancelled(o))
		})
		wg.Go(func() {
			if _, err := n.engine.Replay(t.Context(), o); err != nil {
				t.Errorf("replay: %v", err)
			}
		})
		wg.Wait()
		s.handled(t)
		if left := s.count(t, `SELECT count(*) FROM parked_event`) + s.count(t, parkedSubjects); left != 0 {
			t.Fatalf("round %d: %d rows of parking are left", round, left)
		}
	}
	if got := s.count(t, `SELECT count(*) FROM reservation WHERE state = 'back'`); got != 15 {
		t.Errorf("%d orders are back: want 15", got)
	}
}

func TestParkedSubjectsAreTriedAgainByThemselves(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, tuned(func(t *engine.Tuning) {
		t.Retries = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	}))
	s.produce(t, s.createdBy("hopeless", "panic"))
	s.becomes(t, 1, `SELECT count(*) FROM failure WHERE retries = 3 AND next_retry_at IS NULL`)
	s.produce(t, s.createdBy("curable", "panic"), s.cancelled("curable"))
	s.becomes(t, 1, `SELECT count(*) FROM failure WHERE subject = 'curable'`)
	n.toy.mended.Store(true)
	// (It may have used up its three tries by then, too: they are milliseconds apart.)
	_, err := s.pool.Exec(t.Context(), `UPDATE failure SET next_retry_at = clock_timestamp() WHERE subject = 'curable'`)
	check(t, err)
	s.becomes(t, 1, `SELECT count(*) FROM reservation WHERE order_id = 'curable' AND state = 'back'`)
	if parked := s.count(t, parkedSubjects); parked != 1 {
		t.Errorf("%d subjects are parked: want the hopeless one", parked)
	}
}

func TestOnAParkedSubjectCommandsAreRefusedAndDeadlinesWait(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, noRetries)
	answer, err := n.engine.Do(t.Context(), engine.Request{Member: "m", Command: hold{"order-1", "P", 0}})
	check(t, err)
	if answer.Status != http.StatusAccepted {
		t.Fatalf("answered %+v", answer)
	}
	s.becomes(t, 1, `SELECT count(*) FROM reservation WHERE state = 'back'`)
	bad := s.created("order-2")
	bad.Value = []byte{0xff}
	s.produce(t, bad)
	s.becomes(t, 1, parkedSubjects)
	r := engine.Request{Member: "m", Key: "k", Command: hold{"order-2", "P", 0}}
	answer, err = n.engine.Do(t.Context(), r)
	check(t, err)
	if answer.Refusal == nil || answer.Refusal.Code != "order_parked" || answer.Status != 503 || !answer.Refusal.Retryable {
		t.Errorf("answered %+v: want 503 order_parked", answer)
	}
	if kept := s.count(t, `SELECT count(*) FROM command WHERE key = 'k'`); kept != 0 {
		t.Error("the refusal of a parked order was kept for its key")
	}
	// A wait that is over on the parked order is not decided.
	_, err = s.pool.Exec(t.Context(), `
		INSERT INTO reservation VALUES ('order-2', 'taken', '{}', clock_timestamp() - interval '1 s', ''),
		                               ('order-3', 'taken', '{}', clock_timestamp(), '')`)
	check(t, err)
	s.becomes(t, 1, `SELECT count(*) FROM reservation WHERE order_id = 'order-3' AND state = 'back'`)
	if n := s.count(t, `SELECT count(*) FROM reservation WHERE order_id = 'order-2' AND state = 'back'`); n != 0 {
		t.Error("a deadline of a parked order was decided")
	}
}

func TestTooManyParkedStopThePartitionUntilResumed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, noRetries, tuned(func(t *engine.Tuning) { t.ParkedPerMinute = 4 }))
	var records []*kgo.Record
	for i := range 40 {
		records = append(records, s.createdBy(fmt.Sprint("bad-", i), "panic"), s.created(fmt.Sprint("good-", i)))
	}
	s.produce(t, records...)
	eventually(t, "stopped partitions", partitions, func() (int, error) { return len(n.engine.Stopped()), nil })
	if parked := s.count(t, parkedSubjects); parked != 4 {
		t.Errorf("%d subjects are parked: want 4", parked)
	}
	state, err := n.engine.Subscription(t.Context())
	check(t, err)
	if len(state.Stopped) != partitions || state.Lag == 0 {
		t.Errorf("subscription is %+v: want stopped partitions and a lag", state)
	}
	// Not mended, it stops again.
	check(t, n.engine.Resume(t.Context()))
	s.becomes(t, 8, parkedSubjects)
	eventually(t, "stopped partitions", partitions, func() (int, error) { return len(n.engine.Stopped()), nil })
	n.toy.mended.Store(true)
	check(t, n.engine.Resume(t.Context()))
	s.handled(t)
	for i := range 40 {
		o := fmt.Sprint("bad-", i)
		if _, err := n.engine.Replay(t.Context(), o); err != nil && !errors.Is(err, engine.ErrNotParked) {
			t.Error(err)
		}
	}
	s.took(t, 80)
}

// What is the machine's trouble, or somebody else's, is tried again until it works, and parks nobody.
func TestTransientFailuresParkNobody(t *testing.T) {
	t.Parallel()
	raise := func(state string) []string {
		return []string{`DO $$ BEGIN RAISE EXCEPTION 'simulated' USING ERRCODE = '` + state + `'; END $$`}
	}
	for name, fail := range map[string][]string{
		"disk full":     raise("53100"),
		"deadlock":      raise("40P01"),
		"no such table": raise("42P01"),
		"killed":        {`SELECT pg_terminate_backend(pg_backend_pid())`},
		"lock timeout":  {`SET LOCAL lock_timeout = '20ms'`, `LOCK TABLE held`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			_, err := s.pool.Exec(t.Context(), `CREATE TABLE held ()`)
			check(t, err)
			holder, err := s.pool.Begin(t.Context())
			check(t, err)
			t.Cleanup(func() { _ = holder.Rollback(context.Background()) }) // or the pool would wait for it
			// It idles for as long as the batches take, on a busy machine longer than a service may.
			_, err = holder.Exec(t.Context(), `SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL transaction_timeout = 0`)
			check(t, err)
			_, err = holder.Exec(t.Context(), `LOCK TABLE held`)
			check(t, err)
			var failed atomic.Int64
			// Batches so small that four failures would be enough to stand alone and be parked.
			s.start(t, tuned(func(t *engine.Tuning) { t.BatchMax = 2 }), func(set *setup) {
				set.node.store.onSave = func(b *pg.Batch) error {
					if failed.Add(1) <= 4 {
						for _, statement := range fail {
							b.Queue("fail", statement)
						}
					}
					return nil
				}
			})
			for _, o := range orders(20) {
				s.produce(t, s.created(o))
			}
			s.handled(t)
			check(t, holder.Rollback(t.Context()))
			if failed.Load() < 5 {
				t.Errorf("%d saves: want 4 that fail and more", failed.Load())
			}
			s.took(t, 20)
			if n := s.count(t, `SELECT count(*) FROM failure`); n != 0 {
				t.Errorf("%d subjects are parked", n)
			}
		})
	}
}

// A panic outside of the decide function must not end the process.
func TestAPanicOfTheStoreParks(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, noRetries)
	n.toy.mended.Store(true)
	s.produce(t, s.event("bad", 1, orderOf("bad", "customer", "panic in Load")), s.created("good"))
	s.handled(t)
	s.took(t, 1)
	testkit.Eventually(t, patience, func() error {
		failures, err := n.engine.Failures(t.Context(), 10)
		if err == nil && (len(failures) != 1 || failures[0].Subject != "bad") {
			err = fmt.Errorf("failures are %+v", failures)
		}
		return err
	})
}
