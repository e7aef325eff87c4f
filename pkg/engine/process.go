package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// txTimeout bounds one transaction from our side; the server's transaction_timeout is the same.
const txTimeout = 15 * time.Second

// suspect is the one arrival that a failing batch was narrowed down to.
type suspect struct {
	arrival *arrival
	times   int
	err     error
}

// process commits batches until ctx ends.
//
// After a deterministic failure the batch is halved, keeping its order, until the one event that
// cannot be handled stands alone; it is tried twice there and then parked. limit is how many arrivals
// the next batch may have; it grows again with every success. Any other failure leaves the batch as it
// is: it is the same batch again, after a pause.
func (c *consumer[W]) process(ctx context.Context) error { return c.work(ctx, c.commit) }

func (c *consumer[W]) work(ctx context.Context, commit func(context.Context, []*arrival, error) error) error {
	limit, failures := c.e.tuning.BatchMax, 0
	var alone suspect
	for {
		batch := c.next(ctx, limit)
		if batch == nil {
			return nil
		}
		// A revocation may have taken the suspect away: what stands alone now is another event, which must
		// not be parked for what the first one did.
		if len(batch) > 1 || batch[0] != alone.arrival {
			alone = suspect{}
		}
		var parkWith error
		if alone.times >= 2 {
			parkWith = alone.err
		}
		err := commit(ctx, batch, parkWith)
		var stop *stopPartition
		class := fault.Classify(err)
		switch {
		case err == nil:
			c.done(batch)
			limit, failures = min(limit*2, c.e.tuning.BatchMax), 0
		case errors.As(err, &stop) && len(batch) == 1:
			c.stopPartition(stop)
		case errors.Is(err, errRewound):
			c.log.Error("reading again", "error", err)
			c.askAgain(batchSlots(batch))
		case class == fault.Deterministic && len(batch) > 1:
			// (Also on the way to a partition's stop: everything before the event that is one too many is
			// handled first.)
			c.e.metrics.retries.WithLabelValues("event", class.String()).Inc()
			limit = max(1, len(batch)/2)
		case class == fault.Deterministic && parkWith == nil:
			c.e.metrics.retries.WithLabelValues("event", class.String()).Inc()
			alone = suspect{arrival: batch[0], times: alone.times + 1, err: err}
		default:
			failures++
			c.e.metrics.retries.WithLabelValues("event", fault.Transient.String()).Inc()
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
// pace ago, else at that moment, with all that came meanwhile. A lone event that somebody waits for never
// waits for company, and a busy service never runs tiny transactions. It returns nil when ctx has ended.
func (c *consumer[W]) next(ctx context.Context, limit int) []*arrival {
	for ctx.Err() == nil {
		c.mu.Lock()
		wait := c.patience(limit)
		if wait <= 0 {
			batch := c.cut(limit)
			c.mu.Unlock()
			if slices.ContainsFunc(batch, (*arrival).hurried) {
				c.lastStart = time.Now()
			}
			return batch
		}
		c.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-c.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// patience is how long what is pending can wait for company; c.mu is held.
func (c *consumer[W]) patience(limit int) time.Duration {
	hurried, relaxed := 0, 0
	for _, a := range c.pending {
		switch {
		case a.hurried():
			hurried++
		case a.relaxed:
			relaxed++
		}
	}
	switch {
	case len(c.pending) == 0:
		return time.Hour
	case hurried >= limit, c.owed > 0, len(c.pending) >= limit && limit < c.e.tuning.BatchMax:
		return 0
	case relaxed >= 4*limit, c.full():
		// (A full queue gets no company: nothing is polled until there is room.)
		c.owed = len(c.pending)
		return 0
	case hurried > 0:
		return time.Until(c.lastStart.Add(c.e.tuning.Pace))
	case relaxed > 0:
		return time.Until(c.relaxedSince.Add(c.relaxedPace(relaxed)))
	default:
		// Only records that are none of the service's business: their offsets can wait for company.
		return time.Until(c.lastSkip.Add(time.Second))
	}
}

// relaxedPace is how long events that nobody waits for wait for company: longer when there are many of them, as then
// most of an order's events come to be decided together, and its rows are written once for all of them.
func (c *consumer[W]) relaxedPace(pending int) time.Duration {
	pace := max(c.e.tuning.Pace, c.e.tuning.Relaxed)
	if pending > c.e.tuning.BatchMax/8 {
		pace *= 4
	}
	return pace
}

// cut takes the next batch from what is pending; c.mu is held. Where there is more than one batch, it is cut by
// partitions: all topics put an order into the partition of the same number, so a batch that has all of some
// partitions meets each of its orders once, and not once for each topic. Within a partition of a topic the order
// stays. What is cut stays pending until it is done, so a batch that failed is cut again from the same place: the
// same one, or with a smaller limit its first part.
func (c *consumer[W]) cut(limit int) []*arrival {
	due := c.pending
	if c.owed == 0 && limit == c.e.tuning.BatchMax {
		relaxed := 0
		for _, a := range due {
			if a.relaxed {
				relaxed++
			}
		}
		// Once a second everything is taken, or what is not ours would stay for as long as hurried events keep coming
		// in other partitions.
		some := c.company()
		if len(some) == 0 || time.Since(c.lastAll) >= max(time.Second, c.relaxedPace(relaxed)) ||
			relaxed > 0 && time.Since(c.relaxedSince) >= c.relaxedPace(relaxed) {
			c.owed = len(due)
		} else {
			due = some
		}
	}
	if c.owed > 0 {
		c.lastAll = time.Now()
	}
	if len(due) > limit {
		due = slices.Clone(due)
		round := int32(0)
		for _, a := range due {
			round = max(round, a.slot.partition+1)
		}
		turn := func(a *arrival) int32 { return (a.slot.partition - c.turn%round + round) % round }
		slices.SortStableFunc(due, func(a, b *arrival) int { return cmp.Compare(turn(a), turn(b)) })
		due = due[:limit]
	}
	return slices.Clone(due)
}

// after is the partition at which the next batch begins: the one that a batch was cut in, round and round. One that
// had a whole batch to itself has had its turn, and more of it waits until the others have had theirs.
func after(batch []*arrival) int32 {
	first, last := batch[0].slot.partition, batch[len(batch)-1].slot.partition
	if first == last {
		return last + 1
	}
	return last
}

// company is what is to be decided now, with those of the relaxed events that go well with it: what came before it in
// a partition of a topic, and what is about the same subjects, with what came before that. The others wait: they are
// about orders that something else will be decided for soon.
func (c *consumer[W]) company() []*arrival {
	about := map[string]bool{}
	for _, a := range c.pending {
		if a.hurried() {
			about[a.envelope.Subject] = true
		}
	}
	last := map[slot]int{}
	for i, a := range c.pending {
		if a.hurried() || a.relaxed && about[a.envelope.Subject] {
			last[a.slot] = i
		}
	}
	var some []*arrival
	for i, a := range c.pending {
		if end, any := last[a.slot]; any && i <= end {
			some = append(some, a)
		}
	}
	return some
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
	c.lastSkip = time.Now()
	switch {
	case !slices.ContainsFunc(kept, func(a *arrival) bool { return a.relaxed }):
		c.relaxedSince = time.Time{}
	case c.owed > 0:
		c.relaxedSince = time.Now()
	}
	c.owed = min(max(0, c.owed-len(batch)), len(kept))
	c.turn = after(batch)
	if len(kept) > 0 {
		c.e.metrics.oldestWait.Set(time.Since(kept[0].record.Timestamp).Seconds())
	} else {
		c.e.metrics.oldestWait.Set(0)
	}
	signal(c.room)
}
