package engine

import (
	"context"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// watch looks now and then, and when a fetch seems odd, whether the topics and the database still are
// what they were when the partitions were assigned.
func (c *consumer[W]) watch(ctx context.Context) error {
	tick := time.NewTicker(20 * c.e.tuning.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.look:
			// A burst of odd fetches is one look.
			sleep(ctx, c.e.tuning.Pace)
		case <-tick.C:
		}
		if err := c.watchFences(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("compare with the database's offsets", "error", err)
		}
		ids, err := c.lookUp(ctx)
		if err != nil {
			continue // the brokers are away, or the topic is being made anew: the next look tells
		}
		for topic, id := range ids {
			c.mu.Lock()
			known := c.ids[topic]
			c.mu.Unlock()
			if id != known {
				c.startOver(topic, id)
			}
		}
	}
}

// watchFences notices a database that was restored to an earlier state also where no new event comes
// that would show it. The positions are copied before the fences are read: committed first, read later,
// so a fence below its position has gone back.
func (c *consumer[W]) watchFences(ctx context.Context) error {
	c.mu.Lock()
	position := maps.Clone(c.position)
	c.mu.Unlock()
	next, err := c.e.fences(ctx)
	if err != nil {
		return err
	}
	back := map[slot]bool{}
	for s, known := range position {
		if offset, ok := next[s]; !ok || offset < known {
			back[s] = true
		}
	}
	if len(back) > 0 {
		c.log.Error("reading again", "partitions", len(back), "error", errRewound)
		c.askAgain(back)
	}
	return nil
}

// startOver begins with a topic that was deleted and made anew: it has another id, its offsets begin
// again, and the fence rows of its former life do not count. The client never takes to a new id by
// itself, so the topic is taken out and put in again.
func (c *consumer[W]) startOver(topic string, id kafka.TopicID) {
	c.log.Warn("topic was made anew, reading it from its start", "topic", topic)
	c.client.PurgeTopicsFromConsuming(topic)
	c.adopt(map[string]kafka.TopicID{topic: id})
	c.client.AddConsumeTopics(topic)
}

// adopt takes the topics' ids as they are now and forgets what was known of former ones.
func (c *consumer[W]) adopt(ids map[string]kafka.TopicID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := maps.Clone(c.ids) // a new map: others hold the old one without the lock
	gone := map[slot]bool{}
	for topic, id := range ids {
		old := all[topic]
		if old == id {
			continue
		}
		all[topic] = id
		c.lives++
		for s := range c.position {
			if s.topicID == old {
				gone[s] = true
				delete(c.position, s)
				delete(c.stopped, s)
				delete(c.again, s)
			}
		}
	}
	c.ids = all
	if len(gone) > 0 {
		c.drop(gone)
	}
}

// catchUp closes caught once everything is handled that was on the topics when the service started, by
// whichever replica. Deadlines wait for it: after an outage the answer that an order waits for may
// stand in the topic already.
func (c *consumer[W]) catchUp(ctx context.Context) error {
	tick := time.NewTicker(c.e.tuning.Sweep / 4)
	defer tick.Stop()
	var starts, ends kadm.ListedOffsets
	lives := -1
	for {
		c.mu.Lock()
		now := c.lives
		c.mu.Unlock()
		var err error
		if lives != now {
			// The first look, or a topic was made anew: the old one's end is not to be reached any more.
			if starts, ends, err = c.bounds(ctx); err == nil {
				lives = now
			}
		}
		if lives == now {
			if reached, err := c.reached(ctx, starts, ends); err == nil && reached {
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
