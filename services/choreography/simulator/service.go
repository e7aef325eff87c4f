package simulator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/stock"
)

// The services; the first five are also the topics they own.
const (
	atOrder = iota
	atStock
	atCoupon
	atPayment
	atShipping
	atMailer
	serviceCount
)

// service is one service: its database and its replicas.
type service struct {
	*sim
	number   int
	name     string
	machine  machine
	db       *database
	replicas []*replica
	topics   []int
	group    *group
	// poisoned are the events it cannot handle, and until when.
	poisoned map[string]sickness
	// brokenUntil is when a bad release is taken back.
	brokenUntil time.Duration
	wasBroken   bool
	// wellSince is since when nothing has disturbed it: what must happen in time is measured from here.
	wellSince time.Duration
}

// sickness is what is wrong with an event in the eyes of one service.
type sickness struct {
	until time.Duration
	err   error
	// decoding: the bytes are not understood; else deciding panics, or a constraint refuses what it saves.
	decoding bool
}

func newService(s *sim, number int) *service {
	v := &service{sim: s, number: number, poisoned: map[string]sickness{}}
	v.db = newDatabase(s, v)
	switch number {
	case atOrder:
		v.machine = &unit[order.World]{def: order.Topology, tables: newOrders(v.deadlineIn)}
	case atStock:
		v.machine = &unit[stock.World]{def: stock.Topology, tables: newStocks(v.deadlineIn)}
	case atCoupon:
		v.machine = &unit[coupon.World]{def: coupon.Topology, tables: newCoupons()}
	case atPayment:
		v.machine = &unit[payment.World]{def: payment.Topology, tables: newPayments()}
	case atShipping:
		v.machine = &unit[shipping.World]{def: shipping.Topology, tables: newShipments()}
	case atMailer:
		v.machine = &unit[mailer.World]{def: mailer.Topology, tables: newMails()}
	}
	v.name = v.machine.name()
	for _, topic := range v.machine.topics() {
		if at := slices.Index(topics[:], topic); at >= 0 { // else member.v1: nobody moves house here
			v.topics = append(v.topics, at)
		}
	}
	v.group = &group{sim: s, service: v, owner: make([]*replica, len(s.broker.logs))}
	for i := range 1 + s.rng.IntN(3) {
		v.replicas = append(v.replicas, newReplica(v, i+1))
	}
	return v
}

func (v *service) reads(topic int) bool { return slices.Contains(v.topics, topic) }

