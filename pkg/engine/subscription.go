package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Subscription is how far a service's consumer group is.
type Subscription struct {
	Service string       `json:"service"`
	Group   string       `json:"group"`
	Members int          `json:"members"`
	Lag     int64        `json:"lag"` // events on the topics and not handled, of all types
	Topics  []TopicState `json:"topics"`
	Stopped []string     `json:"stopped"` // partitions that stand still, with why
}

// TopicState is one topic of a subscription.
type TopicState struct {
	Topic string `json:"topic"`
	Lag   int64  `json:"lag"`
}

// Subscription looks up the group's members and compares the database's offsets with the ends of the
// topics.
func (e *Engine[W]) Subscription(ctx context.Context) (Subscription, error) {
	c := e.consumer
	s := Subscription{Service: e.cfg.Definition.Name(), Group: e.cfg.Kafka.Prefix + e.cfg.Definition.Name(), Stopped: e.Stopped(), Topics: []TopicState{}}
	if !c.joined.Load() || len(c.topics) == 0 {
		return s, nil
	}
	groups, err := c.probe.DescribeGroups(ctx, s.Group)
	if err != nil {
		return s, fmt.Errorf("describe group: %w", err)
	}
	s.Members = len(groups[s.Group].Members)
	starts, ends, err := c.bounds(ctx)
	if err != nil {
		return s, err
	}
	next, err := e.fences(ctx)
	if err != nil {
		return s, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, topic := range c.topics {
		state := TopicState{Topic: strings.TrimPrefix(topic, e.cfg.Kafka.Prefix)}
		for p, end := range ends[topic] {
			at, known := next[slot{c.ids[topic], p}]
			if !known {
				start, _ := starts.Lookup(topic, p)
				at = start.Offset
			}
			state.Lag += max(0, end.Offset-at)
		}
		s.Lag += state.Lag
		s.Topics = append(s.Topics, state)
	}
	return s, nil
}

// fences reads every partition's offset.
func (e *Engine[W]) fences(ctx context.Context) (map[slot]int64, error) {
	rows, err := e.cfg.Pool.Query(ctx, `SELECT topic_id, partition, next_offset FROM fence`)
	if err != nil {
		return nil, fmt.Errorf("read fences: %w", err)
	}
	next := map[slot]int64{}
	if err := scanFences(rows, next); err != nil {
		return nil, fmt.Errorf("read fences: %w", err)
	}
	return next, nil
}

func scanFences(rows pgx.Rows, next map[slot]int64) error {
	var s slot
	var offset int64
	_, err := pgx.ForEachRow(rows, []any{&s.topicID, &s.partition, &offset}, func() error {
		next[s] = offset
		return nil
	})
	return err
}
