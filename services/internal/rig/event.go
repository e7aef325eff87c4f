package rig

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// Event is one event with its envelope.
type Event struct {
	kafka.Envelope
	Message proto.Message
	// Erased: the value is null.
	Erased bool
}

// Name is the short name of the event's type: OrderCreated.
func (e Event) Name() string { return string(e.Message.ProtoReflect().Descriptor().Name()) }

// NewID makes an id of an order, event or member that nobody else has.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// NewEvent is what the owner of the message's type would publish: the first of its chain and of its subject.
func NewEvent(subject string, m proto.Message) Event {
	return Event{Envelope: newEnvelope(string(m.ProtoReflect().Descriptor().FullName()), subject), Message: m}
}

func newEnvelope(eventType, subject string) kafka.Envelope {
	id := NewID()
	return kafka.Envelope{
		ID: id, Type: eventType, Source: "/quadrille/" + flow.Owner(eventType), Subject: subject,
		Time: time.Now(), Sequence: 1, Correlation: id,
	}
}

// Publish puts events about a subject on their topics, as the services that own them would, and returns the id of the
// last.
func (r *Rig) Publish(subject string, messages ...proto.Message) (id string) {
	r.T.Helper()
	events := make([]Event, len(messages))
	for i, m := range messages {
		events[i] = NewEvent(subject, m)
		id = events[i].ID
	}
	r.Send(events...)
	return id
}

// Send puts events on their topics just as they are.
func (r *Rig) Send(events ...Event) {
	r.T.Helper()
	records := make([]*kgo.Record, len(events))
	for i, e := range events {
		value, err := proto.Marshal(e.Message)
		if err != nil {
			r.T.Fatal(err)
		}
		records[i] = r.record(e.Envelope, value)
	}
	r.produce(records...)
}

// SendBytes puts something on the topic of an event type that need not be such an event, and returns its id.
func (r *Rig) SendBytes(eventType, subject, cause string, value []byte) (id string) {
	r.T.Helper()
	e := newEnvelope(eventType, subject)
	e.Causation = cause
	r.produce(r.record(e, value))
	return e.ID
}

// Erase puts a null value under the envelope of an event on its topic.
func (r *Rig) Erase(subject string, m proto.Message) {
	r.T.Helper()
	r.produce(r.record(NewEvent(subject, m).Envelope, nil))
}

func (r *Rig) record(e kafka.Envelope, value []byte) *kgo.Record {
	record := &kgo.Record{Topic: r.prefix + flow.Topic(e.Type), Key: []byte(e.Subject), Value: value}
	for _, h := range e.Headers() {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	return record
}

func (r *Rig) produce(records ...*kgo.Record) {
	r.T.Helper()
	if err := r.client.ProduceSync(r.T.Context(), records...).FirstErr(); err != nil {
		r.T.Fatal(err)
	}
}

// published is what the service has published so far, in the order of its partitions.
type published struct {
	mu     sync.Mutex
	events []Event
}

func (p *published) keep(record *kgo.Record) error {
	envelope, err := kafka.ParseEnvelope(record)
	if err != nil {
		return err
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(envelope.Type))
	if err != nil {
		return fmt.Errorf("event of type %q: %w", envelope.Type, err)
	}
	m := kind.New().Interface()
	if err := proto.Unmarshal(record.Value, m); err != nil {
		return fmt.Errorf("decode %s: %w", envelope.Type, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, Event{Envelope: envelope, Message: m, Erased: record.Value == nil})
	return nil
}

// Filter picks events.
type Filter func(Event) bool

// About picks the events of a subject.
func About(subject string) Filter { return func(e Event) bool { return e.Subject == subject } }

// Named picks the events of a type by its short name.
func Named(name string) Filter { return func(e Event) bool { return e.Name() == name } }

// Events are those that the service has published so far and all filters pick; those of one subject in their order.
func (r *Rig) Events(filters ...Filter) []Event {
	r.published.mu.Lock()
	defer r.published.mu.Unlock()
	var found []Event
events:
	for _, e := range r.published.events {
		for _, picks := range filters {
			if !picks(e) {
				continue events
			}
		}
		found = append(found, e)
	}
	return found
}

// Await waits until there are at least n Events, and returns all there are.
func (r *Rig) Await(n int, filters ...Filter) []Event {
	r.T.Helper()
	var found []Event
	testkit.Eventually(r.T, Patience, func() error {
		if found = r.Events(filters...); len(found) < n {
			return fmt.Errorf("%d events were published, want %d", len(found), n)
		}
		return nil
	})
	return found
}

// Want waits for the n-th event about a subject (from 1) and holds it against its message and its cause. Of the drawn
// fields, ids and times, it only asks that they are there. It returns the event's id.
func (r *Rig) Want(subject string, n int, cause string, want proto.Message, drawn ...protoreflect.Name) (id string) {
	r.T.Helper()
	e := r.Await(n, About(subject))[n-1]
	got := proto.Clone(e.Message)
	for _, name := range drawn {
		field := got.ProtoReflect().Descriptor().Fields().ByName(name)
		if field == nil {
			continue // another type's
		}
		if !got.ProtoReflect().Has(field) {
			r.T.Errorf("%T without %s", got, name)
		}
		got.ProtoReflect().Clear(field)
	}
	if !proto.Equal(got, want) {
		r.T.Errorf("event %d: got %T %v\nwant %T %v", n, got, got, want, want)
	}
	if source := "/quadrille/" + flow.Owner(e.Type); e.Causation != cause || e.Sequence != int64(n) || e.Source != source {
		r.T.Errorf("event %d: cause %s (want %s), sequence %d, source %s (want %s)", n, e.Causation, cause, e.Sequence, e.Source, source)
	}
	return e.ID
}

// CaughtUp waits until the service has dealt with all that was published on the topics it reads, also with what it had
// nothing to say to. What it said may still be in its outbox: see Emitted.
func (r *Rig) CaughtUp() {
	r.T.Helper()
	ends, err := kadm.NewClient(r.client).ListEndOffsets(r.T.Context(), r.reads...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		r.T.Fatal(err)
	}
	testkit.Eventually(r.T, Patience, func() error {
		var behind []error
		ends.Each(func(end kadm.ListedOffset) {
			var next int64
			err := r.Pool.QueryRow(r.T.Context(), `SELECT coalesce(max(next_offset), 0) FROM fence WHERE topic = $1 AND partition = $2`,
				end.Topic, end.Partition).Scan(&next)
			if err == nil && next < end.Offset {
				err = fmt.Errorf("%s/%d is read to %d of %d", end.Topic, end.Partition, next, end.Offset)
			}
			behind = append(behind, err)
		})
		return errors.Join(behind...)
	})
}

// Emitted is how many events the service has ever emitted about a subject, published or not yet.
func (r *Rig) Emitted(subject string) int {
	r.T.Helper()
	var n int
	if err := r.Pool.QueryRow(r.T.Context(), `SELECT emitted FROM subject WHERE id = $1`, subject).Scan(&n); err != nil {
		r.T.Fatal(err)
	}
	return n
}

// UntilTried waits until the service's call about a subject has been made n times.
func (r *Rig) UntilTried(subject, kind string, n int) {
	r.T.Helper()
	testkit.Eventually(r.T, Patience, func() error {
		var tried int
		err := r.Pool.QueryRow(r.T.Context(), `SELECT attempts FROM call WHERE subject = $1 AND kind = $2`, subject, kind).Scan(&tried)
		if err == nil && tried < n {
			err = fmt.Errorf("%s was tried %d times", kind, tried)
		}
		return err
	})
}
