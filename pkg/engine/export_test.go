package engine

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
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
