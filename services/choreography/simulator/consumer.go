package simulator

import (
	"errors"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// arrival is a record that was polled.
type arrival struct {
	fact   *fact
	slot   slot
	offset int
	skip   bool  // of a type the service does not take, or none of its business
	err    error // it could not be decoded
}

// consumer polls partitions and commits batches of what it polled.
type consumer struct {
	*replica
	pending []*arrival
	// next is where it fetches from, by slot; -1: not its own, as far as it knows.
	next    []int
	polling []bool
	stopped []bool

	// chosen is what was taken for a batch and has not been committed.
	chosen          []*arrival
	busy            bool
	limit, failures int
	alone           suspect
	parkLog         []time.Duration
}

// suspect is the one arrival that a failing batch was narrowed down to.
type suspect struct {
	arrival *arrival
	times   int
	err     error
}

func newConsumer(r *replica) *consumer {
	n := len(r.broker.logs)
	c := &consumer{replica: r, next: make([]int, n), polling: make([]bool, n), stopped: make([]bool, n), limit: batchMax(r.sim)}
	for i := range c.next {
		c.next[i] = -1
	}
	return c
}

// batchMax is the most records of one transaction: small enough that batches end in the middle of things.
func batchMax(s *sim) int { return 1 + s.rng.IntN(30) }

func (c *consumer) assigned(s slot) bool { return c.next[s] >= 0 }

func (c *consumer) assign(s slot, offset int) {
	c.next[s], c.stopped[s] = offset, false
	c.tell(c.name, "", "has %s partition %d from offset %d", topics[c.broker.topicOf(s)], s, offset)
	c.look(s)
}

// forget drops what is queued of a partition that is somebody else's now. The batch under way goes on.
func (c *consumer) forget(s slot) {
	c.next[s], c.stopped[s] = -1, false
	c.drop(s)
}

func (c *consumer) drop(s slot) {
	gone := func(a *arrival) bool { return a.slot == s }
	c.pending = slices.DeleteFunc(slices.Clone(c.pending), gone)
	c.chosen = slices.DeleteFunc(slices.Clone(c.chosen), gone)
}

// look fetches soon, or not so soon: topics have no order between them.
func (c *consumer) look(s slot) {
	if !c.alive || !c.assigned(s) || c.polling[s] || c.next[s] >= len(c.broker.logs[s]) {
		return
	}
	c.polling[s] = true
	wait := c.between(time.Millisecond, 10*time.Millisecond)
	if c.hit(Delay) {
		wait = c.between(time.Second, 40*time.Second)
		c.tell(c.name, "", "reads partition %d late", s)
	}
	c.after(wait, func() {
		c.polling[s] = false
		c.poll(s)
	})
}

// poll queues what a partition holds from the position on, in order.
func (c *consumer) poll(s slot) {
	if !c.assigned(s) || c.stopped[s] {
		return
	}
	if c.broker.down {
		c.after(time.Second, func() { c.look(s) })
		return
	}
	log := c.broker.logs[s]
	for ; c.next[s] < len(log); c.next[s]++ {
		c.pending = append(c.pending, c.service.arrive(log[c.next[s]], s, c.next[s]))
	}
	c.process()
}

// arrive decodes a record. What the service does not take is none of its business, readable or not.
func (v *service) arrive(f *fact, s slot, offset int) *arrival {
	a := &arrival{fact: f, slot: s, offset: offset, skip: !v.machine.consumes(f.full)}
	if !a.skip {
		a.err = v.sick(f, true)
	}
	if a.err == nil {
		a.skip = a.skip || !v.machine.concerns(f.message)
	}
	return a
}

// process commits the next batch, unless one is under way.
func (c *consumer) process() {
	if c.busy || len(c.pending) == 0 {
		return
	}
	c.busy = true
	c.after(c.between(0, 20*time.Millisecond), c.commit)
}

// commit runs one batch. What stands alone and has failed there twice is parked.
func (c *consumer) commit() {
	if len(c.pending) == 0 {
		c.busy = false
		return
	}
	if len(c.chosen) == 0 {
		c.chosen = c.choose()
	}
	batch := slices.Clone(c.chosen[:min(c.limit, len(c.chosen))])
	if len(batch) > 1 || batch[0] != c.alone.arrival {
		c.alone = suspect{}
	}
	var parkWith error
	if c.alone.times >= 2 {
		parkWith = c.alone.err
	}
	run := &consumption{consumer: c, batch: batch, parkWith: parkWith}
	run.service = c.service
	c.begin(run.finish, steps([]step{run.lockFences, run.enterInbox, run.lockSubjects, run.handle}, run.apply())...)
}

// choose takes what goes into the next batch: now and then what came first, else anything that has of each partition
// of a topic what stands first there. The engine lets some events wait for company and cuts by partitions; nothing
// may depend on how.
func (c *consumer) choose() []*arrival {
	if c.chance(0.3) {
		return slices.Clone(c.pending)
	}
	queues := map[slot][]*arrival{}
	for _, a := range c.pending {
		queues[a.slot] = append(queues[a.slot], a)
	}
	if c.chance(0.5) {
		for _, s := range sortedKeys(queues) {
			if queues[s] = queues[s][:c.rng.IntN(len(queues[s])+1)]; len(queues[s]) == 0 {
				delete(queues, s)
			}
		}
	}
	var chosen []*arrival
	for slots := sortedKeys(queues); len(slots) > 0; {
		i := c.rng.IntN(len(slots))
		queue := queues[slots[i]]
		n := 1 + c.rng.IntN(len(queue))
		chosen = append(chosen, queue[:n]...)
		if queues[slots[i]] = queue[n:]; n == len(queue) {
			slots = slices.Delete(slots, i, i+1)
		}
	}
	if len(chosen) == 0 {
		return slices.Clone(c.pending)
	}
	return chosen
}

// finish goes on after a batch has ended. After a deterministic failure the batch is halved, until what
// cannot be handled stands alone; any other failure leaves it as it is.
func (run *consumption) finish(err error) {
	c, single := run.consumer, len(run.batch) == 1
	var stop *stopPartition
	switch {
	case err == nil:
		c.worker.start(run.book.mine)
		c.done(run)
		c.limit, c.failures = min(c.limit*2, 50), 0
	case errors.As(err, &stop) && single:
		c.stop(run.batch[0].slot)
	case !transient(err) && !single:
		c.limit, c.chosen = max(1, len(run.batch)/2), run.batch
	case !transient(err) && run.parkWith == nil:
		c.alone = suspect{arrival: run.batch[0], times: c.alone.times + 1, err: err}
	default:
		c.failures++
		if c.chance(0.5) {
			c.chosen = nil // what has come meanwhile may come along, and anything else may stay behind
		}
		if c.trace != nil {
			c.tell(c.name, "", "batch of %d failed, the same again: %v", len(run.batch), err)
		}
		wait := min(50*time.Millisecond<<min(c.failures, 10), 5*time.Second)
		c.after(wait/2+c.between(0, wait/2), c.commit)
		return
	}
	c.busy = false
	c.process()
}

// done removes a committed batch from the queue. The group's offset that would be committed now is a hint:
// nobody starts from it.
func (c *consumer) done(run *consumption) {
	for range run.parked {
		c.parkLog = append(c.parkLog, c.now)
	}
	committed := map[*arrival]bool{}
	for _, a := range run.batch {
		committed[a] = true
	}
	c.pending = slices.DeleteFunc(slices.Clone(c.pending), func(a *arrival) bool { return committed[a] })
	c.chosen = nil
	if c.hit(CrashAfterHandling) {
		c.crash("before the offset commit")
	}
}

// consumption is one batch of arrivals in one transaction: fence, inbox, subjects, apply, new offsets.
type consumption struct {
	application
	consumer *consumer
	batch    []*arrival
	parkWith error
	fresh    []*arrival
	parked   int
}

// lockFences locks the rows of the batch's partitions, in key order, and leaves out what is below them.
func (run *consumption) lockFences(t *txn) error {
	slots := map[slot]bool{}
	for _, a := range run.batch {
		slots[a.slot] = true
	}
	for _, s := range sortedKeys(slots) {
		if err := t.lock(lockKey{"fence", fenceName(s)}); err != nil {
			return err
		}
	}
	moved := map[slot]int{}
	var arrived []*arrival
	for _, a := range run.batch {
		if a.offset < t.db.fences[a.slot] {
			continue
		}
		moved[a.slot] = max(moved[a.slot], a.offset+1)
		if a.skip {
			continue
		}
		if run.parkWith != nil {
			a.err = run.parkWith
		}
		arrived = append(arrived, a)
	}
	run.fresh = arrived
	for _, s := range sortedKeys(moved) {
		t.writes = append(t.writes, func() { t.db.fences[s] = moved[s] })
	}
	t.oracle.passing(t, run.consumer.service, arrived)
	return nil
}

func fenceName(s slot) string { return string([]byte{byte('a' + s/26), byte('a' + s%26)}) }

// enterInbox keeps the arrivals whose ids were not there. The insert waits for a transaction that has the
// same id and is not finished. The mailer has none: its own rows recognise a repeated event.
func (run *consumption) enterInbox(t *txn) error {
	if run.service.number == atMailer {
		return nil
	}
	ids := set{}
	for _, a := range run.fresh {
		ids.add(a.fact.id)
	}
	if err := t.lock(ids.locks("inbox")...); err != nil {
		return err
	}
	fresh := run.fresh[:0:0]
	for _, a := range run.fresh {
		id := a.fact.id
		if _, entered := ids[id]; !entered || t.db.inbox[id] {
			continue // dealt with, or twice in this batch
		}
		delete(ids, id)
		fresh = append(fresh, a)
		t.writes = append(t.writes, func() { t.db.inbox[id] = true })
	}
	run.fresh = fresh
	return nil
}

// lockSubjects locks what the batch is about.
func (run *consumption) lockSubjects(t *txn) error {
	if run.roots == nil {
		run.roots = map[string]string{}
		for _, a := range run.fresh {
			origin(run.roots, a.fact.subject, a.fact.root)
		}
	}
	return run.application.lockSubjects(t)
}

// handle queues the events of parked subjects, parks what cannot be handled with what follows it, and leaves
// the rest to apply.
func (run *consumption) handle(t *txn) error {
	var queued, failed []*arrival
	for _, a := range run.fresh {
		s := run.subjects[a.fact.subject]
		if a.err == nil && !s.parked {
			run.items = append(run.items, a.item())
			continue
		}
		if !s.parked {
			failed = append(failed, a)
		}
		s.parked = true
		queued = append(queued, a)
	}
	run.parked = len(failed)
	return run.park(t, failed, queued)
}

func (a *arrival) item() *item {
	return &item{
		input: flow.Input{
			Kind: flow.KindEvent, Subject: a.fact.subject, Msg: a.fact.message, Meta: flow.Meta{Cause: a.fact.id},
		},
		root: a.fact.root, fact: a.fact,
	}
}
