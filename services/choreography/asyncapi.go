package choreography

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// AsyncAPI is proto/asyncapi.yaml: every topic, every event on it with its headers, and its fields in
// protobuf's JSON form. protoFolder is where the .proto files are, for what they say of each field.
func AsyncAPI(all []flow.Topology, protoFolder string) (string, error) {
	said, err := readComments(protoFolder)
	if err != nil {
		return "", err
	}
	d := document{said: said, compacted: compactedTopics(all), schemas: map[string]mapping{}}
	for _, t := range all {
		for _, name := range emittedBy(t) {
			if err := d.event(name); err != nil {
				return "", err
			}
		}
	}
	return "# Generated from the declared choreography by \"make generate\"; do not edit.\n" + yamlText(d.whole()), nil
}

// document gathers what the sections of the file are made of.
type document struct {
	said   comments
	topics []string
	// compacted are those of topics that keep the last event of each subject.
	compacted []string
	events    map[string][]string // full names by topic
	schemas   map[string]mapping  // by full name
}

// event adds an event type with every message it is made of.
func (d *document) event(name string) error {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return fmt.Errorf("describe the event %s: %w", name, err)
	}
	topic := flow.Topic(name)
	if d.events == nil {
		d.events = map[string][]string{}
	}
	if d.events[topic] == nil {
		d.topics = append(d.topics, topic)
	}
	d.events[topic] = append(d.events[topic], name)
	d.message(found.(protoreflect.MessageDescriptor))
	return nil
}

func (d *document) message(m protoreflect.MessageDescriptor) {
	name := string(m.FullName())
	if d.schemas[name] != nil {
		return
	}
	d.schemas[name] = mapping{} // a message may contain itself
	var schema, properties mapping
	schema.add("type", "object")
	if text := d.said[name]; text != "" {
		schema.add("description", text)
	}
	for i := range m.Fields().Len() {
		field := m.Fields().Get(i)
		properties.add(field.JSONName(), d.field(field))
	}
	schema.add("properties", properties)
	d.schemas[name] = schema
}

func (d *document) field(f protoreflect.FieldDescriptor) mapping {
	schema := d.kind(f)
	if f.IsList() {
		schema = mapping{{"type", "array"}, {"items", schema}}
	}
	if text := d.said[string(f.FullName())]; text != "" {
		schema.add("description", text)
	}
	schema.add("x-protobuf-field", int(f.Number()))
	return schema
}

// kind is a field's type as protobuf's JSON form writes it: 64-bit integers are strings there.
func (d *document) kind(f protoreflect.FieldDescriptor) mapping {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return mapping{{"type", "boolean"}}
	case protoreflect.Int32Kind:
		return mapping{{"type", "integer"}, {"format", "int32"}}
	case protoreflect.Int64Kind:
		return mapping{{"type", "string"}, {"format", "int64"}}
	case protoreflect.EnumKind:
		var values []any
		for i := range f.Enum().Values().Len() {
			values = append(values, string(f.Enum().Values().Get(i).Name()))
		}
		return mapping{{"type", "string"}, {"enum", values}}
	case protoreflect.MessageKind:
		if f.Message().FullName() == "google.protobuf.Timestamp" {
			return mapping{{"type", "string"}, {"format", "date-time"}}
		}
		d.message(f.Message())
		// Beside "$ref" nothing else counts in a JSON Schema of draft 7.
		return mapping{{"allOf", []any{mapping{{"$ref", "#/components/schemas/" + string(f.Message().FullName())}}}}}
	}
	return mapping{{"type", "string"}}
}

