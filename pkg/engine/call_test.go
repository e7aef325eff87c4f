package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// printer counts the labels it prints, and does what answer says.
type printer struct {
	mu      sync.Mutex
	printed map[string]int
	answer  func(ctx context.Context, c engine.Call) (flow.Command, error)
}

func newPrinter(answer func(context.Context, engine.Call) (flow.Command, error)) *printer {
	return &printer{printed: map[string]int{}, answer: answer}
}

func (p *printer) call(ctx context.Context, c engine.Call) (flow.Command, error) {
	p.mu.Lock()
	p.printed[c.Subject]++
	p.mu.Unlock()
	return p.answer(ctx, c)
}

func (p *printer) times(order string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.printed[order]
}

const labels = `SELECT count(*) FROM reservation WHERE state = 'labelled'`

func TestACallIsMadeOnceAndItsAnswerDecidedOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newPrinter(printLabel)
	s.start(t, calling(p.call))
	s.start(t, calling(p.call))
	names := orders(60)
	for _, o := range names {
		s.produce(t, s.created(o), s.completed(o), s.event(o, 3, &orderv1.OrderCompleted{OrderId: o}))
	}
	s.becomes(t, 60, labels)
	s.handled(t)
	for _, o := range names {
		if p.times(o) != 1 {
			t.Errorf("the label of %s was printed %d times", o, p.times(o))
		}
	}
	if n := s.count(t, `SELECT count(*) FROM call WHERE state = 1 AND attempts = 1`); n != 60 {
		t.Errorf("%d calls are answered at the first try: want 60", n)
	}
	list := s.emitted(t)
	if len(list) != 120 {
		t.Errorf("%d events were emitted: want 120", len(list))
	}
	gapless(t, list)
}

// What the call emits in the end has the event as its cause that asked for it.
func TestAnAnswersEventIsCausedByTheEventThatAsked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.relay(t)
	s.start(t)
	completed := s.completed("order-1")
	s.produce(t, completed)
	s.becomes(t, 1, labels)
	s.becomes(t, 0, `SELECT count(*) FROM outbox`)
	records := s.published(t, "stock.v1")
	if len(records) != 1 {
		t.Fatalf("published %d events: want 1", len(records))
	}
	got, asked := parse(t, records[0]), parse(t, completed)
	if got.Causation != asked.ID || got.Correlation != asked.Correlation || got.TraceParent != asked.TraceParent || got.Sequence != 1 {
		t.Errorf("envelope is %+v, that of the event which asked %+v", got, asked)
	}
}

func TestAFailedCallIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, calling(func(ctx context.Context, c engine.Call) (flow.Command, error) {
		switch c.Attempt {
		case 1:
			return nil, errors.New("out of paper\x00")
		case 2:
			panic("out of ink")
		case 3:
			return labelled{order: "another"}, nil
		}
		return printLabel(ctx, c)
	}))
	s.produce(t, s.completed("order-1"))
	testkit.Eventually(t, patience, func() error {
		stuck, err := n.engine.StuckCalls(t.Context(), 2, 10)
		if err == nil && (len(stuck) != 1 || stuck[0].LastError == "" || stuck[0].Kind != "label") {
			err = fmt.Errorf("stuck calls are %+v", stuck)
		}
		return err
	})
	s.becomes(t, 1, labels)
	if n := s.count(t, `SELECT attempts FROM call`); n != 4 {
		t.Errorf("the call was made %d times: want 4", n)
	}
}

// The answer of a call that was withdrawn while it was under way changes nothing.
func TestTheAnswerOfAWithdrawnCallIsDropped(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	under, release := make(chan struct{}), make(chan struct{})
	s.start(t, calling(func(ctx context.Context, c engine.Call) (flow.Command, error) {
		if c.Subject == "order-1" {
			close(under)
			<-release
		}
		return printLabel(ctx, c)
	}))
	s.produce(t, s.created("order-1"), s.completed("order-1"))
	<-under
	s.produce(t, s.cancelled("order-1"))
	s.becomes(t, 1, `SELECT count(*) FROM call WHERE state = 2`)
	close(release)
	s.produce(t, s.completed("order-2"))
	s.becomes(t, 1, labels)
	if n := s.count(t, `SELECT count(*) FROM reservation WHERE order_id = 'order-1' AND state = 'back'`); n != 1 {
		t.Error("the withdrawn call's answer was decided")
	}
}

