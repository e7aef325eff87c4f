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

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// consumer polls a service's topics and feeds batches to the engine.
//
// Two goroutines: one polls and hands over, so that a slow transaction never keeps the group waiting;
// the other takes what has accumulated and commits it. A partition that is revoked meanwhile may still
// be in the batch under way: the fence decides whose work counts, not the group.
//
// The fence drops what lies below it and takes what lies above, so a record must never be queued before
// one of a lower offset that is not handled yet. Records of a partition come in order from one fetch
// position, and that position is only ever moved between two polls, by the goroutine that polls: nothing
// that was fetched from the old position can be queued after the move (see readAgain).
type consumer[W any] struct {
	e      *Engine[W]
	log    *slog.Logger
	topics []string // full names
	joined atomic.Bool
	caught chan struct{} // closed when everything that was there at the start is handled

	// probe asks the cluster about topics and offsets. It is a client of its own because the consuming
	// one calls back from the moment it is made, before anybody holds it.
	probe  *kadm.Client
	client *kgo.Client

	mu       sync.Mutex
	pending  []*arrival
	ids      map[string]kafka.TopicID
	position map[slot]int64  // what this process knows to be committed in the database
	again    map[slot]bool   // to be read again from the database's offset
	stopped  map[slot]string // standing still, and why
	cutPoll  context.CancelFunc
	lives    int // counts topics that were made anew

	wake chan struct{} // something is pending
	room chan struct{} // something is not pending any more
	look chan struct{} // a topic does not seem to be what it was

	parkMu  sync.Mutex
	parkLog []time.Time

	lastStart time.Time // of a batch that somebody waited for
	lastSkip  time.Time // of any batch's end
	lastAll   time.Time // of a batch of everything that was pending
	turn      int32     // the partition at which the next batch begins
	// relaxedSince is since when relaxed events have been waiting, zero while there are none; owed is how many of what
	// was pending are still to be taken when it was long enough.
	relaxedSince time.Time
	owed         int
	hint         offsetHint
}

func newConsumer[W any](e *Engine[W]) *consumer[W] {
	return &consumer[W]{
		e: e, log: e.log, caught: make(chan struct{}),
		ids: map[string]kafka.TopicID{}, position: map[slot]int64{}, again: map[slot]bool{}, stopped: map[slot]string{},
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1), look: make(chan struct{}, 1),
	}
}

