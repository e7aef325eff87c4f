package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
)

func restocking(key, product string, pieces int64) engine.Request {
	return engine.Request{
		Member: "m", Key: key, BodyHash: fmt.Append(nil, product, pieces),
		Command: restock{product: product, pieces: pieces},
	}
}

// all sends requests at once, in turn to the nodes.
func all(t *testing.T, requests []engine.Request, nodes ...*node) ([]engine.Answer, []error) {
	t.Helper()
	answers, errs := make([]engine.Answer, len(requests)), make([]error, len(requests))
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() { answers[i], errs[i] = nodes[i%len(nodes)].engine.Do(t.Context(), r) })
	}
	wg.Wait()
	return answers, errs
}

// sameAnswer checks that exactly one of the answers is the first one, and the others are it again.
func sameAnswer(t *testing.T, answers []engine.Answer, errs []error) {
	t.Helper()
	first := 0
	for i, a := range answers {
		check(t, errs[i])
		if !a.Replayed {
			first++
		}
		if a.Status != http.StatusOK || string(a.Body) != string(answers[0].Body) {
			t.Errorf("answers are %d %s and %s: want all the same", a.Status, a.Body, answers[0].Body)
		}
	}
	if first != 1 {
		t.Errorf("%d answers are the first one: want 1", first)
	}
}

// Those that come while a batch is decided are one batch: here the one before them waits for a connection until all
// have come.
func TestParallelRequestsWithOneKeyAreOneDecision(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	gate := newGate()
	// Nobody else asks for a connection meanwhile: no sweep is near, and the consumer has caught up.
	n := s.start(t, tuned(func(t *engine.Tuning) { t.Sweep = time.Hour }), func(set *setup) { set.pool.PrepareConn = gate.pass })
	s.becomes(t, partitions, `SELECT count(*) FROM fence`)
	gate.shut()
	// Who has gone away already does not wait; the command is under way all the same.
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := n.engine.Do(gone, restocking("before", "Q", 1)); err == nil {
		t.Fatal("answered without a connection")
	}
	gate.waited(t)
	requests := make([]engine.Request, 60)
	for i := range requests {
		requests[i] = restocking("k", "Q", 7)
	}
	var answers []engine.Answer
	var errs []error
	var answered sync.WaitGroup
	answered.Go(func() { answers, errs = all(t, requests, n) })
	eventually(t, "many commands wait behind the first", true, func() (bool, error) { return engine.Queued(n.engine) > len(requests)/2, nil })
	gate.open()
	answered.Wait()
	sameAnswer(t, answers, errs)
	if left := s.count(t, `SELECT quantity FROM product WHERE id = 'Q'`); left != 8 || len(s.emitted(t)) != 2 {
		t.Errorf("%d pieces and %d events: want 8 and 2", left, len(s.emitted(t)))
	}
}

func TestTwoReplicasWithOneKeyAreOneDecision(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a, b := s.start(t), s.start(t)
	for round := range 10 {
		var requests []engine.Request
		for range 20 {
			requests = append(requests, restocking(fmt.Sprint(round), fmt.Sprint("Q", round), 7))
		}
		answers, errs := all(t, requests, a, b)
		sameAnswer(t, answers, errs)
	}
	if events := s.emitted(t); len(events) != 10 {
		t.Errorf("%d events were emitted: want 10", len(events))
	}
}

func TestAKeyReusedForAnotherBodyIsRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t)
	refused := func(a engine.Answer, err error) bool {
		check(t, err)
		return a.Refusal != nil && a.Refusal.Code == "idempotency_key_reused" && a.Status == 422
	}
	// At once, in one batch or two: one of the bodies wins.
	for round := range 10 {
		answers, errs := all(t, []engine.Request{restocking(fmt.Sprint(round), "Q", 1), restocking(fmt.Sprint(round), "Q", 2)}, n)
		if refused(answers[0], errs[0]) == refused(answers[1], errs[1]) {
			t.Errorf("answers are %+v and %+v: want one of them refused", answers[0], answers[1])
		}
	}
	if _, err := n.engine.Do(t.Context(), restocking("k", "Q", 1)); err != nil {
		t.Fatal(err)
	}
	if a, err := n.engine.Do(t.Context(), restocking("k", "Q", 2)); !refused(a, err) {
		t.Errorf("answered %+v: want idempotency_key_reused", a)
	}
	other := restocking("k", "Q", 2)
	other.Member = "another"
	if a, err := n.engine.Do(t.Context(), other); err != nil || a.Status != 200 || a.Replayed {
		t.Errorf("another member's key gave %+v, %v: keys are each member's own", a, err)
	}
	if a, err := n.engine.Do(t.Context(), restocking("k", "Q", 1)); err != nil || !a.Replayed || a.Status != 200 {
		t.Errorf("the first body again gave %+v, %v: want the first answer", a, err)
	}
}

// One command of a batch panics: it is answered, nothing is parked, and its neighbours succeed.
func TestAFailingCommandIsAnsweredAloneAndNotParked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, tuned(func(t *engine.Tuning) { t.Pace = 50 * time.Millisecond }))
	var requests []engine.Request
	for i := range 30 {
		pieces := int64(2)
		if i == 17 {
			pieces = 13
		}
		requests = append(requests, restocking("", fmt.Sprint("Q", i), pieces))
	}
	answers, errs := all(t, requests, n)
	for i := range answers {
		if i != 17 && (errs[i] != nil || answers[i].Status != 200) {
			t.Errorf("command %d was answered %+v, %v", i, answers[i], errs[i])
		}
	}
	var panicked *fault.PanicError
	if !errors.As(errs[17], &panicked) {
		t.Errorf("the failing command was answered %v", errs[17])
	}
	if parked := s.count(t, parkedSubjects); parked != 0 {
		t.Errorf("%d subjects are parked", parked)
	}
	if len(s.emitted(t)) != 29 {
		t.Errorf("%d events were emitted: want 29", len(s.emitted(t)))
	}
}

func TestARefusalIsKeptForItsKey(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t)
	for i := range 2 {
		a, err := n.engine.Do(t.Context(), restocking("k", "Q", -1))
		check(t, err)
		if a.Status != 422 || a.Refusal == nil || a.Refusal.Detail != "pieces must be positive" || a.Replayed != (i == 1) {
			t.Errorf("answer %d is %+v", i, a)
		}
	}
}

// After the engine has stopped a command is refused at once, and what was taken before is answered.
func TestCommandsAreAnsweredWhileTheEngineStops(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, tuned(func(t *engine.Tuning) { t.BatchMax = 4 }))
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			for {
				a, err := n.engine.Do(t.Context(), restocking("", fmt.Sprint("Q", i), 1))
				var refusal *fault.Refusal
				switch {
				case errors.As(err, &refusal) && refusal.Code == "service_unavailable":
					return
				case err != nil || a.Status != 200:
					t.Errorf("answered %+v, %v", a, err)
					return
				}
			}
		})
	}
	s.becomes(t, 1, `SELECT least(count(*), 1) FROM command`)
	n.stop()
	wg.Wait()
}
