package flow

import (
	"reflect"
	"slices"
	"time"
)

// Record is an event as it stands on its topic, for listeners that take every type: the gateway's
// timeline, the export to the data platform. Payload is the protobuf message, not decoded.
type Record struct {
	Topic     string // without prefix
	Partition int32
	Offset    int64

	ID            string // ce_id, UUIDv7
	Type          string // ce_type, for example quadrille.stock.v1.StockDecreased
	Source        string // ce_source, for example /quadrille/stock
	SubjectID     string // ce_subject: order id, product id or member id
	Time          time.Time
	Sequence      int64 // per source and subject, gap-free from 1
	CausationID   string
	CommandID     string
	CorrelationID string
	TraceParent   string
	Payload       []byte
}

// recordType is the input of every listener.
var recordType = reflect.TypeFor[Record]()

// Subject makes a Record an input of its own subject.
func (r Record) Subject() string { return r.SubjectID }

// Listen binds a function to every event on whole topics, whatever its type. Topics are without
// prefix, at least one. A service has at most one listener, and no On beside it. Conditions are those of On: a record
// for which one does not hold is read past, without a lock or a row.
func Listen[W any](topics []string, decide func(*W, Record, Meta) []Event, conditions ...func(Record) bool) *Handler[W] {
	if len(topics) == 0 {
		panic("flow: " + funcName(decide) + " listens to no topic")
	}
	h := &Handler[W]{
		kind: KindEvent, input: recordType, fn: funcName(decide), name: "*",
		listens: slices.Clone(topics),
		decide: func(w *W, msg any, m Meta) (Reply, []Event) {
			return Reply{}, decide(w, msg.(Record), m)
		},
	}
	if len(conditions) > 0 {
		h.concerns = func(msg any) bool {
			return !slices.ContainsFunc(conditions, func(holds func(Record) bool) bool { return !holds(msg.(Record)) })
		}
	}
	return h
}
