package outbox

import (
	"encoding/binary"
	"errors"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Record is one event to publish.
type Record struct {
	// Topic is the topic's full name. Key is the subject: it is the Kafka key, it decides the
	// partition, and order is kept per key. Neither may be empty.
	Topic, Key string
	// EventID identifies the event for consumers' deduplication; it survives republishing. The
	// age metric takes the event's time from it where it is a UUIDv7.
	EventID uuid.UUID
	// Seq is the event's number within its source and subject, from 1 without gaps.
	Seq int32
	// Headers are sent as they are and in this order: the whole envelope, ce_id, ce_sequence and
	// traceparent included. At most 32 KiB together.
	Headers []Header
	// Payload is the record's value, at most 900,000 bytes.
	Payload []byte
	// Null says that the value is null, which is not an empty one: a compacted topic then forgets the key.
	Null bool
}

// Header is a Kafka record header with a text value.
type Header struct{ Key, Value string }

var errHeaders = errors.New("outbox: headers are not as Append writes them")

// encodeHeaders appends headers to buf as Kafka itself frames them: length and text, in turn. As jsonb
// the same headers cost about ten times the CPU per row, both ways, and nobody asks for one in SQL.
func encodeHeaders(buf []byte, headers []Header) []byte {
	for _, h := range headers {
		buf = binary.AppendUvarint(buf, uint64(len(h.Key)))
		buf = append(buf, h.Key...)
		buf = binary.AppendUvarint(buf, uint64(len(h.Value)))
		buf = append(buf, h.Value...)
	}
	return buf
}

func decodeHeaders(buf []byte) ([]kgo.RecordHeader, error) {
	headers := make([]kgo.RecordHeader, 0, 16)
	for len(buf) > 0 {
		key, rest, ok := cutField(buf)
		if !ok {
			return nil, errHeaders
		}
		value, rest, ok := cutField(rest)
		if !ok {
			return nil, errHeaders
		}
		headers = append(headers, kgo.RecordHeader{Key: string(key), Value: value})
		buf = rest
	}
	return headers, nil
}

func cutField(buf []byte) (field, rest []byte, ok bool) {
	n, width := binary.Uvarint(buf)
	if width <= 0 || n > uint64(len(buf)-width) {
		return nil, nil, false
	}
	end := width + int(n)
	return buf[width:end:end], buf[end:], true
}
