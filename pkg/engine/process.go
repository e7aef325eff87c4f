package engine

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// txTimeout bounds one transaction from our side; the server's transaction_timeout is the same.
const txTimeout = 15 * time.Second

// process commits batches until ctx ends.
//
// After a deterministic failure the batch is halved, keeping its order, until the one event that
// cannot be handled stands alone; it is tried twice there and then parked. limit is how many arrivals
// the next batch may have; it grows again with every success. Any other failure leaves the batch as it
// is: it is the same batch again, after a pause.
func (c *consumer[W]) process(ctx context.Context) error {
	limit, alone, failures := c.e.tuning.BatchMax, 0, 0
	var parkWith error
	for {
		batch := c.next(ctx, limit)
		if batch == nil {
			return nil
		}
		err := c.commit(ctx, batch, parkWith)
		var stop *stopPartition
		switch {
		case err == nil:
			c.done(batch)
			limit, alone, failures, parkWith = min(limit*2, c.e.tuning.BatchMax), 0, 0, nil
		case errors.As(err, &stop):
			c.stopPartition(stop)
			parkWith = nil
		case errors.Is(err, errRewound):
			c.log.Error("reading again", "error", err)
			if err := c.rewind(ctx, batchSlots(batch)); err != nil {
				return err
			}
		case fault.Classify(err) == fault.Deterministic && len(batch) > 1:
			c.e.metrics.retries.WithLabelValues("event", "deterministic").Inc()
			limit = max(1, len(batch)/2)
		case fault.Classify(err) == fault.Deterministic && parkWith == nil:
			c.e.metrics.retries.WithLabelValues("event", "deterministic").Inc()
			if alone++; alone >= 2 {
				parkWith = err
			}
		default:
			failures++
			c.e.metrics.retries.WithLabelValues("event", "transient").Inc()
			c.log.Warn("batch failed, the same again", "inputs", len(batch), "failures", failures, "error", err)
			pause(ctx, failures)
		}
	}
}

// pause waits longer with every failure in a row: 50 ms doubling up to 5 s, half of it random.
func pause(ctx context.Context, failures int) {
	d := min(50*time.Millisecond<<min(failures, 10), 5*time.Second)
	sleep(ctx, d/2+rand.N(d/2))
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// commit runs one batch. A stop of the process does not cancel it: it is finished or fails by itself.
func (c *consumer[W]) commit(ctx context.Context, batch []*arrival, parkWith error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), txTimeout)
	defer cancel()
	c.mu.Lock()
	position := maps.Clone(c.position)
	c.mu.Unlock()
	return c.e.consume(ctx, batch, position, parkWith)
}

// next waits until there is something to do and gathers: it starts at once when the last start was a
// pace ago, else at that moment, with all that came meanwhile. A lone event never waits for company,
// and a busy service never runs tiny transactions. It returns nil when ctx has ended.
func (c *consumer[W]) next(ctx context.Context, limit int) []*arrival {
	for {
		if ctx.Err() != nil {
			return nil
		}
		c.mu.Lock()
		n, idle := len(c.pending), !slices.ContainsFunc(c.pending, func(a *arrival) bool { return !a.skip })
		c.mu.Unlock()
		wait := time.Hour
		switch {
		case n == 0:
		case n >= limit:
			wait = 0
		case idle:
			// Only records of types the service does not take: their offsets can wait for company.
			wait = time.Until(c.lastFlush.Add(time.Second))
		default:
			wait = time.Until(c.lastStart.Add(c.e.tuning.Pace))
		}
		if n > 0 && wait <= 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-time.After(wait):
		}
	}
	c.lastStart = time.Now()
	c.lastFlush = c.lastStart
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pending[:min(limit, len(c.pending))])
}

