package engine

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// arrival is a record that was polled, decoded where the service takes its type.
type arrival struct {
	record *kgo.Record
	slot   slot
	topic  string // without prefix
	// skip: of a type the service does not declare, or none of its business. Only its offset matters.
	skip bool
	// relaxed: nobody waits for what is decided on it.
	relaxed  bool
	envelope kafka.Envelope
	id       [16]byte // the event id, where known
	known    bool
	msg      any
	// err is a decode error: the arrival is parked with it instead of being decided.
	err error
}

// hurried says that somebody waits for what is decided on the arrival.
func (a *arrival) hurried() bool { return !a.skip && !a.relaxed }

// arrive looks at a record's type first, before anything that could fail: what the service does not
// take is none of its business, readable or not.
func (e *Engine[W]) arrive(record *kgo.Record, topic string, s slot) *arrival {
	a := &arrival{record: record, slot: s, topic: topic}
	eventType := kafka.Type(record)
	otherVersion := e.cfg.Definition.OtherVersion(eventType)
	if eventType != "" && !otherVersion && !e.cfg.Definition.Consumes(eventType) {
		a.skip = true
		return a
	}
	a.open()
	if a.err == nil {
		a.msg, a.err = e.message(a)
	}
	switch {
	case a.err != nil:
	case otherVersion:
		a.err = &fault.DecodeError{Type: eventType, Reason: "version is not known"}
	case !e.cfg.Definition.Concerns(a.msg):
		a.skip = true
	default:
		a.relaxed = e.cfg.Definition.Relaxed(a.msg)
	}
	return a
}

// open reads the envelope.
func (a *arrival) open() {
	a.envelope, a.err = kafka.ParseEnvelope(a.record)
	if s := a.envelope.Subject; s == "" || s != storable(s) || len(s) > longestSubject {
		// Nothing usable says what it is about; parked under its own place, it holds up nobody.
		a.envelope.Subject = fmt.Sprintf("unreadable/%s/%d/%d", a.topic, a.record.Partition, a.record.Offset)
		if a.err == nil {
			a.err = &fault.DecodeError{Type: a.envelope.Type, Reason: "ce_subject is not a text of reasonable length"}
		}
	}
	if a.err == nil && a.envelope.Type == "" {
		a.err = &fault.DecodeError{Reason: "no ce_type"}
	}
	for _, text := range []*string{&a.envelope.Correlation, &a.envelope.Causation, &a.envelope.Command, &a.envelope.TraceParent} {
		*text = storable(*text)
	}
	if id, err := uuid.Parse(a.envelope.ID); err == nil {
		a.id, a.known = id, true
	} else if a.err == nil {
		a.err = &fault.DecodeError{Type: a.envelope.Type, Reason: "ce_id is not a UUID"}
	}
	if a.err != nil {
		a.known = a.known && !a.envelope.Time.IsZero()
	}
}

// message is the input that the value of an arrival is. Null is not an empty message: it is one of its own, for those
// services that take it, and for the others it is nothing they could understand.
func (e *Engine[W]) message(a *arrival) (any, error) {
	if e.cfg.Definition.Listens() {
		return a.rawRecord(), nil
	}
	if a.record.Value == nil {
		if erased, taken := e.cfg.Definition.Erased(a.envelope.Type, a.envelope.Subject); taken {
			return erased, nil
		}
	}
	m, err := decodeMessage(a.envelope.Type, a.envelope.Subject, a.record.Value)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// longestSubject is far above any id, and below what an index entry of PostgreSQL can hold.
const longestSubject = 1024

// storable makes a text that PostgreSQL takes of any bytes: valid UTF-8 without NUL.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// decodeMessage reads a message and holds what it is about against the envelope: the lock that was taken
// is the envelope's subject, and a decision on another one would be made without it.
func decodeMessage(eventType, subject string, value []byte) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(eventType))
	if err != nil {
		return nil, &fault.DecodeError{Type: eventType, Reason: "type is not known", Err: err}
	}
	m := t.New().Interface()
	if err := proto.Unmarshal(value, m); err != nil {
		return nil, &fault.DecodeError{Type: eventType, Reason: "not a message of this type", Err: err}
	}
	// The contract: field 1 is the id that is the subject and the key.
	if id := t.Descriptor().Fields().ByNumber(1); id != nil && id.Kind() == protoreflect.StringKind && !id.IsList() &&
		m.ProtoReflect().Get(id).String() != subject {
		return nil, &fault.DecodeError{Type: eventType, Reason: string(id.Name()) + " is not the ce_subject"}
	}
	return m, nil
}

func (a *arrival) rawRecord() flow.Record {
	return flow.Record{
		Topic: a.topic, Partition: a.record.Partition, Offset: a.record.Offset,
		ID: a.envelope.ID, Type: a.envelope.Type, Source: a.envelope.Source, SubjectID: a.envelope.Subject,
		Time: a.envelope.Time, Sequence: a.envelope.Sequence, CausationID: a.envelope.Causation,
		CommandID: a.envelope.Command, CorrelationID: a.envelope.Correlation,
		TraceParent: a.envelope.TraceParent, Payload: a.record.Value,
	}
}
