package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// adjust answers where to read on in partitions that were just assigned: at the database's offset,
// whatever the group's own says. Epoch -1, because the offset is not the broker's.
func (c *consumer[W]) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	starts, ends, err := c.bounds(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, partitions := range offsets {
		for p := range partitions {
			s := slot{c.ids[topic], p}
			first, _ := starts.Lookup(topic, p)
			last, _ := ends.Lookup(topic, p)
			next, err := c.fence(ctx, s, topic, first.Offset)
			if err != nil {
				return nil, err
			}
			if err := plausible(topic, p, next, first.Offset, last.Offset); err != nil {
				c.e.fail(err)
				return nil, err
			}
			c.position[s] = next
			partitions[p] = kgo.NewOffset().At(next).WithEpoch(-1)
		}
	}
	c.joined.Store(true)
	return offsets, nil
}

// plausible refuses to read on where events must be missing: the service would go on as if nothing had
// happened, and nobody would know which orders lack a step.
func plausible(topic string, partition int32, next, first, last int64) error {
	switch {
	case next > last:
		return fmt.Errorf("topic %s partition %d ends at %d, but %d was handled: the broker lost acknowledged events, or it is another cluster", topic, partition, last, next)
	case next < first:
		return fmt.Errorf("topic %s partition %d begins at %d, but only up to %d was handled: events were deleted before they were read", topic, partition, first, next)
	}
	return nil
}

// fence returns the database's offset of a partition, making its row where this service sees the
// partition for the first time.
func (c *consumer[W]) fence(ctx context.Context, s slot, topic string, first int64) (next int64, err error) {
	_, err = c.e.cfg.Pool.Exec(ctx, `
		INSERT INTO fence (topic_id, partition, topic, next_offset) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		s.topicID, s.partition, topic, first)
	if err == nil {
		err = c.e.cfg.Pool.QueryRow(ctx, `SELECT next_offset FROM fence WHERE topic_id = $1 AND partition = $2`,
			s.topicID, s.partition).Scan(&next)
	}
	if err != nil {
		return 0, fmt.Errorf("look up the offset of %s/%d: %w", topic, s.partition, err)
	}
	return next, nil
}

// bounds returns the first and the next offset of every partition of the service's topics.
func (c *consumer[W]) bounds(ctx context.Context) (starts, ends kadm.ListedOffsets, err error) {
	admin := kadm.NewClient(c.client)
	if starts, err = admin.ListStartOffsets(ctx, c.topics...); err == nil {
		err = starts.Error()
	}
	if err == nil {
		if ends, err = admin.ListEndOffsets(ctx, c.topics...); err == nil {
			err = ends.Error()
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list offsets: %w", err)
	}
	return starts, ends, nil
}

// rewind reads a partition again from the database's offset.
func (c *consumer[W]) rewind(ctx context.Context, slots map[slot]bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(slots)
	set := map[string]map[int32]kgo.EpochOffset{}
	for topic, id := range c.ids {
		for s := range slots {
			if s.topicID != id {
				continue
			}
			if _, assigned := c.position[s]; !assigned {
				continue
			}
			next, err := c.fence(ctx, s, topic, 0)
			if err != nil {
				return err
			}
			c.position[s] = next
			if set[topic] == nil {
				set[topic] = map[int32]kgo.EpochOffset{}
			}
			set[topic][s.partition] = kgo.EpochOffset{Epoch: -1, Offset: next}
		}
	}
	c.client.SetOffsets(set)
	return nil
}

// watchTopics notices a topic that was deleted and made anew: it has another id, its offsets begin
// again, and the fence rows of its former life do not count. The client is told to start over with it.
func (c *consumer[W]) watchTopics(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	admin := kadm.NewClient(c.client)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		details, err := admin.ListTopics(ctx, c.topics...)
		if err != nil {
			continue // the brokers are away; the fetch errors say so already
		}
		for _, topic := range c.topics {
			d, ok := details[topic]
			if !ok || d.Err != nil || d.ID == (kadm.TopicID{}) {
				continue
			}
			c.mu.Lock()
			known := c.ids[topic]
			c.mu.Unlock()
			if kafka.TopicID(d.ID) != known {
				c.startOver(topic, kafka.TopicID(d.ID))
			}
		}
	}
}

func (c *consumer[W]) startOver(topic string, id kafka.TopicID) {
	c.log.Warn("topic was made anew, reading it from its start", "topic", topic)
	c.client.PurgeTopicsFromConsuming(topic)
	c.mu.Lock()
	gone := map[slot]bool{}
	for s := range c.position {
		if s.topicID == c.ids[topic] {
			gone[s] = true
			delete(c.position, s)
		}
	}
	c.drop(gone)
	ids := map[string]kafka.TopicID{topic: id}
	for t, old := range c.ids {
		if t != topic {
			ids[t] = old
		}
	}
	c.ids = ids
	c.mu.Unlock()
	c.client.AddConsumeTopics(topic)
}

// catchUp closes caught once everything is handled that was on the topics when the service started, by
// whichever replica. Deadlines wait for it: after an outage the answer that an order waits for may
// stand in the topic already.
func (c *consumer[W]) catchUp(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var starts, ends kadm.ListedOffsets
	for {
		if ends == nil {
			var err error
			if starts, ends, err = c.bounds(ctx); err != nil {
				ends = nil
			}
		}
		if ends != nil {
			reached, err := c.reached(ctx, starts, ends)
			if err == nil && reached {
				close(c.caught)
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *consumer[W]) reached(ctx context.Context, starts, ends kadm.ListedOffsets) (bool, error) {
	next, err := c.e.fences(ctx)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	reached := true
	ends.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(end.Topic, end.Partition)
		if end.Offset > start.Offset && next[slot{c.ids[end.Topic], end.Partition}] < end.Offset {
			reached = false
		}
	})
	return reached, nil
}

// errClosed is answered to work that comes after the engine has stopped.
var errClosed = errors.New("engine is stopping")
