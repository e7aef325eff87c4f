package engine_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// null is a null value under an event's envelope.
func null(r *kgo.Record) *kgo.Record {
	r.Value = nil
	return r
}

// What a decision erases is a null value under an envelope like any other, and is never published again.
func TestAnErasureIsPublishedAsNull(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t)
	s.relay(t)
	for _, command := range []engine.Request{{Command: restock{"P", 1}}, {Command: delist{"P"}}, {Command: restock{"P", 1}}} {
		_, err := n.engine.Do(t.Context(), command)
		check(t, err)
	}
	records := s.awaitPublished(t, 3)
	for i, want := range []struct {
		name string
		null bool
	}{{"StockRestocked", false}, {"ProductListed", true}, {"StockRestocked", false}} {
		e, err := kafka.ParseEnvelope(records[i])
		check(t, err)
		if e.Type != "quadrille.stock.v1."+want.name || (records[i].Value == nil) != want.null || e.Sequence != int64(i+1) || e.Subject != "P" || string(records[i].Key) != "P" {
			t.Errorf("record %d: %+v, value %q", i, e, records[i].Value)
		}
	}
	e, err := kafka.ParseEnvelope(records[1])
	check(t, err)
	_, err = n.engine.Published(t.Context(), e.ID, engine.Place{Topic: "stock.v1", Partition: records[1].Partition, Offset: records[1].Offset})
	var refusal *fault.Refusal
	if !errors.As(err, &refusal) || refusal.Status != http.StatusNotFound {
		t.Errorf("it would be sent again: %v", err)
	}
}

// A null value is an input of its own, decided in its place among the others, once.
func TestANullValueIsDecided(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.start(t)
	gone := null(s.created("order"))
	s.produce(t, s.created("order"), gone, gone, s.created("other"))
	s.handled(t)
	s.becomes(t, 1, `SELECT count(*) FROM reservation WHERE order_id = 'order' AND state = 'erased'`)
	s.becomes(t, 1, `SELECT count(*) FROM reservation WHERE order_id = 'other' AND state = 'taken'`)
	if n := s.count(t, `SELECT count(*) FROM failure`); n > 0 {
		t.Errorf("%d subjects are parked", n)
	}
}

// Where only values are taken, a null one is nothing to guess about: it is parked.
func TestANullValueNobodyTakesIsParked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.start(t, noRetries)
	s.produce(t, null(s.event("order", 1, &orderv1.OrderCancelled{OrderId: "order"})))
	s.handled(t)
	if n := s.count(t, `SELECT count(*) FROM failure WHERE subject = 'order'`); n != 1 {
		t.Errorf("%d subjects are parked", n)
	}
}

// Behind a parked event a null value waits as a null value.
func TestANullValueWaitsBehindAParkedEvent(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t, noRetries)
	s.produce(t, s.event("order", 1, orderOf("order", "panic", "P")), null(s.created("order")))
	s.handled(t)
	if rows := s.count(t, `SELECT count(*) FROM parked_event WHERE subject = 'order'`); rows != 2 {
		t.Fatalf("%d events are parked", rows)
	}
	n.toy.mended.Store(true)
	handled, err := n.engine.Replay(t.Context(), "order")
	check(t, err)
	if state := s.count(t, `SELECT count(*) FROM reservation WHERE order_id = 'order' AND state = 'erased'`); handled != 2 || state != 1 {
		t.Errorf("%d were handled, the order is erased: %d", handled, state)
	}
}