// alive lists the replicas that run, in a random order.
func (v *service) alive() []*replica {
	var all []*replica
	for _, r := range v.replicas {
		if r.alive {
			all = append(all, r)
		}
	}
	v.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// published says that rows were committed: the relay of the same process is woken, another one looks now
// and then.
func (v *service) published(by *replica) {
	elected := v.db.elected
	switch {
	case elected == nil:
		for _, r := range v.alive() {
			r.after(v.between(0, time.Second), r.relay.campaign)
		}
	case elected.process.relay != elected:
		// Its process is dead, and the server has not noticed: when it does, the others campaign.
	case elected.process == by:
		by.after(v.between(0, 20*time.Millisecond), elected.work)
	default:
		elected.process.after(v.between(0, 500*time.Millisecond), elected.work)
	}
}

// poison decides whether the service will be able to handle an event.
func (v *service) poison(f *fact) {
	if _, known := v.poisoned[f.id]; known || !v.machine.consumes(f.full) || !v.hit(Poison) {
		return
	}
	sick := sickness{until: v.now + v.between(time.Second, 20*time.Minute)}
	if v.chance(0.6) {
		sick.until = v.now + v.between(0, 5*time.Second) // mended while the order goes on
	}
	switch v.rng.IntN(3) {
	case 0:
		sick.decoding, sick.err = true, &fault.DecodeError{Type: f.name, Reason: "version is not known"}
	case 1:
		sick.err = &fault.PanicError{Where: v.name, Value: "poison"}
	case 2:
		sick.err = check("poison")
	}
	v.poisoned[f.id] = sick
	v.tell(v.name, f.subject, "will not be able to handle %s until %v", f.name, sick.until)
}

// sick says why an event cannot be handled now; nil: it can.
func (v *service) sick(f *fact, decoding bool) error {
	if sick, poisoned := v.poisoned[f.id]; poisoned && sick.decoding == decoding && v.now < sick.until {
		return sick.err
	}
	if !decoding && v.now < v.brokenUntil {
		return &fault.PanicError{Where: v.name, Value: "bad release"}
	}
	return nil
}

// disturbed notes that what must happen in time is measured anew.
func (v *service) disturbed() { v.wellSince = max(v.wellSince, v.now) }

// replica is one process of a service.
type replica struct {
	*sim
	service *service
	name    string
	alive   bool
	// life counts the processes that ran under this name; what an earlier one had planned does not happen.
	life int
	// pausedUntil: the process is stopped; all it does waits.
	pausedUntil time.Duration
	// skew is how far its wall clock is off.
	skew time.Duration

	consumer *consumer
	lane     *lane
	worker   *worker
	relay    *relay
	// sweeping: deadlines are being dealt with, or will be looked for again soon.
	sweeping bool
	// ends are the ends of the logs when it started: deadlines wait until they are handled.
	ends []int
}

func newReplica(v *service, n int) *replica {
	return &replica{sim: v.sim, service: v, name: fmt.Sprintf("%s/%d", v.name, n)}
}

// after plans something this process does. It does not happen once the process is dead, and waits while it
// is stopped.
func (r *replica) after(d time.Duration, do func()) {
	life := r.life
	r.sim.after(d, func() { r.awake(life, do) })
}

func (r *replica) awake(life int, do func()) {
	switch {
	case life != r.life || !r.alive:
	case r.now < r.pausedUntil:
		r.sim.after(r.pausedUntil-r.now, func() { r.awake(life, do) })
	default:
		do()
	}
}

// wall is the process's own idea of the time.
func (r *replica) wall() time.Time { return beginning.Add(r.now + r.skew) }

// start starts the process, unless it runs.
func (r *replica) start() {
	if r.alive {
		return
	}
	r.alive, r.pausedUntil, r.sweeping = true, 0, false
	r.life++
	r.tell(r.name, "", "starts")
	r.consumer, r.lane = newConsumer(r), &lane{replica: r}
	r.worker, r.relay = newWorker(r), &relay{process: r}
	r.ends = make([]int, len(r.broker.logs))
	for i, log := range r.broker.logs {
		r.ends[i] = len(log)
	}
	r.service.disturbed()
	r.service.group.rebalance()
	r.after(r.between(0, time.Second), r.relay.campaign)
	r.after(r.between(0, 500*time.Millisecond), r.worker.claim)
	r.after(r.between(0, 500*time.Millisecond), r.sweep)
	r.after(r.between(0, 2*time.Second), r.replayDue)
}

// crash kills the process, which is started again after a while. Its sessions end: at once where the kernel
// closes the sockets, later where the machine is gone.
func (r *replica) crash(when string) {
	if !r.alive {
		return
	}
	r.tell(r.name, "", "CRASH %s", when)
	r.kill()
	r.sim.after(r.between(100*time.Millisecond, 8*time.Second), r.start)
}

func (r *replica) kill() {
	r.alive = false
	r.service.disturbed()
	db := r.service.db
	notice := time.Duration(0)
	if r.chance(0.3) {
		notice = r.between(0, 15*time.Second)
	}
	open, elected := []*txn{}, db.elected == r.relay
	for _, t := range db.open {
		if t.process == r {
			open = append(open, t)
		}
	}
	relay := r.relay
	r.sim.after(notice, func() {
		for _, t := range open {
			if !t.ended {
				t.release()
			}
		}
		if elected && db.elected == relay {
			db.loseElection()
		}
	})
	r.sim.after(r.between(0, 10*time.Second), r.service.group.rebalance)
}

// pause stops the process (SIGSTOP). The server ends its idle sessions, the group gives its partitions away,
// and it knows of neither when it wakes.
func (r *replica) pause(d time.Duration) {
	if !r.alive || r.now < r.pausedUntil {
		return
	}
	r.tell(r.name, "", "is stopped for %v", d)
	r.service.disturbed()
	r.pausedUntil = r.now + d
	life := r.life
	r.sim.after(idleTimeout, func() {
		if r.life != life || r.now >= r.pausedUntil {
			return
		}
		for _, t := range slices.Clone(r.service.db.open) {
			if t.process == r {
				t.kill(errSession)
			}
		}
		if r.service.db.elected == r.relay {
			r.service.db.loseElection()
		}
	})
	if d > sessionTime {
		r.sim.after(sessionTime, r.service.group.rebalance)
	}
	r.after(d, func() {
		r.tell(r.name, "", "wakes up")
		r.service.disturbed()
		r.after(r.between(0, 3*time.Second), r.service.group.rebalance)
	})
}

// sessionTime is the group's session time-out.
const sessionTime = 10 * time.Second

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
