package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// consumer polls a service's topics and feeds batches to the engine.
//
// Two goroutines: one polls and hands over, so that a slow transaction never keeps the group waiting;
// the other takes what has accumulated and commits it. A partition that is revoked meanwhile may still
// be in the batch under way: the fence decides whose work counts, not the group.
type consumer[W any] struct {
	e      *Engine[W]
	log    *slog.Logger
	client *kgo.Client
	topics []string // full names
	joined atomic.Bool
	caught chan struct{} // closed when everything that was there at the start is handled

	mu       sync.Mutex
	pending  []*arrival
	ids      map[string]kafka.TopicID
	position map[slot]int64 // what this process knows to be committed in the database
	stopped  map[slot]string
	wake     chan struct{}
	room     chan struct{}

	parkMu  sync.Mutex
	parkLog []time.Time

	lastStart time.Time
	lastFlush time.Time
	hint      offsetHint
}

func newConsumer[W any](e *Engine[W]) *consumer[W] {
	return &consumer[W]{
		e: e, log: e.log, caught: make(chan struct{}),
		position: map[slot]int64{}, stopped: map[slot]string{},
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

// run joins the group and works until ctx ends. The batch under way is finished.
func (c *consumer[W]) run(ctx context.Context) error {
	topology := c.e.cfg.Definition.Topology()
	names := topology.Topics()
	if len(names) == 0 {
		c.joined.Store(true)
		close(c.caught)
		<-ctx.Done()
		return nil
	}
	if err := c.open(ctx, names); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("open consumer: %w", err)
	}
	defer c.client.CloseAllowingRebalance()

	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	for _, part := range []func(context.Context) error{c.poll, c.process, c.watchTopics, c.catchUp} {
		wg.Go(func() {
			if err := part(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	cancel(nil)
	c.hint.flush(c.client)
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// open makes the client once the topics exist.
func (c *consumer[W]) open(ctx context.Context, names []string) error {
	k := c.e.cfg.Kafka
	for _, n := range names {
		c.topics = append(c.topics, k.Topic(n))
	}
	name := c.e.cfg.Definition.Name()
	client, err := kgo.NewClient(append(k.Opts("quadrille-"+name),
		kgo.ConsumerGroup(k.Prefix+name),
		kgo.ConsumeTopics(c.topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(c.e.tuning.SessionTime),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		// Never from the end: a group whose offsets expired would skip what it has not seen.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AdjustFetchOffsetsFn(c.adjust),
		// A replica more than there are partitions has joined too, with none.
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { c.joined.Store(true) }),
		kgo.OnPartitionsRevoked(c.forget),
		kgo.OnPartitionsLost(c.forget),
		kgo.FetchMaxWait(500*time.Millisecond),
	)...)
	if err != nil {
		return err
	}
	c.client = client
	c.hint.marked = map[string]map[int32]kgo.EpochOffset{}
	ids, err := kafka.Ready(ctx, client, k, nil, names)
	if err != nil {
		client.CloseAllowingRebalance()
		return err
	}
	c.mu.Lock()
	c.ids = ids
	c.mu.Unlock()
	return nil
}

// poll fetches and hands over. AllowRebalance follows every poll, an empty or cancelled one too: with
// BlockRebalanceOnPoll each of them holds the rebalance up.
func (c *consumer[W]) poll(ctx context.Context) error {
	for {
		fetches := c.client.PollRecords(ctx, 2*c.e.tuning.BatchMax)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			c.client.AllowRebalance()
			return nil
		}
		err := c.take(fetches)
		c.client.AllowRebalance()
		if err != nil {
			return err
		}
		if !c.waitForRoom(ctx) {
			return nil
		}
	}
}

// take decodes what was fetched and queues it.
func (c *consumer[W]) take(fetches kgo.Fetches) error {
	for _, fe := range fetches.Errors() {
		var lost *kgo.ErrDataLoss
		if errors.As(fe.Err, &lost) {
			return fmt.Errorf("the broker lost acknowledged records: %w", fe.Err)
		}
		if !errors.Is(fe.Err, context.Canceled) {
			c.log.Warn("fetch failed, will be tried again", "topic", fe.Topic, "partition", fe.Partition, "error", fe.Err)
		}
	}
	c.mu.Lock()
	ids := c.ids
	c.mu.Unlock()
	var got []*arrival
	prefix := c.e.cfg.Kafka.Prefix
	fetches.EachRecord(func(r *kgo.Record) {
		s := slot{ids[r.Topic], r.Partition}
		got = append(got, c.e.arrive(r, strings.TrimPrefix(r.Topic, prefix), s))
	})
	if len(got) == 0 {
		return nil
	}
	c.mu.Lock()
	for _, a := range got {
		// Of a partition that was revoked while it was fetched, or stands still: it is read again from
		// the database's offset by whoever has it next.
		if _, assigned := c.position[a.slot]; assigned && c.stopped[a.slot] == "" {
			c.pending = append(c.pending, a)
		}
	}
	c.mu.Unlock()
	signal(c.wake)
	return nil
}

// waitForRoom keeps at most a few batches in memory: a backlog of any length is read as it is handled.
func (c *consumer[W]) waitForRoom(ctx context.Context) bool {
	for {
		c.mu.Lock()
		full := len(c.pending) >= 4*c.e.tuning.BatchMax
		c.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-c.room:
		}
	}
}

// forget drops what is queued of partitions that are somebody else's now.
func (c *consumer[W]) forget(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := map[slot]bool{}
	for topic, ps := range partitions {
		for _, p := range ps {
			s := slot{c.ids[topic], p}
			gone[s] = true
			delete(c.position, s)
			delete(c.stopped, s)
		}
	}
	c.drop(gone)
	c.e.metrics.stopped.Set(float64(len(c.stopped)))
}

// drop removes the queued arrivals of some partitions. The caller holds mu.
func (c *consumer[W]) drop(gone map[slot]bool) {
	kept := c.pending[:0:0]
	for _, a := range c.pending {
		if !gone[a.slot] {
			kept = append(kept, a)
		}
	}
	c.pending = kept
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
