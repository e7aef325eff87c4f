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
	headers := make([]outbox.Header, 0, 14)
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

// ParseEnvelope reads the headers of a record. One of another CloudEvents version or content type, without a ce_id, ce_subject or readable
// ce_time comes back with a *fault.DecodeError and with what could be read: the subject falls back to
// the record's key, so that it can be parked beside the order it is about.
func ParseEnvelope(r *kgo.Record) (Envelope, error) {
	e := Envelope{Type: Type(r), Subject: string(r.Key)}
	var bad, spec, content string
	for i := range r.Headers {
		value := string(r.Headers[i].Value)
		switch r.Headers[i].Key {
		case "ce_specversion":
			spec = value
		case "content-type":
			content = value
		case "ce_id":
			e.ID = value
		case "ce_source":
			e.Source = value
		case "ce_subject":
			e.Subject = value
		case "ce_time":
			t, err := time.Parse(time.RFC3339Nano, value)
			if err != nil {
				bad = "ce_time is not a time"
			}
			e.Time = t
		case "ce_sequence":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				bad = "ce_sequence is not a number"
			}
			e.Sequence = n
		case "ce_causationid":
			e.Causation = value
		case "ce_commandid":
			e.Command = value
		case "ce_correlationid":
			e.Correlation = value
		case "traceparent":
			e.TraceParent = value
		}
	}
	switch {
	case spec != "1.0":
		bad = "ce_specversion is not 1.0"
	case content != ContentType:
		bad = "content-type is not " + ContentType
	case e.ID == "":
		bad = "no ce_id"
	case e.Subject == "":
		bad = "no ce_subject and no key"
	case e.Time.IsZero() && bad == "":
		bad = "no ce_time"
	}
	if bad != "" {
		return e, &fault.DecodeError{Type: e.Type, Reason: bad}
	}
	return e, nil
}
