package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// adjust answers where to read on in partitions that were just assigned: at the database's offset,
// whatever the group's own says. Epoch -1, because the offset is not the broker's.
func (c *consumer[W]) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	ids, err := c.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	c.adopt(ids)
	assigned := map[slot]string{}
	for topic, partitions := range offsets {
		for p := range partitions {
			assigned[slot{ids[topic], p}] = topic
		}
	}
	next, err := c.begin(ctx, assigned)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	for s, topic := range assigned {
		c.position[s] = next[s]
		delete(c.again, s)
		offsets[topic][s.partition] = kgo.NewOffset().At(next[s]).WithEpoch(-1)
	}
	c.mu.Unlock()
	c.joined.Store(true)
	return offsets, nil
}

// begin returns the database's offsets of partitions, making the rows where this service sees a
// partition for the first time, and refuses to read on where events must be missing.
func (c *consumer[W]) begin(ctx context.Context, assigned map[slot]string) (map[slot]int64, error) {
	starts, ends, err := c.bounds(ctx)
	if err != nil {
		return nil, err
	}
	next, err := c.openFences(ctx, assigned, starts)
	if err != nil {
		return nil, err
	}
	for s, topic := range assigned {
		first, ok := starts.Lookup(topic, s.partition)
		last, ok2 := ends.Lookup(topic, s.partition)
		if !ok || !ok2 {
			return nil, fmt.Errorf("offsets of topic %s partition %d are not known", topic, s.partition)
		}
		if err := plausible(topic, s.partition, next[s], first.Offset, last.Offset); err != nil {
			c.e.fail(err)
			return nil, err
		}
	}
	return next, nil
}

// errMissing says that events are gone for good. It stops the service: going on as if nothing had
// happened, nobody would know which orders lack a step.
var errMissing = errors.New("events are missing")

func plausible(topic string, partition int32, next, first, last int64) error {
	switch {
	case next > last:
		return fmt.Errorf("%w: topic %s partition %d ends at %d, but everything up to %d was handled: the broker lost acknowledged events, or it is another cluster", errMissing, topic, partition, last, next)
	case next < first:
		return fmt.Errorf("%w: topic %s partition %d begins at %d, but only what is before %d was handled: events were deleted before they were read", errMissing, topic, partition, first, next)
	}
	return nil
}

// openFences makes the rows that are missing, at the start of the log, and reads all of them.
func (c *consumer[W]) openFences(ctx context.Context, assigned map[slot]string, starts kadm.ListedOffsets) (map[slot]int64, error) {
	var ids [][16]byte
	var partitions []int32
	var topics []string
	var firsts []int64
	for s, topic := range assigned {
		first, _ := starts.Lookup(topic, s.partition)
		ids, partitions = append(ids, s.topicID), append(partitions, s.partition)
		topics, firsts = append(topics, topic), append(firsts, first.Offset)
	}
	next := map[slot]int64{}
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO fence (topic_id, partition, topic, next_offset)
		SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bigint[]) AS k(topic_id, partition, topic, next_offset)
		ORDER BY topic_id, partition
		ON CONFLICT DO NOTHING`, ids, partitions, topics, firsts)
	batch.Queue(`
		SELECT f.topic_id, f.partition, f.next_offset
		FROM fence f JOIN unnest($1::uuid[], $2::int[]) AS k(topic_id, partition) USING (topic_id, partition)`, ids, partitions).
		Query(func(rows pgx.Rows) error { return scanFences(rows, next) })
	if err := c.e.cfg.Pool.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("look up the offsets of %d partitions: %w", len(assigned), err)
	}
	return next, nil
}

// bounds returns the first and the next offset of every partition of the service's topics.
func (c *consumer[W]) bounds(ctx context.Context) (starts, ends kadm.ListedOffsets, err error) {
	if starts, err = c.probe.ListStartOffsets(ctx, c.topics...); err == nil {
		err = starts.Error()
	}
	if err == nil {
		if ends, err = c.probe.ListEndOffsets(ctx, c.topics...); err == nil {
			err = ends.Error()
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list offsets: %w", err)
	}
	return starts, ends, nil
}

// lookUp returns the ids the topics have now.
func (c *consumer[W]) lookUp(ctx context.Context) (map[string]kafka.TopicID, error) {
	details, err := c.probe.ListTopics(ctx, c.topics...)
	if err != nil {
		return nil, fmt.Errorf("look up topics: %w", err)
	}
	ids := map[string]kafka.TopicID{}
	for _, topic := range c.topics {
		d, ok := details[topic]
		switch {
		case !ok:
			return nil, fmt.Errorf("look up topics: %s is not there", topic)
		case d.Err != nil:
			return nil, fmt.Errorf("look up topic %s: %w", topic, d.Err)
		}
		ids[topic] = kafka.TopicID(d.ID)
	}
	return ids, nil
}

// askAgain drops what is queued of some partitions and has the polling goroutine read them again.
func (c *consumer[W]) askAgain(slots map[slot]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range slots {
		if _, assigned := c.position[s]; assigned {
			c.again[s] = true
		}
	}
	c.drop(slots)
	if c.cutPoll != nil {
		c.cutPoll()
	}
}

// errNotNow says that reading again has to wait: the database or the brokers are away.
var errNotNow = errors.New("not now")

// readAgain moves the fetch position of partitions back to the database's offset. It runs between two
// polls, with rebalances held off: what was fetched before is queued or dropped already, and what is
// fetched after comes from the new position. Done at any other moment, a record fetched from the old
// position could be queued behind the move's back, ahead of those that were to be read again; the
// fence would pass over them, and they would be lost.
func (c *consumer[W]) readAgain(ctx context.Context) error {
	c.mu.Lock()
	slots := map[slot]string{}
	for topic, id := range c.ids {
		for s := range c.again {
			if s.topicID == id {
				slots[s] = topic
			}
		}
	}
	c.mu.Unlock()
	if len(slots) == 0 {
		return nil
	}
	next, err := c.begin(ctx, slots)
	if errors.Is(err, errMissing) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotNow, err)
	}
	set := map[string]map[int32]kgo.EpochOffset{}
	c.mu.Lock()
	for s, topic := range slots {
		c.position[s] = next[s]
		delete(c.again, s)
		if set[topic] == nil {
			set[topic] = map[int32]kgo.EpochOffset{}
		}
		set[topic][s.partition] = kgo.EpochOffset{Epoch: -1, Offset: next[s]}
	}
	c.mu.Unlock()
	c.client.SetOffsets(set)
	return nil
}
