package dataplatform

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// The types of these topics have to be known for their payloads to be read.
	_ "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	_ "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	_ "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	_ "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	_ "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// Schema names the shape of a batch. Fields may be added under the same name; what breaks a reader gets a new one.
const Schema = "quadrille.facts.v1"

// Batch is facts that are sent together, under an id that stays the same however often they are.
type Batch struct {
	ID string // UUIDv7
	// Replay is the id of the replay it belongs to; "" in the live stream.
	Replay string
	Facts  []Fact
}

// Document is the JSON of a batch.
type Document struct {
	Schema  string `json:"schema"`
	BatchID string `json:"batchId"`
	// Replay: the facts were sent before, in batches with other ids; ReplayID is the same in all batches of one replay.
	Replay   bool   `json:"replay"`
	ReplayID string `json:"replayId,omitempty"`
	Facts    []Line `json:"facts"`
}

// Line is the JSON of a fact: an object of a batch, or a line of a file.
type Line struct {
	Schema string `json:"schema,omitempty"` // in files, where no batch says it
	ID     string `json:"id"`               // the event's; the key to keep a fact under
	Type   string `json:"type"`             // quadrille.order.v1.OrderCreated
	// Name and Version are the words of Type that a reader wants: OrderCreated, 1.
	Name    string `json:"name"`
	Version string `json:"version"`
	Service string `json:"service"`
	Subject string `json:"subject"`
	// Sequence is per service and subject, gap-free from 1.
	Sequence    int64     `json:"sequence"`
	OccurredAt  time.Time `json:"occurredAt"`
	Causation   string    `json:"causationId,omitempty"`
	Correlation string    `json:"correlationId,omitempty"`
	// Position grows from fact to fact of the live stream, with gaps.
	Position int64 `json:"position"`
	// Data is the event in the canonical JSON of Protobuf: camelCase, 64-bit integers as strings, enums by name. It is
	// null for a type, or a version, that this release does not know: send it again once a newer one runs.
	Data json.RawMessage `json:"data"`
}

// withheld are fields that are nobody's but the services': a provider's token pays.
var withheld = []protoreflect.Name{"payment_token"}

var canonical = protojson.MarshalOptions{EmitDefaultValues: true}

// JSON is the batch as it is sent.
func (b Batch) JSON() ([]byte, error) {
	d := Document{Schema: Schema, BatchID: b.ID, Replay: b.Replay != "", ReplayID: b.Replay, Facts: make([]Line, 0, len(b.Facts))}
	for _, f := range b.Facts {
		d.Facts = append(d.Facts, NewLine(f))
	}
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode batch %s: %w", b.ID, err)
	}
	return body, nil
}

// NewLine reads a fact's payload. What cannot be read is left out, not passed on: an unknown payload may hold what has
// to be withheld.
func NewLine(f Fact) Line {
	line := Line{
		ID: f.ID, Type: f.Type, Subject: f.Subject, Sequence: f.Sequence, OccurredAt: writable(f.OccurredAt),
		Causation: f.Causation, Correlation: f.Correlation, Position: f.Position, Data: json.RawMessage("null"),
	}
	line.Service, line.Version, line.Name = words(f.Type)
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(f.Type))
	if err != nil {
		return line
	}
	m := t.New()
	if proto.Unmarshal(f.Payload, m.Interface()) != nil {
		return line
	}
	withhold(m)
	if data, err := canonical.Marshal(m.Interface()); err == nil {
		line.Data = data // compacted by json.Marshal: protojson's own spaces differ from build to build
	}
	return line
}

// writable is a time that JSON has a form for. One that has none is somebody's mistake, which must not keep a batch, and
// all after it, from being sent.
func writable(at time.Time) time.Time {
	if at = at.UTC(); at.Year() < 0 || at.Year() > 9999 {
		return time.Unix(0, 0).UTC()
	}
	return at
}

// words takes quadrille.stock.v1.StockDecreased apart: stock, 1, StockDecreased.
func words(eventType string) (service, version, name string) {
	parts := strings.Split(eventType, ".")
	name = parts[len(parts)-1]
	if len(parts) == 4 {
		service, version = parts[1], strings.TrimPrefix(parts[2], "v")
	}
	return service, version, name
}

// withhold empties the withheld fields of a message and of all in it.
func withhold(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case slices.Contains(withheld, field.Name()):
			m.Clear(field)
		case field.IsMap() || field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				withhold(value.List().Get(i).Message())
			}
		default:
			withhold(value.Message())
		}
		return true
	})
}
