package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// readTimeout bounds the search for one record on a topic.
const readTimeout = 8 * time.Second

// Place is where an event stands.
type Place struct {
	Topic     string `json:"topic"` // without prefix
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Published reads an event that this service has published, from its own topic: only the service may
// write there, so what stands there is its own word, whoever names the place. Do with the result
// publishes it once more. It is refused with 404 if the place holds no event of this id, or one that is
// not the service's, and with 409 once the topic has dropped it for its age.
func (e *Engine[W]) Published(ctx context.Context, eventID string, at Place) (flow.Resend, error) {
	record, err := e.read(ctx, at)
	if err != nil {
		return flow.Resend{}, err
	}
	envelope, err := kafka.ParseEnvelope(record)
	if err != nil || envelope.ID != eventID || envelope.Source != "/quadrille/"+e.cfg.Definition.Name() ||
		!e.cfg.Definition.Publishes(envelope.Type) || e.cfg.Definition.MayErase(envelope.Type) {
		return flow.Resend{}, fault.NotFound()
	}
	message, err := decodeMessage(envelope.Type, envelope.Subject, record.Value)
	if err != nil {
		return flow.Resend{}, fmt.Errorf("read event %s again: %w", eventID, err)
	}
	return flow.Resend{Message: message, EventID: eventID, SubjectID: envelope.Subject}, nil
}

// read fetches the one record that stands there, with a client of its own: the consumer's position is
// nobody else's to move.
func (e *Engine[W]) read(ctx context.Context, at Place) (*kgo.Record, error) {
	topic := e.cfg.Kafka.Topic(at.Topic)
	client, err := kgo.NewClient(append(e.cfg.Kafka.Opts("quadrille-"+e.cfg.Definition.Name()+"-resend"),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {at.Partition: kgo.NewOffset().At(at.Offset)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()))...)
	if err != nil {
		return nil, fmt.Errorf("read %s/%d at %d: %w", at.Topic, at.Partition, at.Offset, err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	fetches := client.PollRecords(ctx, 1)
	if records := fetches.Records(); len(records) == 1 && records[0].Offset == at.Offset {
		return records[0], nil
	}
	err = fetches.Err()
	switch {
	case err == nil, errors.Is(err, kerr.OffsetOutOfRange):
		return nil, fault.Conflict(fault.CodeConflict, "The topic no longer has this event: it is older than events are kept.")
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fault.Unavailable(fault.CodeServiceUnavailable, "The topic could not be read in time.", time.Second)
	}
	return nil, fmt.Errorf("read %s/%d at %d: %w", at.Topic, at.Partition, at.Offset, err)
}