// done removes a committed batch from the queue and marks the group's offsets.
func (c *consumer[W]) done(batch []*arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	committed := make(map[*arrival]bool, len(batch))
	for _, a := range batch {
		committed[a] = true
		if _, assigned := c.position[a.slot]; assigned {
			c.position[a.slot] = max(c.position[a.slot], a.record.Offset+1)
			c.hint.mark(a.record)
		}
	}
	// A revocation may have taken some out already, so the batch need not be the head any more.
	kept := c.pending[:0:0]
	for _, a := range c.pending {
		if !committed[a] {
			kept = append(kept, a)
		}
	}
	c.pending = kept
	if len(kept) > 0 {
		c.e.metrics.oldestWait.Set(time.Since(kept[0].record.Timestamp).Seconds())
	} else {
		c.e.metrics.oldestWait.Set(0)
	}
	signal(c.room)
	c.hint.send(c.client)
}

// mayPark counts a parked subject and says whether it is still within the minute's allowance.
func (c *consumer[W]) mayPark(now time.Time) bool {
	c.parkMu.Lock()
	defer c.parkMu.Unlock()
	c.parkLog = slices.DeleteFunc(c.parkLog, func(t time.Time) bool { return now.Sub(t) > time.Minute })
	if len(c.parkLog) >= c.e.tuning.ParkedPerMinute {
		return false
	}
	c.parkLog = append(c.parkLog, now)
	return true
}

// stopPartition lets a partition stand still: what is queued of it is dropped and read again when
// somebody resumes it.
func (c *consumer[W]) stopPartition(stop *stopPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped[stop.slot] = stop.Error()
	c.drop(map[slot]bool{stop.slot: true})
	c.e.metrics.stopped.Set(float64(len(c.stopped)))
	for topic, id := range c.ids {
		if id == stop.slot.topicID {
			c.client.PauseFetchPartitions(map[string][]int32{topic: {stop.slot.partition}})
			c.log.Error("partition stopped", "topic", topic, "partition", stop.slot.partition, "error", stop.cause)
		}
	}
}

// Stopped lists the partitions that stand still, with why; empty when none does.
func (e *Engine[W]) Stopped() []string {
	c := e.consumer
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Values(c.stopped))
}

// Resume lets stopped partitions go on, from the first event that was not handled.
func (e *Engine[W]) Resume(ctx context.Context) error {
	c := e.consumer
	c.mu.Lock()
	slots := map[slot]bool{}
	for s := range c.stopped {
		slots[s] = true
	}
	clear(c.stopped)
	c.mu.Unlock()
	c.parkMu.Lock()
	c.parkLog = nil
	c.parkMu.Unlock()
	if len(slots) == 0 {
		return nil
	}
	if err := c.rewind(ctx, slots); err != nil {
		return err
	}
	c.e.metrics.stopped.Set(0)
	for topic, id := range c.ids {
		for s := range slots {
			if s.topicID == id {
				c.client.ResumeFetchPartitions(map[string][]int32{topic: {s.partition}})
			}
		}
	}
	return nil
}

func batchSlots(batch []*arrival) map[slot]bool {
	slots := map[slot]bool{}
	for _, a := range batch {
		slots[a.slot] = true
	}
	return slots
}

// offsetHint commits offsets to the group about once a second: nobody starts from them, but lag is
// measured by them.
type offsetHint struct {
	marked map[string]map[int32]kgo.EpochOffset
	sent   time.Time
}

func (h *offsetHint) mark(r *kgo.Record) {
	if h.marked[r.Topic] == nil {
		h.marked[r.Topic] = map[int32]kgo.EpochOffset{}
	}
	h.marked[r.Topic][r.Partition] = kgo.EpochOffset{Epoch: -1, Offset: r.Offset + 1}
}

func (h *offsetHint) send(client *kgo.Client) {
	if time.Since(h.sent) < time.Second || len(h.marked) == 0 {
		return
	}
	h.sent = time.Now()
	marked := h.marked
	h.marked = map[string]map[int32]kgo.EpochOffset{}
	client.CommitOffsets(context.Background(), marked, nil)
}

// flush commits what is marked, on the way out.
func (h *offsetHint) flush(client *kgo.Client) {
	if len(h.marked) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	client.CommitOffsetsSync(ctx, h.marked, nil)
}
