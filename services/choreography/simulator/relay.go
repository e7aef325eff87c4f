package simulator

import (
	"slices"
	"time"
)

// relay carries the outbox to the broker. One process of a service is elected, by a lock that its session
// holds; the election saves work and nothing depends on it.
type relay struct {
	process       *replica
	elected, busy bool
	// term counts elections: what was sent in an earlier one is nobody's business any more.
	term     int
	failures int
}

// relayBatch is the most rows of one read.
const relayBatch = 40

// campaign asks for the election.
func (l *relay) campaign() {
	db := l.process.service.db
	switch {
	case db.down:
		l.process.after(time.Second, l.campaign)
	case db.elected == nil:
		db.elected, l.elected, l.busy = l, true, false
		l.term++
		l.process.tell(l.process.name, "", "relay elected")
		l.work()
	}
}

// work reads the oldest rows. There is no cursor: what is there is read, and deleted once it is acknowledged.
func (l *relay) work() {
	p := l.process
	db := p.service.db
	if !l.elected || l.busy || len(db.outbox) == 0 {
		return
	}
	if db.elected != l || db.down {
		l.lost()
		return
	}
	rows := slices.Clone(db.outbox[:min(len(db.outbox), relayBatch)])
	l.busy = true
	if p.hit(PauseRelay) {
		p.pause(p.between(6*time.Second, time.Minute))
	}
	term := l.term
	p.after(p.between(100*time.Microsecond, 3*time.Millisecond), func() { l.publish(rows, term) })
}

// lost ends the term: the session is gone.
func (l *relay) lost() {
	l.elected, l.busy = false, false
	l.process.after(l.process.between(100*time.Millisecond, 3*time.Second), l.campaign)
}

// publish sends what was read, each partition's rows in one request. A request that has left the process
// arrives whatever becomes of the process.
func (l *relay) publish(rows []outboxRow, term int) {
	p := l.process
	byslot := map[slot][]outboxRow{}
	for _, row := range rows {
		s := p.broker.slotOf(row.fact)
		byslot[s] = append(byslot[s], row)
	}
	d := &delivery{relay: l, term: term, waiting: len(byslot)}
	for _, s := range sortedKeys(byslot) {
		d.send(s, byslot[s])
	}
}

// delivery collects what becomes of one read.
type delivery struct {
	relay   *relay
	term    int
	waiting int
	acked   []int
	failed  bool
	stalled bool
}

// stallTime is how long a relay waits for the broker before it gives up its election.
const stallTime = 30 * time.Second

func (d *delivery) send(s slot, rows []outboxRow) {
	p := d.relay.process
	facts, ids := make([]*fact, len(rows)), make([]int, len(rows))
	for i, row := range rows {
		facts[i], ids[i] = row.fact, row.id
	}
	travel, late := p.between(100*time.Microsecond, 4*time.Millisecond), p.hit(LateProduce)
	if late {
		travel = p.between(stallTime, stallTime+time.Minute)
		p.after(stallTime, func() {
			d.stalled = true
			d.settle(nil, false)
		})
	}
	life := p.life
	p.sim.after(travel, func() {
		if p.broker.down {
			if !late {
				p.awake(life, func() { d.settle(nil, false) })
			}
			return
		}
		p.broker.append(s, facts)
		acknowledged := !p.hit(Duplicate)
		if !acknowledged {
			p.tell("broker", "", "the acknowledgement for %s is lost", p.name)
		}
		if !late {
			p.awake(life, func() { d.settle(ids, acknowledged) })
		}
	})
}

// settle counts one request that is answered or given up.
func (d *delivery) settle(ids []int, acknowledged bool) {
	if acknowledged {
		d.acked = append(d.acked, ids...)
	} else {
		d.failed = true
	}
	if d.waiting--; d.waiting == 0 {
		l := d.relay
		l.process.after(l.process.between(50*time.Microsecond, 2*time.Millisecond), func() { l.remove(d) })
	}
}

// remove deletes exactly what was acknowledged. A relay whose session has ended cannot.
func (l *relay) remove(d *delivery) {
	p := l.process
	db := p.service.db
	if len(d.acked) > 0 && p.hit(CrashAfterPublish) {
		p.crash("after publish, before delete")
		return
	}
	switch {
	case d.term != l.term:
		return
	case db.elected != l || db.down:
		p.tell(p.name, "", "relay finds its session gone: %d published rows stay", len(d.acked))
		l.lost()
		return
	}
	db.outbox = slices.DeleteFunc(db.outbox, func(row outboxRow) bool { return slices.Contains(d.acked, row.id) })
	l.busy = false
	switch {
	case d.stalled:
		db.loseElection() // another replica may reach the broker
		l.lost()
	case d.failed:
		l.failures++
		l.busy = true
		wait := min(100*time.Millisecond<<min(l.failures, 10), 3*time.Second)
		p.after(wait-p.between(0, wait/4), func() {
			l.busy = false
			l.work()
		})
	default:
		l.failures = 0
		l.work()
	}
}
