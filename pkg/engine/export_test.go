package engine

import (
	"context"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// Consume runs records through one transaction, as if they had been polled.
func Consume[W any](ctx context.Context, e *Engine[W], records []*kgo.Record) error {
	c := e.consumer
	c.mu.Lock()
	ids := c.ids
	c.mu.Unlock()
	var batch []*arrival
	for _, r := range records {
		batch = append(batch, e.arrive(r, strings.TrimPrefix(r.Topic, e.cfg.Kafka.Prefix), slot{ids[r.Topic], r.Partition}))
	}
	return e.consume(ctx, batch, nil, nil)
}

// MakeCall makes a call that was claimed some time ago.
func MakeCall[W any](ctx context.Context, e *Engine[W], c Call, claimedAt time.Time) {
	e.worker.make(ctx, c, claimedAt)
}

// TakeAnswer hands an outcome to the command lane as a worker does, and waits until it is dealt with.
func TakeAnswer[W any](ctx context.Context, e *Engine[W], c Call, outcome flow.Command) error {
	return e.worker.answer(ctx, c, outcome)
}

// Queued is how many commands, answers and deadlines wait for the next batch.
func Queued[W any](e *Engine[W]) int { return len(e.lane.queue) }
