package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// Tracker reads order.v1 as any subscriber does and notes when orders come to their end: what an outsider can see is
// what counts.
type Tracker struct {
	client *kgo.Client
	// final is called for each order that is completed or cancelled, in the tracker's goroutine.
	final func(orderID string)

	mu     sync.Mutex
	ended  map[string]end
	deaf   bool
	reason error
}

// The events that are an order's end.
const (
	completedType = "quadrille.order.v1.OrderCompleted"
	cancelledType = "quadrille.order.v1.OrderCancelled"
)

type end struct {
	at        time.Time
	completed bool
}

// Track begins at the end of the topic, which has to exist.
func Track(ctx context.Context, brokers []string, prefix string, final func(orderID string)) (*Tracker, error) {
	t := &Tracker{final: final, ended: map[string]end{}}
	topic := prefix + "order.v1"
	var err error
	if t.client, err = kgo.NewClient(kgo.SeedBrokers(brokers...)); err != nil {
		return nil, fmt.Errorf("track %s: %w", topic, err)
	}
	// The ends are asked for now, and not found out at the first fetch: what is placed from here on is seen.
	ends, err := kadm.NewClient(t.client).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		t.client.Close()
		return nil, fmt.Errorf("track %s: %w", topic, err)
	}
	from := map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) { from[o.Partition] = kgo.NewOffset().At(o.Offset) })
	t.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
	return t, nil
}

// Run follows the topic until ctx ends.
func (t *Tracker) Run(ctx context.Context) {
	defer t.client.Close()
	for ctx.Err() == nil {
		fetches := t.client.PollFetches(ctx)
		now := time.Now()
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil && !errors.Is(e.Err, context.Canceled) {
				t.mu.Lock()
				t.reason = e.Err
				t.mu.Unlock()
			}
		}
		var ended []string
		t.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			eventType := kafka.Type(r)
			if eventType != completedType && eventType != cancelledType {
				return
			}
			if t.deaf {
				return // what is only to be accepted has left its window already
			}
			id := string(r.Key)
			t.ended[id] = end{now, eventType == completedType}
			ended = append(ended, id)
		})
		t.mu.Unlock()
		for _, id := range ended {
			t.final(id)
		}
	}
}

// End says how an order ended; ok is false while it has not.
func (t *Tracker) End(orderID string) (at time.Time, completed, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.ended[orderID]
	return e.at, e.completed, ok
}

// Forget empties the memory, between two measurements. Without listen nothing is kept from then on.
func (t *Tracker) Forget(listen bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended, t.deaf = map[string]end{}, !listen
}

// Err is the last error of the subscription.
func (t *Tracker) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reason
}

// Latency of many, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// latencyOf sorts what it is given.
func latencyOf(all []time.Duration) Latency {
	if len(all) == 0 {
		return Latency{}
	}
	slices.Sort(all)
	at := func(q float64) float64 {
		return float64(all[min(len(all)-1, int(q*float64(len(all))))].Microseconds()) / 1000
	}
	return Latency{P50: at(.50), P95: at(.95), P99: at(.99), Max: at(1)}
}
