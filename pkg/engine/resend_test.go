package engine_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// awaitPublished waits for n events on stock.v1 and returns them.
func (s *stage) awaitPublished(t *testing.T, n int) []*kgo.Record {
	t.Helper()
	var records []*kgo.Record
	testkit.Eventually(t, patience, func() error {
		if records = s.published(t, "stock.v1"); len(records) < n {
			return errors.New("not published yet")
		}
		return nil
	})
	return records
}

// An event that is sent again is the same fact under a new id and the next number, caused by the first
// one; under one Idempotency-Key it is sent once.
func TestEventIsSentAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t)
	s.relay(t)
	s.produce(t, s.created("order-1"))
	first := s.awaitPublished(t, 1)[0]
	was, err := kafka.ParseEnvelope(first)
	check(t, err)

	again, err := n.engine.Published(t.Context(), was.ID, engine.Place{Topic: "stock.v1", Partition: first.Partition, Offset: first.Offset})
	check(t, err)
	for range 2 {
		answer, err := n.engine.Do(t.Context(), engine.Request{Member: "op", Key: "k", Command: again})
		check(t, err)
		if answer.Status != http.StatusAccepted {
			t.Fatalf("answered %+v", answer)
		}
	}
	records := s.awaitPublished(t, 2)
	if len(records) != 2 {
		t.Fatalf("%d events are published: want 2", len(records))
	}
	is, err := kafka.ParseEnvelope(records[1])
	check(t, err)
	if is.ID == was.ID || is.Type != was.Type || is.Subject != was.Subject || is.Sequence != 2 || is.Causation != was.ID ||
		is.Correlation != was.Correlation || is.Command == "" || string(records[1].Value) != string(first.Value) {
		t.Errorf("was %+v\nis  %+v", was, is)
	}
}

// Only what the service itself has published is sent again, and only while its topic has it.
func TestSendingAgainIsRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := s.start(t)
	s.relay(t)
	theirs := s.created("order-1")
	s.produce(t, theirs)
	first := s.awaitPublished(t, 1)[0]
	was, err := kafka.ParseEnvelope(first)
	check(t, err)
	event, err := kafka.ParseEnvelope(theirs)
	check(t, err)
	forged := s.created("order-2")
	forged.Topic = first.Topic
	s.produce(t, forged) // another service's event on this topic
	stranger, err := kafka.ParseEnvelope(forged)
	check(t, err)

	refused := func(id, topic string, partition int32, offset int64, want *fault.Refusal) {
		t.Helper()
		_, err := n.engine.Published(t.Context(), id, engine.Place{Topic: topic, Partition: partition, Offset: offset})
		if !errors.Is(err, want) {
			t.Errorf("%s at %s/%d %d: %v, want %v", id, topic, partition, offset, err, want)
		}
	}
	refused(event.ID, "stock.v1", first.Partition, first.Offset, fault.NotFound())
	refused(event.ID, "order.v1", theirs.Partition, theirs.Offset, fault.NotFound())
	refused(stranger.ID, "stock.v1", forged.Partition, forged.Offset, fault.NotFound())

	gone := kadm.Offsets{}
	gone.Add(kadm.Offset{Topic: first.Topic, Partition: first.Partition, At: first.Offset + 1})
	_, err = s.admin.DeleteRecords(t.Context(), gone)
	check(t, err)
	refused(was.ID, "stock.v1", first.Partition, first.Offset, fault.Conflict(fault.CodeConflict, ""))
}
