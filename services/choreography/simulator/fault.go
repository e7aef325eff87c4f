package simulator

import (
	"fmt"
	"strings"
	"time"
)

// Fault is a kind of mishap. A seed enables a random subset of them.
type Fault int

// The faults. Those that strike at a point of the protocol are drawn whenever that point is passed, the
// others come at moments drawn in advance.
const (
	// CrashBeforeCommit kills a process that has decided and not committed.
	CrashBeforeCommit Fault = iota
	// CrashAfterCommit kills it between its COMMIT and everything that follows from it: no wake-up for the
	// relay, no offset, no answer to the caller.
	CrashAfterCommit
	// CrashAfterPublish kills a relay between the broker's acknowledgement and the delete.
	CrashAfterPublish
	// CrashAfterHandling kills a consumer between its transaction and the commit of the group's offset.
	CrashAfterHandling
	// CrashInCall kills a worker before its request is out, or when the provider has acted on it.
	CrashInCall
	// UnknownCommit answers a COMMIT with a lost connection; it did commit, or it did not.
	UnknownCommit
	// Transient fails a statement for a reason that passes: serialization, lock time-out, a full disk.
	Transient
	// Duplicate loses an acknowledgement of the broker: the relay sends the rows again.
	Duplicate
	// LateProduce holds a request of a relay up on the network until long after the relay has given up.
	LateProduce
	// Delay holds up what a service reads of one topic, while it reads the others.
	Delay
	// Pause stops a process (SIGSTOP) for longer than its session and its transactions live: what it had
	// polled, read from the outbox or claimed it goes on with when it wakes, as a zombie.
	Pause
	// PauseRelay stops a process whose relay has read rows and not sent them.
	PauseRelay
	// PauseWorker stops a process whose worker has claimed a call and not sent it.
	PauseWorker
	// ZombieConsumer lets a member learn late that its partitions are somebody else's.
	ZombieConsumer
	// Rebalance moves partitions between the members of a group.
	Rebalance
	// OffsetLost resets a group's offsets to anything.
	OffsetLost
	// ClockJump moves the wall clock of one process, forward or back.
	ClockJump
	// DatabaseClock moves the clock of one database forward.
	DatabaseClock
	// Poison is an event that one service cannot handle until somebody mends the service.
	Poison
	// BadRelease is a service that fails on every event for a while.
	BadRelease
	// ReplayByHand replays a parked subject before it is mended.
	ReplayByHand
	// TimeoutActed loses the answer of a provider that has acted.
	TimeoutActed
	// TimeoutLost loses the request.
	TimeoutLost
	// TimeoutLate delivers the request after its sender has given up.
	TimeoutLate
	// CutActed cuts the connection after the provider has acted: an error, not a time-out.
	CutActed
	// ProviderDown makes card provider, carrier or mail server refuse everything for a while, at times for
	// longer than the provider remembers idempotency keys.
	ProviderDown
	// WebhookLate holds webhooks up, so that a later one comes first.
	WebhookLate
	// WebhookTwice sends a webhook again that was taken.
	WebhookTwice
	// AnswerLost loses what a customer was answered; the customer sends the same again.
	AnswerLost
	// ServiceDown stops all processes of a service for a while.
	ServiceDown
	// DatabaseDown ends all sessions of a database and refuses new ones for a while.
	DatabaseDown
	// DatabaseTrouble fails every statement of a database for a while: its disk is full.
	DatabaseTrouble
	// BrokerDown makes the broker refuse everything for a while.
	BrokerDown
	// InboxForgotten repeats events weeks later, when no inbox knows them any more.
	InboxForgotten
	faults
)

// faultKind says how often a fault strikes: with which chance at its point, or up to how many times.
type faultKind struct {
	name   string
	chance float64
	times  int
}