// run joins the group and works until ctx ends. The batch under way is finished.
func (c *consumer[W]) run(ctx context.Context) error {
	names := c.e.cfg.Definition.Topology().Topics()
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
	defer c.probe.Close()
	defer c.client.CloseAllowingRebalance()

	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	for _, part := range []func(context.Context) error{c.poll, c.process, c.watch, c.catchUp, c.sendHints} {
		wg.Go(func() {
			if err := part(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	cancel(nil)
	c.hint.flush(c.client)
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// open makes the clients, the consuming one once the topics exist: it joins the group at once, and what
// adjust is asked then it must be able to answer.
func (c *consumer[W]) open(ctx context.Context, names []string) error {
	k := c.e.cfg.Kafka
	for _, n := range names {
		c.topics = append(c.topics, k.Topic(n))
	}
	name := c.e.cfg.Definition.Name()
	probe, err := kgo.NewClient(k.Opts("quadrille-" + name + "-probe")...)
	if err != nil {
		return err
	}
	ids, err := kafka.Ready(ctx, probe, k, nil, names)
	if err != nil {
		probe.Close()
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probe, c.ids = kadm.NewClient(probe), ids
	c.client, err = kgo.NewClient(append(k.Opts("quadrille-"+name),
		kgo.ConsumerGroup(k.Prefix+name),
		kgo.ConsumeTopics(c.topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(c.e.tuning.SessionTime),
		kgo.HeartbeatInterval(c.e.tuning.SessionTime/4),
		// A member that dies in the middle of a rebalance is waited for as long as this, and all others
		// stand still meanwhile; the default is a minute. Whoever is slower than that joins again, and
		// what it held it loses nothing of: the fence counts, not the membership.
		kgo.RebalanceTimeout(c.e.tuning.SessionTime),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		// The client must never choose an offset by itself, neither the end (events would be skipped) nor
		// the start (new events below the fence would be dropped as handled). adjust says where to begin,
		// and an offset that is not in the log is looked into, see fetchFailed.
		kgo.ConsumeResetOffset(kgo.NoResetOffset().AtStart()),
		kgo.AdjustFetchOffsetsFn(c.adjust),
		// A replica more than there are partitions has joined too, with none.
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { c.joined.Store(true) }),
		kgo.OnPartitionsRevoked(c.forget),
		kgo.OnPartitionsLost(c.forget),
		kgo.FetchMaxWait(2*time.Second),
		// What was fetched ahead lies in memory, unpacked to several times its size, however long a backlog is. This is
		// a few batches; the default would be 50 MB.
		kgo.FetchMaxBytes(2<<20),
	)...)
	if err != nil {
		probe.Close()
	}
	return err
}

// poll fetches and hands over. AllowRebalance follows every poll, an empty or cancelled one too: with
// BlockRebalanceOnPoll each of them holds the rebalance up.
func (c *consumer[W]) poll(ctx context.Context) error {
	for ctx.Err() == nil {
		fetches := c.fetch(ctx)
		err := c.take(fetches)
		if err == nil && ctx.Err() == nil {
			err = c.readAgain(ctx)
		}
		c.client.AllowRebalance()
		switch {
		case errors.Is(err, errNotNow):
			c.log.Warn("reading again is tried again", "error", err)
			sleep(ctx, 100*time.Millisecond)
		case err != nil:
			return err
		}
		if fetches.IsClientClosed() || !c.waitForRoom(ctx) {
			return nil
		}
		if !fetches.Empty() {
			sleep(ctx, c.breath())
		}
	}
	return nil
}

// breath is how long a poll that brought something is rested after. A broker answers a fetch as soon as it has one
// record, so without it a busy service would fetch thousands of times a second, a few records each; what comes
// meanwhile comes with the next one. It is a part of the time that is waited for company anyhow.
func (c *consumer[W]) breath() time.Duration {
	if c.e.cfg.Definition.Unhurried() {
		return min(c.e.tuning.Relaxed/4, 60*time.Millisecond)
	}
	return min(c.e.tuning.Pace/2, 10*time.Millisecond)
}

// fetch is one poll. Who wants something to be read again cuts it short.
func (c *consumer[W]) fetch(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	c.cutPoll = cancel
	if len(c.again) > 0 {
		cancel()
	}
	c.mu.Unlock()
	return c.client.PollRecords(ctx, 2*c.e.tuning.BatchMax)
}

// take decodes what was fetched and queues it.
func (c *consumer[W]) take(fetches kgo.Fetches) error {
	for _, fe := range fetches.Errors() {
		if err := c.fetchFailed(fe); err != nil {
			return err
		}
	}
	prefix := c.e.cfg.Kafka.Prefix
	var got []*arrival
	fetches.EachTopic(func(t kgo.FetchTopic) {
		id, ok := c.life(t)
		if !ok {
			return
		}
		topic := strings.TrimPrefix(t.Topic, prefix)
		t.EachRecord(func(r *kgo.Record) { got = append(got, c.e.arrive(r, topic, slot{id, r.Partition})) })
	})
	if len(got) == 0 {
		return nil
	}
	c.mu.Lock()
	for _, a := range got {
		// Of a partition that was revoked while it was fetched, stands still, or is to be read again: it
		// comes again from the database's offset, to whoever has it next.
		if _, assigned := c.position[a.slot]; assigned && c.stopped[a.slot] == "" && !c.again[a.slot] {
			c.enqueue(a)
		}
	}
	c.mu.Unlock()
	signal(c.wake)
	return nil
}

// enqueue puts an arrival at the end of the queue; c.mu is held.
func (c *consumer[W]) enqueue(a *arrival) {
	c.pending = append(c.pending, a)
	if a.relaxed && c.relaxedSince.IsZero() {
		c.relaxedSince = time.Now()
	}
}

// life is the id of the topic the records are of. Those of another life than the one that was assigned
// are left alone: their offsets mean nothing to the fences at hand.
func (c *consumer[W]) life(t kgo.FetchTopic) (kafka.TopicID, bool) {
	c.mu.Lock()
	known := c.ids[t.Topic]
	c.mu.Unlock()
	if t.TopicID == (kafka.TopicID{}) || t.TopicID == known {
		return known, true
	}
	signal(c.look)
	return known, false
}

// fetchFailed says which failed fetches are the end. The client repeats the others by itself.
func (c *consumer[W]) fetchFailed(fe kgo.FetchError) error {
	var lost *kgo.ErrDataLoss
	switch {
	case errors.As(fe.Err, &lost):
		return fmt.Errorf("the broker lost acknowledged records: %w", fe.Err)
	case errors.Is(fe.Err, kerr.OffsetOutOfRange):
		// Looked into by readAgain: either events are missing, which is the end, or the offset was an old
		// one of a partition that is somebody else's now.
		c.mu.Lock()
		s := slot{c.ids[fe.Topic], fe.Partition}
		c.mu.Unlock()
		c.askAgain(map[slot]bool{s: true})
	case errors.Is(fe.Err, kerr.UnknownTopicID), errors.Is(fe.Err, kerr.UnknownTopicOrPartition):
		signal(c.look)
	case !errors.Is(fe.Err, context.Canceled):
		c.log.Warn("fetch failed, will be tried again", "topic", fe.Topic, "partition", fe.Partition, "error", fe.Err)
	}
	return nil
}

// full says that nothing more is polled; c.mu is held.
func (c *consumer[W]) full() bool { return len(c.pending) >= 8*c.e.tuning.BatchMax }

// waitForRoom keeps at most a few batches in memory: a backlog of any length is read as it is handled.
func (c *consumer[W]) waitForRoom(ctx context.Context) bool {
	for {
		c.mu.Lock()
		full := c.full() && len(c.again) == 0
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
func (c *consumer[W]) forget(_ context.Context, client *kgo.Client, partitions map[string][]int32) {
	c.mu.Lock()
	gone := map[slot]bool{}
	for topic, ps := range partitions {
		for _, p := range ps {
			s := slot{c.ids[topic], p}
			gone[s] = true
			delete(c.position, s)
			delete(c.stopped, s)
			delete(c.again, s)
		}
	}
	c.drop(gone)
	c.e.metrics.stopped.Set(float64(len(c.stopped)))
	c.mu.Unlock()
	// A pause outlives the assignment. Should the partition come back, nobody would think of resuming it.
	client.ResumeFetchPartitions(partitions)
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
	c.owed = min(c.owed, len(kept))
	signal(c.room)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
