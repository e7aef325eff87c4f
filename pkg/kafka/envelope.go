// Package kafka knows the wire: the CloudEvents envelope in record headers, the topics and their
// partitions, and how a client is configured. It knows nothing of batches or databases.
package kafka

import (
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/outbox"
)

// ContentType is what every value is: the protobuf message that ce_type names.
const ContentType = "application/protobuf"

// HeaderType is the header that says an event's type. It is looked at before anything else of a record.
const HeaderType = "ce_type"

// Envelope is a CloudEvents 1.0 envelope in Kafka binary mode, with the extensions of this project.
type Envelope struct {
	ID      string // UUIDv7
	Type    string // quadrille.stock.v1.StockDecreased
	Source  string // /quadrille/stock
	Subject string // order id, product id or member id; also the partition key
	Time    time.Time
	// Sequence is per source and subject, gap-free from 1.
	Sequence int64
	// Causation is the id of the event that caused this one; empty for the first of a chain.
	Causation string
	// Command is the id of the command that came between, if one did.
	Command string
	// Correlation is the id of the first event of the chain.
	Correlation string
	TraceParent string
}

// Headers writes the envelope as record headers, in a fixed order.
func (e Envelope) Headers() []outbox.Header {
	headers := make([]outbox.Header, 0, 13)
	add := func(key, value string) {
		if value != "" {
			headers = append(headers, outbox.Header{Key: key, Value: value})
		}
	}
	add("ce_specversion", "1.0")
	add("ce_id", e.ID)
	add("ce_source", e.Source)
	add(HeaderType, e.Type)
	add("ce_subject", e.Subject)
	add("ce_time", e.Time.UTC().Format(time.RFC3339Nano))
	add("ce_sequence", strconv.FormatInt(e.Sequence, 10))
	add("ce_causationid", e.Causation)
	add("ce_commandid", e.Command)
	add("ce_correlationid", e.Correlation)
	add("ce_partitionkey", e.Subject)
	add("traceparent", e.TraceParent)
	add("content-type", ContentType)
	return headers
}

// Type returns the ce_type of a record, "" if it has none.
func Type(r *kgo.Record) string {
	for i := range r.Headers {
		if r.Headers[i].Key == HeaderType {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}

// ParseEnvelope reads the headers of a record. One of another CloudEvents version or content type, without a
// ce_id, ce_type, ce_source or ce_subject, or without a readable ce_time and ce_sequence, comes back with a
// *fault.DecodeError and with what could be read: the subject falls back to the record's key, so that it can
// be parked beside the order it is about ("" only if there is no key either). Of a header that stands there
// twice the last one holds, of ce_type the first, as Type reads it.
//
// So does one whose ce_subject is not the record's key: the key has chosen the partition, so nothing says in which
// order it stands to the other events of its subject.
func ParseEnvelope(r *kgo.Record) (Envelope, error) {
	w := wire{Envelope: Envelope{Type: Type(r)}}
	for i := range r.Headers {
		if text := w.attribute(r.Headers[i].Key); text != nil {
			*text = string(r.Headers[i].Value)
		}
	}
	bad := w.read()
	switch {
	case w.Subject == "":
		w.Subject = string(r.Key)
	case bad == "" && w.Subject != string(r.Key):
		bad = "ce_subject is not the record's key"
	}
	if bad != "" {
		return w.Envelope, &fault.DecodeError{Type: w.Type, Reason: bad}
	}
	return w.Envelope, nil
}

// wire is an envelope whose headers are not judged yet, with those that are more or less than a text of it.
type wire struct {
	Envelope
	spec, content, time, sequence string
}

// attribute is where a header's value belongs, nil if nowhere.
func (w *wire) attribute(header string) *string {
	switch header {
	case "ce_specversion":
		return &w.spec
	case "content-type":
		return &w.content
	case "ce_id":
		return &w.ID
	case "ce_source":
		return &w.Source
	case "ce_subject":
		return &w.Subject
	case "ce_time":
		return &w.time
	case "ce_sequence":
		return &w.sequence
	case "ce_causationid":
		return &w.Causation
	case "ce_commandid":
		return &w.Command
	case "ce_correlationid":
		return &w.Correlation
	case "traceparent":
		return &w.TraceParent
	}
	return nil
}

// read fills in the time and the number and says what is wrong with the envelope, "" if nothing is.
func (w *wire) read() (bad string) {
	// An offset can push a time that reads well out of the years that can be written again.
	if at, err := time.Parse(time.RFC3339Nano, w.time); err == nil && at.UTC().Year() >= 0 && at.UTC().Year() <= 9999 {
		w.Time = at.UTC()
	}
	if n, err := strconv.ParseInt(w.sequence, 10, 64); err == nil && n > 0 {
		w.Sequence = n
	}
	switch {
	case w.spec != "1.0":
		return "ce_specversion is not 1.0"
	case w.content != ContentType:
		return "content-type is not " + ContentType
	case w.ID == "":
		return "no ce_id"
	case w.Type == "":
		return "no " + HeaderType
	case w.Source == "":
		return "no ce_source"
	case w.Subject == "":
		return "no ce_subject"
	case w.Time.IsZero():
		return "ce_time is not a time"
	case w.Sequence == 0:
		return "ce_sequence is not a number from 1"
	}
	return ""
}
