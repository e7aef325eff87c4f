// Package simulator runs many orders at once over the real decide functions, on a model of the engine's
// protocol and of everything it stands on: databases with transactions and row locks, a broker, consumer
// groups, relays, workers, a card provider, a carrier, customers. Faults strike as the seed says, and an
// oracle looks at every commit and at the end.
//
// # How it differs from the explorer
//
// The explorer searches every interleaving of one order, without the engine. The simulator runs one
// interleaving after another of many orders that compete for stock, coupons and points, through the
// engine's protocol: transactions that overlap on several replicas, zombies, reruns, parked subjects.
//
// # One seed, one course
//
// There is no goroutine, no clock and no map order in it: time is the moment of the next occurrence, chance
// is one generator made from the seed. A seed gives the same trace every time, byte for byte.
//
// # What is modelled, and after what
//
//	database.go, txn.go   PostgreSQL at READ COMMITTED: row locks, atomic COMMIT, sessions that end
//	consumer.go, group.go pkg/engine/consumer.go, process.go, consume.go, assign.go, stop.go
//	apply.go              pkg/engine/apply.go, subject.go, callbook.go
//	park.go               pkg/engine/park.go, replay.go
//	lane.go               pkg/engine/lane.go, command.go, sweep.go
//	worker.go, caller.go  pkg/engine/call.go and the callers of payment, shipping and mailer
//	relay.go, broker.go   pkg/outbox, and the broker it relies on
//	table*.go             the stores of the services with their constraints
package simulator

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// beginning is when every seed begins.
var beginning = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// maxSteps is far above what any seed needs: a seed that takes more will never come to rest.
const maxSteps = 400_000

// Options of a run.
type Options struct {
	// Trace keeps every line of what happens, not only those of a violation.
	Trace bool
}

// Result is what a seed did.
type Result struct {
	Seed uint64
	// Enabled names the seed's faults.
	Enabled string
	// Struck counts how often each fault struck.
	Struck [faults]int
	// Outcomes counts orders by how they ended: the status, or the reason of a cancellation.
	Outcomes map[string]int
	// Emitted counts events by their short names.
	Emitted map[string]int
	// Refused counts commands that were refused, by code.
	Refused map[string]int
	// Calls counts tries of calls outside, by who claimed them and how.
	Calls map[string]int
	// Orders that were placed, Steps that were taken, and how much time passed in the simulation.
	Orders int
	Steps  int
	Passed time.Duration
	// Violation is nil where everything holds.
	Violation *Violation
	// Lines of the trace, if Options asked for it.
	Lines []Line
}

// sim is one seed's run.
type sim struct {
	schedule
	rng   *rand.Rand
	plan  plan
	steps int
	ids   int

	broker   *broker
	services [serviceCount]*service
	card     *card
	carrier  *carrier
	post     *post
	shop     *shop
	oracle   *oracle
	trace    *trace
}

// Run simulates one seed. A seed that violates a rule is run a second time, to tell how it came about.
func Run(seed uint64, o Options) Result {
	r := run(seed, o.Trace)
	if r.Violation != nil && !o.Trace {
		told := run(seed, true)
		told.Lines = nil
		return told
	}
	return r
}

func run(seed uint64, traced bool) Result {
	s := &sim{rng: rand.New(rand.NewPCG(seed, 0x71756164))}
	if traced {
		s.trace = &trace{}
	}
	s.build()
	for s.oracle.violation == nil && s.steps < maxSteps {
		do, more := s.next()
		if !more {
			break
		}
		s.steps++
		do()
	}
	if s.oracle.violation == nil {
		s.oracle.rest()
	}
	return s.result(seed)
}

// build draws everything that a seed decides in advance.
func (s *sim) build() {
	s.oracle = newOracle(s)
	s.enable()
	s.broker = newBroker(s, 1+s.rng.IntN(3))
	s.card, s.carrier, s.post = newCard(s), newCarrier(s), &post{sim: s, outage: outage{sim: s}, sent: map[string]int{}}
	for i := range serviceCount {
		s.services[i] = newService(s, i)
	}
	s.shop = newShop(s)
	for _, v := range s.services {
		for _, r := range v.replicas {
			s.after(s.between(0, 200*time.Millisecond), r.start)
		}
	}
	s.shop.open()
	s.planFaults()
	s.after(s.plan.end, s.heal)
}

func (s *sim) result(seed uint64) Result {
	r := Result{
		Seed: seed, Enabled: s.plan.enabledFaults(), Struck: s.plan.struck, Outcomes: s.oracle.outcomes,
		Emitted: s.oracle.emitted, Refused: s.shop.refused, Calls: s.oracle.calls, Orders: len(s.oracle.orders), Steps: s.steps, Passed: s.now,
		Violation: s.oracle.violation,
	}
	if r.Violation != nil {
		r.Violation.Seed, r.Violation.Enabled = seed, r.Enabled
	}
	if s.trace != nil {
		r.Lines = s.trace.lines
		if r.Violation != nil {
			r.Violation.Trace = s.trace.about(r.Violation.Subject)
		}
	}
	return r
}

// between draws a time span.
func (s *sim) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.rng.Int64N(int64(most-least)+1))
}

// chance draws whether something happens that is no fault.
func (s *sim) chance(p float64) bool { return s.rng.Float64() < p }

// id makes a name that no other thing of this seed has.
func (s *sim) id(kind string) string {
	s.ids++
	return fmt.Sprintf("%s-%d", kind, s.ids)
}