func (d *document) whole() mapping {
	var channels, operations, messages, schemas mapping
	for _, topic := range d.topics {
		owner, _, _ := strings.Cut(topic, ".")
		var inChannel, sent mapping
		var refs []any
		for _, name := range d.events[topic] {
			inChannel.add(shortName(name), mapping{{"$ref", "#/components/messages/" + name}})
			refs = append(refs, mapping{{"$ref", "#/channels/" + topic + "/messages/" + shortName(name)}})
			messages.add(name, d.messageSection(name))
		}
		channels.add(topic, mapping{
			{"address", topic},
			{"description", d.channelText(topic)},
			{"messages", inChannel},
			{"bindings", mapping{{"kafka", d.kafkaBinding(topic)}}},
		})
		sent = mapping{
			{"action", "send"},
			{"channel", mapping{{"$ref", "#/channels/" + topic}}},
			{"summary", "What the " + owner + " service publishes."},
			{"messages", refs},
		}
		operations.add(owner, sent)
	}
	for _, name := range slices.Sorted(maps.Keys(d.schemas)) {
		schemas.add(name, d.schemas[name])
	}
	return mapping{
		{"asyncapi", "3.0.0"},
		{"info", mapping{
			{"title", "Quadrille events"},
			{"version", "1.0.0"},
			{"description", "Every fact of the choreography, as CloudEvents 1.0 in Kafka's binary mode: attributes are headers, the value is the protobuf message. " +
				"Consumers need at-least-once delivery and order per key only; they drop repeated events by ce_id and see gaps by ce_sequence."},
			{"license", mapping{{"name", "Apache-2.0"}}},
		}},
		{"defaultContentType", "application/protobuf"},
		{"channels", channels},
		{"operations", operations},
		{"components", mapping{
			{"messages", messages},
			{"messageTraits", mapping{{"cloudEvent", mapping{{"headers", envelope()}}}}},
			{"schemas", schemas},
		}},
	}
}

func (d *document) channelText(topic string) string {
	switch topic {
	case "member.v1":
		return "Keyed by member id. Restricted: the only topic with personal data. A null value means erased."
	case "stock.v1":
		return "Keyed by order id; a product's own events by product id."
	}
	return "Keyed by order id."
}

func (d *document) kafkaBinding(topic string) mapping {
	config := mapping{{"cleanup.policy", []any{"delete"}}, {"retention.ms", int(retention.Milliseconds())}}
	if slices.Contains(d.compacted, topic) {
		config = mapping{{"cleanup.policy", []any{"compact"}}}
	}
	return mapping{{"partitions", 12}, {"replicas", 3}, {"topicConfiguration", config}, {"bindingVersion", "0.5.0"}}
}

func (d *document) messageSection(name string) mapping {
	m := mapping{
		{"name", name}, {"title", shortName(name)}, {"contentType", "application/protobuf"},
	}
	if text := d.said[name]; text != "" {
		m.add("summary", text)
	}
	m.add("traits", []any{mapping{{"$ref", "#/components/messageTraits/cloudEvent"}}})
	m.add("payload", mapping{{"$ref", "#/components/schemas/" + name}})
	return m
}

// envelope describes the headers every event has.
func envelope() mapping {
	text := func(description string) mapping {
		return mapping{{"type", "string"}, {"description", description}}
	}
	id := func(description string) mapping {
		return mapping{{"type", "string"}, {"format", "uuid"}, {"description", description}}
	}
	required := []any{
		"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_sequence",
		"ce_correlationid", "ce_partitionkey", "content-type",
	}
	return mapping{
		{"type", "object"},
		{"required", required},
		{"properties", mapping{
			{"ce_specversion", mapping{{"type", "string"}, {"const", "1.0"}}},
			{"ce_id", id("UUIDv7 of the event. The same event may come again: drop what has been seen.")},
			{"ce_source", text("/quadrille/ and the service's name.")},
			{"ce_type", text("Full name of the protobuf message.")},
			{"ce_subject", text("Order id, product id or member id.")},
			{"ce_time", mapping{{"type", "string"}, {"format", "date-time"}}},
			{"ce_sequence", text("Per source and subject, without gaps from 1, in decimal.")},
			{"ce_causationid", id("The event that caused this one; absent in the first of a chain.")},
			{"ce_commandid", id("The command, where one came between.")},
			{"ce_correlationid", id("The first event of the chain.")},
			{"ce_partitionkey", text("The record's key.")},
			{"traceparent", text("W3C trace context.")},
			{"content-type", mapping{{"type", "string"}, {"const", "application/protobuf"}}},
		}},
	}
}