// A worker that dies leaves a call that is made again, by whoever is there, once its lease has ended;
// the dead one's answer, should it come after all, does not count.
func TestACallOfADeadWorkerIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	short := tuned(func(t *engine.Tuning) { t.CallTimeout, t.CallLease = 100*time.Millisecond, 300*time.Millisecond })
	under, released := make(chan engine.Call, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	dead := s.start(t, short, calling(func(_ context.Context, c engine.Call) (flow.Command, error) {
		select {
		case under <- c:
		default: // made again, as its lease was over before the machine got on
		}
		<-released
		return labelled{order: c.Subject, number: 99}, nil
	}))
	t.Cleanup(release) // also where the test ends before its time
	s.produce(t, s.completed("order-1"))
	first := <-under
	p := newPrinter(printLabel)
	alive := s.start(t, short, calling(p.call))
	// (The one that hangs claims nothing more: its slot is taken, but it has others. So it is cut off.)
	dead.net.cut()
	s.becomes(t, 1, labels)
	if p.times("order-1") != 1 {
		t.Errorf("the call was made %d times by the other worker: want once", p.times("order-1"))
	}
	check(t, engine.TakeAnswer(t.Context(), alive.engine, first, labelled{order: "order-1", number: 99}))
	if events := s.emitted(t); len(events) != 1 {
		t.Errorf("%d events were emitted: want the second call's only", len(events))
	}
	dead.net.restore()
	release()
}

// A process that was stopped between the claim and the call does not send once the lease is over.
func TestAPausedWorkerDoesNotSend(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newPrinter(printLabel)
	n := s.start(t, calling(p.call))
	engine.MakeCall(t.Context(), n.engine, engine.Call{Subject: "late", Kind: "label", Attempt: 1}, time.Now().Add(-2100*time.Millisecond))
	if p.times("late") != 0 {
		t.Error("a call was sent though it might outlast its lease")
	}
	engine.MakeCall(t.Context(), n.engine, engine.Call{Subject: "early", Kind: "label", Attempt: 1}, time.Now())
	if p.times("early") != 1 {
		t.Error("a call was not sent within its lease")
	}
}

// Of two calls of a kind the first counts, also within one batch; withdrawn in the batch that asks, it is
// never made.
func TestCallsAskedTwiceAndWithdrawnWithinABatch(t *testing.T) {
	t.Parallel()
	for name, pace := range map[string]time.Duration{"one by one": time.Nanosecond, "one batch": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			var bodies sync.Map
			var calls atomic.Int64
			s.start(t, tuned(func(t *engine.Tuning) {
				if t.Pace = pace; pace < time.Millisecond {
					t.BatchMax = 1
				}
			}), calling(func(ctx context.Context, c engine.Call) (flow.Command, error) {
				calls.Add(1)
				bodies.Store(c.Subject, string(c.Body))
				return printLabel(ctx, c)
			}))
			s.produce(t,
				s.event("twice", 1, &orderv1.OrderCompleted{OrderId: "twice", UserId: "first"}),
				s.event("twice", 2, &orderv1.OrderCompleted{OrderId: "twice", UserId: "second"}),
				s.event("never", 1, &orderv1.OrderCouponWaived{OrderId: "never"}),
				s.event("never", 2, &orderv1.OrderCompleted{OrderId: "never"}))
			s.becomes(t, 1, labels)
			s.handled(t)
			body, _ := bodies.Load("twice")
			var got map[string]string
			check(t, json.Unmarshal([]byte(body.(string)), &got))
			if got["note"] != "first" || calls.Load() != 1 {
				t.Errorf("%d calls, the one of twice with %v: want one, with the first body", calls.Load(), got)
			}
			if n := s.count(t, `SELECT count(*) FROM call WHERE subject = 'never' AND state = 2`); n != 1 {
				t.Error("the call that was asked for and taken back is not withdrawn")
			}
		})
	}
}

// The call of a parked subject waits: its answer could not be decided.
func TestCallsOfAParkedSubjectWait(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newPrinter(printLabel)
	var open atomic.Bool
	n := s.start(t, noRetries, calling(func(ctx context.Context, c engine.Call) (flow.Command, error) {
		if !open.Load() {
			return nil, errors.New("closed")
		}
		return p.call(ctx, c)
	}))
	s.produce(t, s.completed("order-1"))
	s.becomes(t, 1, `SELECT count(*) FROM call WHERE last_error = 'closed'`)
	s.produce(t, s.createdBy("order-1", "panic"))
	s.becomes(t, 1, parkedSubjects)
	open.Store(true)
	s.produce(t, s.completed("order-2"))
	s.becomes(t, 1, labels)
	_, err := s.pool.Exec(t.Context(), `UPDATE call SET due_at = clock_timestamp() WHERE state = 0`)
	check(t, err)
	s.produce(t, s.completed("order-3"))
	s.becomes(t, 2, labels)
	if p.times("order-1") != 0 {
		t.Error("the call of a parked order was made")
	}
	n.toy.mended.Store(true)
	_, err = n.engine.Replay(t.Context(), "order-1")
	check(t, err)
	s.becomes(t, 3, labels)
}
