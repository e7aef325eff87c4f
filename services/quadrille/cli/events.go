package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

type eventsCommand struct {
	Tail tailCommand `cmd:"" help:"Print events as JSON as they are published."`
}

type tailCommand struct {
	FromStart bool     `help:"Begin with the oldest that is kept."`
	Subject   string   `help:"Only of this order or product."`
	Type      string   `help:"Only of this type: StockDecreased."`
	Count     int      `short:"n" help:"End after so many; 0: never."`
	Topics    []string `help:"The topics, without prefix." default:"order.v1,stock.v1,coupon.v1,payment.v1,shipping.v1"`
}

// tailed is one event as it is printed.
type tailed struct {
	ID            string          `json:"id"`
	Type          string          `json:"type"`
	Source        string          `json:"source"`
	Subject       string          `json:"subject"`
	Time          time.Time       `json:"time"`
	Sequence      int64           `json:"sequence"`
	CausationID   string          `json:"causationId,omitempty"`
	CommandID     string          `json:"commandId,omitempty"`
	CorrelationID string          `json:"correlationId,omitempty"`
	TraceParent   string          `json:"traceparent,omitempty"`
	Topic         string          `json:"topic"`
	Partition     int32           `json:"partition"`
	Offset        int64           `json:"offset"`
	Data          json.RawMessage `json:"data,omitempty"`
	// Error says why data is missing.
	Error string `json:"error,omitempty"`
}

// Run reads the topics without a group: it takes nothing away from anybody.
func (c *tailCommand) Run(ctx context.Context, s *session) error {
	brokers, err := s.variable("KAFKA_BROKERS")
	if err != nil {
		return err
	}
	from := kgo.NewOffset().AtEnd()
	if c.FromStart {
		from = kgo.NewOffset().AtStart()
	}
	prefix := os.Getenv("TOPIC_PREFIX")
	topics := make([]string, 0, len(c.Topics))
	for _, t := range c.Topics {
		topics = append(topics, prefix+t)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.ClientID("quadrille-tail"),
		kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(from))
	if err != nil {
		return fmt.Errorf("open the topics: %w", err)
	}
	defer client.Close()
	if err := ping(ctx, client); err != nil {
		return err
	}
	for left := c.Count; ; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read the topics: %w", err)
		}
		for _, r := range fetches.Records() {
			e := tailRecord(r)
			if !c.wants(e) {
				continue
			}
			if err := s.printJSON(e); err != nil {
				return err
			}
			if left--; left == 0 {
				return nil
			}
		}
	}
}

// ping tells brokers that are not there from topics without news.
func ping(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		return errors.Join(rest.ErrUnreachable, fmt.Errorf("reach the brokers: %w", err))
	}
	return nil
}

func (c *tailCommand) wants(e tailed) bool {
	return (c.Subject == "" || c.Subject == e.Subject) && (c.Type == "" || c.Type == e.Type || strings.HasSuffix(e.Type, "."+c.Type))
}

func tailRecord(r *kgo.Record) tailed {
	envelope, err := kafka.ParseEnvelope(r)
	e := tailed{
		ID: envelope.ID, Type: envelope.Type, Source: envelope.Source, Subject: envelope.Subject, Time: envelope.Time,
		Sequence: envelope.Sequence, CausationID: envelope.Causation, CommandID: envelope.Command,
		CorrelationID: envelope.Correlation, TraceParent: envelope.TraceParent,
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
	}
	if err == nil {
		e.Data, err = decode(envelope.Type, r.Value)
	}
	if err != nil {
		e.Error = err.Error()
	}
	return e
}

// decode reads an event by its type's name. The types of all services are in this binary.
func decode(name string, payload []byte) (json.RawMessage, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("type %q is not known here", name)
	}
	message := kind.New().Interface()
	if err := proto.Unmarshal(payload, message); err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, err)
	}
	return protojson.Marshal(message)
}