var faultKinds = [faults]faultKind{
	CrashBeforeCommit:  {name: "crash before COMMIT", chance: 0.008},
	CrashAfterCommit:   {name: "crash after COMMIT", chance: 0.008},
	CrashAfterPublish:  {name: "crash after publish, before delete", chance: 0.02},
	CrashAfterHandling: {name: "crash before the offset commit", chance: 0.01},
	CrashInCall:        {name: "crash during a call", chance: 0.03},
	UnknownCommit:      {name: "unknown COMMIT", chance: 0.02},
	Transient:          {name: "transient database error", chance: 0.008},
	Duplicate:          {name: "lost acknowledgement", chance: 0.08},
	LateProduce:        {name: "late produce request", chance: 0.02},
	Delay:              {name: "delay of one topic", chance: 0.06},
	Pause:              {name: "pause of a process", times: 5},
	PauseRelay:         {name: "pause between read and send of a relay", chance: 0.03},
	PauseWorker:        {name: "pause between claim and send of a call", chance: 0.05},
	ZombieConsumer:     {name: "zombie consumer", chance: 0.5},
	Rebalance:          {name: "rebalance", times: 12},
	OffsetLost:         {name: "group offset lost", times: 4},
	ClockJump:          {name: "clock jump of a process", times: 6},
	DatabaseClock:      {name: "clock jump of a database", times: 3},
	Poison:             {name: "poison event", chance: 0.02},
	BadRelease:         {name: "bad release", times: 2},
	ReplayByHand:       {name: "replay by hand", times: 40},
	TimeoutActed:       {name: "provider time-out, acted", chance: 0.08},
	TimeoutLost:        {name: "provider time-out, not acted", chance: 0.08},
	TimeoutLate:        {name: "provider time-out, acts late", chance: 0.08},
	CutActed:           {name: "connection cut, acted", chance: 0.1},
	ProviderDown:       {name: "provider down", times: 3},
	WebhookLate:        {name: "late webhook", chance: 0.3},
	WebhookTwice:       {name: "repeated webhook", chance: 0.3},
	AnswerLost:         {name: "answer to a customer lost", chance: 0.15},
	ServiceDown:        {name: "service down", times: 2},
	DatabaseDown:       {name: "database down", times: 3},
	DatabaseTrouble:    {name: "database in trouble", times: 3},
	BrokerDown:         {name: "broker down", times: 2},
	InboxForgotten:     {name: "repetition after the inbox forgot", times: 1},
}

// String is the fault in words.
func (f Fault) String() string {
	if f < 0 || f >= faults {
		return fmt.Sprintf("fault %d", int(f))
	}
	return faultKinds[f].name
}

// Faults lists every kind.
func Faults() []Fault {
	all := make([]Fault, faults)
	for i := range all {
		all[i] = Fault(i)
	}
	return all
}

// plan is which faults a seed has, and until when.
type plan struct {
	enabled [faults]bool
	struck  [faults]int
	// end is when faults end and everything that is down is started again.
	end time.Duration
}

// enable draws the seed's faults: none now and then, usually a third of them.
func (s *sim) enable() {
	s.plan.end = s.between(20*time.Second, 3*time.Minute)
	if s.chance(0.3) {
		s.plan.end = s.between(3*time.Minute, 15*time.Minute) // nobody mends anything for long
	}
	share := []float64{0, 0.15, 0.3, 0.3, 0.5, 0.8}[s.rng.IntN(6)]
	for f := range faults {
		s.plan.enabled[f] = s.rng.Float64() < share
	}
}

// hit draws whether a fault strikes at this point.
func (s *sim) hit(f Fault) bool {
	if !s.plan.enabled[f] || s.now >= s.plan.end || s.rng.Float64() >= faultKinds[f].chance {
		return false
	}
	s.plan.struck[f]++
	return true
}

// struck counts a fault that came at a moment drawn in advance.
func (s *sim) struck(f Fault) { s.plan.struck[f]++ }

// enabledFaults names the seed's faults.
func (p *plan) enabledFaults() string {
	var names []string
	for f, on := range p.enabled {
		if on {
			names = append(names, Fault(f).String())
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
