package simulator

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// parkedPerMinute is how many subjects may be parked in a minute. The engine's is 20, for far more orders.
const parkedPerMinute = 6

// retryAfter is when a parked subject is tried again by itself.
var retryAfter = []time.Duration{time.Minute, 10 * time.Minute, time.Hour}

// stopPartition says that it must be the code, not the events.
type stopPartition struct{ cause error }

func (s *stopPartition) Error() string { return fmt.Sprintf("partition stopped: %v", s.cause) }
func (s *stopPartition) Unwrap() error { return s.cause }

func (c *consumer) parkedLately() int {
	c.parkLog = slices.DeleteFunc(c.parkLog, func(at time.Duration) bool { return c.now-at > time.Minute })
	return len(c.parkLog)
}

// park queues arrivals behind their subjects and makes a failure of each one that failed, in the transaction
// that moves the fence and under the subject's lock.
func (run *consumption) park(t *txn, failed, queued []*arrival) error {
	if room := max(parkedPerMinute-run.consumer.parkedLately(), 0); len(failed) > room {
		return &stopPartition{failed[room].err}
	}
	now := run.now
	for _, a := range failed {
		id, text := a.fact.subject, a.err.Error()
		t.tell(t.process.name, id, "PARKED by %s: %s", a.fact.name, text)
		t.oracle.parking(t, a)
		t.writes = append(t.writes, func() {
			row := t.db.subjects[id]
			row.parked = true
			t.db.subjects[id] = row
			t.db.failures[id] = &failure{subject: id, err: text, nextRetry: now.Add(retryAfter[0])}
			t.db.service.replayIn(t.db.until(now.Add(retryAfter[0])))
		})
	}
	for _, a := range queued {
		id := a.fact.subject
		t.writes = append(t.writes, func() {
			if f := t.db.failures[id]; f != nil {
				f.queue = append(f.queue, a)
				return
			}
			t.oracle.violate(id, "stranded: %s was queued behind a subject of %s that is not parked", a.fact.name, t.db.service.name)
		})
	}
	return nil
}

// stop lets a partition stand still. What is queued of it is read again when somebody resumes it.
func (c *consumer) stop(s slot) {
	if !c.assigned(s) {
		return
	}
	c.tell(c.name, "", "partition %d is STOPPED: too many subjects parked", s)
	c.stopped[s] = true
	c.drop(s)
}

// resume lets stopped partitions go on from the first event that was not handled.
func (c *consumer) resume() {
	c.parkLog = nil
	for i, stopped := range c.stopped {
		if s := slot(i); stopped && c.assigned(s) {
			c.stopped[i] = false
			c.next[i] = c.service.db.fences[i]
			c.look(s)
		}
	}
}

// replay handles the queue of a parked subject, oldest first, and unparks it, in one transaction.
type replay struct {
	application
	process   *replica
	id        string
	automatic bool
	handled   []*arrival
	// finish hears how it ended.
	finish func(error)
}

// replay starts one.
func (r *replica) replay(id string, automatic bool, finish func(error)) {
	run := &replay{process: r, id: id, automatic: automatic, finish: finish}
	run.service, run.roots = r.service, map[string]string{id: ""}
	r.begin(run.end, steps([]step{run.lockSubjects, run.read}, run.apply(), []step{run.unpark})...)
}

// read decodes the queue anew: the code may have been mended.
func (run *replay) read(t *txn) error {
	failure := t.db.failures[run.id]
	if !run.subjects[run.id].parked || failure == nil {
		return errNotParked
	}
	run.handled = slices.Clone(failure.queue)
	for _, was := range run.handled {
		a := t.db.service.arrive(was.fact, was.slot, was.offset)
		if a.err != nil {
			return a.err
		}
		if !a.skip {
			run.items = append(run.items, a.item())
		}
	}
	return nil
}

func (run *replay) unpark(t *txn) error {
	t.writes = append(t.writes, func() {
		if left := t.db.failures[run.id]; left != nil && len(left.queue) != len(run.handled) {
			t.oracle.violate(run.id, "stranded: %d events were queued while %s replayed", len(left.queue)-len(run.handled), t.db.service.name)
		}
		delete(t.db.failures, run.id)
		row := t.db.subjects[run.id]
		row.parked = false
		t.db.subjects[run.id] = row
		t.db.service.unparked()
	})
	return nil
}

// end notes a failed replay. Only automatic ones count as retries.
func (run *replay) end(err error) {
	db := run.process.service.db
	switch {
	case err == nil:
		run.process.worker.start(run.book.mine)
		run.process.tell(run.process.name, run.id, "replayed %d events", len(run.handled))
	case !transient(err) && db.failures[run.id] != nil:
		f := db.failures[run.id]
		f.err = err.Error()
		if run.automatic {
			f.retries++
			f.nextRetry = time.Time{}
			if f.retries < len(retryAfter) {
				f.nextRetry = db.clock().Add(retryAfter[f.retries])
				db.service.replayIn(retryAfter[f.retries])
			}
		}
	case !transient(err), errors.Is(err, errNotParked):
	default:
		db.service.replayIn(30 * time.Second) // the lease that the attempt had taken
	}
	run.finish(err)
}

// replayIn has the parked subjects looked at after a while.
func (v *service) replayIn(d time.Duration) {
	v.after(max(d, 0)+v.between(0, 2*time.Second), func() {
		for _, r := range v.alive() {
			r.after(0, r.replayDue)
		}
	})
}

// replayDue tries the parked subjects whose time has come, one after the other. Taking one on moves its time
// past the longest transaction, so two replicas do not use up its retries twice as fast.
func (r *replica) replayDue() {
	db := r.service.db
	if db.down {
		r.after(time.Second, r.replayDue)
		return
	}
	for _, id := range db.parked() {
		f := db.failures[id]
		if f.nextRetry.IsZero() || f.nextRetry.After(db.clock()) {
			continue
		}
		f.nextRetry = db.clock().Add(30 * time.Second)
		r.service.replayIn(30 * time.Second)
		r.replay(id, true, func(error) { r.replayDue() })
		return
	}
}

// unparked wakes those who left a parked subject's calls and deadlines alone.
func (v *service) unparked() {
	v.after(v.between(0, 500*time.Millisecond), func() {
		for _, r := range v.alive() {
			r.after(v.between(0, 500*time.Millisecond), r.worker.claim)
			r.after(v.between(0, 500*time.Millisecond), r.sweep)
		}
	})
}
