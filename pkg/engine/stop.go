package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// stopPartition says that so many subjects were parked within a minute that it must be the code, not
// the events: the partition stands still until a person says so, instead of parking every order.
type stopPartition struct {
	slot  slot
	cause error
}

func (s *stopPartition) Error() string {
	return fmt.Sprintf("more keys parked in a minute than allowed: partition %d is stopped: %v", s.slot.partition, s.cause)
}

func (s *stopPartition) Unwrap() error { return s.cause }

// parkedLately is how many subjects were parked in the last minute.
func (c *consumer[W]) parkedLately() int {
	c.parkMu.Lock()
	defer c.parkMu.Unlock()
	c.parkLog = slices.DeleteFunc(c.parkLog, func(t time.Time) bool { return time.Since(t) > time.Minute })
	return len(c.parkLog)
}

// countParked counts subjects that were parked, once that is committed: a transaction that fails and is
// run again must not count twice, nor one that was rolled back to stop the partition use up the minute
// of the others.
func (c *consumer[W]) countParked(n int) {
	c.parkMu.Lock()
	defer c.parkMu.Unlock()
	for range n {
		c.parkLog = append(c.parkLog, time.Now())
	}
}

// stopPartition lets a partition stand still: what is queued of it is dropped and read again when
// somebody resumes it.
func (c *consumer[W]) stopPartition(stop *stopPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, assigned := c.position[stop.slot]; !assigned {
		return // somebody else's now: they will see for themselves
	}
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
func (e *Engine[W]) Resume(_ context.Context) error {
	c := e.consumer
	c.parkMu.Lock()
	c.parkLog = nil
	c.parkMu.Unlock()
	c.mu.Lock()
	partitions := map[string][]int32{}
	for topic, id := range c.ids {
		for s := range c.stopped {
			if s.topicID == id {
				// Marked in the same moment: what is fetched from where the pause began must not be queued.
				c.again[s] = true
				partitions[topic] = append(partitions[topic], s.partition)
			}
		}
	}
	clear(c.stopped)
	c.e.metrics.stopped.Set(0)
	client, cut := c.client, c.cutPoll
	c.mu.Unlock()
	if len(partitions) > 0 {
		client.ResumeFetchPartitions(partitions)
		cut()
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
