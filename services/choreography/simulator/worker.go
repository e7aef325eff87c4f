package simulator

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

type callKey struct{ subject, kind string }

func (k callKey) lock() lockKey { return lockKey{"call", k.subject + "/" + k.kind} }

// The states of a call.
const (
	callPending = iota
	callAnswered
	callWithdrawn
)

// callRow is a row of the call table.
type callRow struct {
	callKey
	body     any
	state    int
	attempts int
	due      time.Time // while claimed: when the claim ends
	later    bool      // asked for a moment to come
	cause    string
	root     string
}

// claimedCall is one try of a call.
type claimedCall struct {
	callKey
	attempt     int
	body        any
	cause, root string
	// claimedAt is by the monotonic clock, taken before the claim.
	claimedAt time.Duration
	// skew is how far the database's clock was ahead then.
	skew time.Duration
	// begun is when it was made; its time-out counts from here.
	begun time.Duration
}

const (
	callTimeout = 10 * time.Second
	callLease   = 15 * time.Second
	callSlots   = 6
)

// What becomes of tries of calls, as Result counts them.
const (
	claimedAsAsked   = "claimed as it was asked for"
	claimedFromTable = "claimed from the table"
	claimedAgain     = "claimed again"
	notSent          = "not sent, as the claim was nearly over"
)

func claimedLater(attempts int) string {
	if attempts > 1 {
		return claimedAgain
	}
	return claimedFromTable
}

// claim is the next try of a call by the process whose claim it is: claimedAt before the claim, skew the database
// clock's when it was counted from.
func (row *callRow) claim(claimedAt, skew time.Duration) *claimedCall {
	return &claimedCall{
		callKey: row.callKey, attempt: row.attempts, body: row.body, cause: row.cause, root: row.root, claimedAt: claimedAt, skew: skew,
	}
}

// worker makes calls, outside of any transaction: those that its process has claimed as it asked for them, and those
// that are due in the table.
type worker struct {
	*replica
	// slots is how many calls it makes at once; sending are being made, waiting wait for a slot, claimed, and flying
	// are all that are not answered, too.
	slots   int
	sending int
	waiting []*claimedCall
	flying  int
	full    bool
	// looksAgain: a look that found something in the way has planned the next one.
	looksAgain bool
}

func newWorker(r *replica) *worker { return &worker{replica: r, slots: 1 + r.rng.IntN(callSlots)} }

// free is how many more calls may be claimed: those that wait for a slot do so while their lease runs.
func (w *worker) free() int { return max(0, 2*w.slots-w.flying) }

// room is how many of the calls that a transaction asks for it may claim. It is drawn: as many as make the engine's
// run out there are not here, and what there is no room for has to be claimed from the table.
func (w *worker) room() int {
	if w.chance(0.3) {
		return 0
	}
	return w.rng.IntN(w.free() + 1)
}

// start makes calls that are this process's by now.
func (w *worker) start(calls []*claimedCall) {
	for _, c := range calls {
		w.flying++
		if w.hit(PauseWorker) {
			w.pause(w.between(2*time.Second, 40*time.Second))
		}
		w.after(w.between(0, 2*time.Millisecond), func() {
			w.waiting = append(w.waiting, c)
			w.next()
		})
	}
}

// next makes what waits, as far as there are slots.
func (w *worker) next() {
	for w.sending < w.slots && len(w.waiting) > 0 {
		c := w.waiting[0]
		w.waiting = w.waiting[1:]
		w.make(c)
	}
}

// lookAgain plans one more look, unless there is one.
func (w *worker) lookAgain(in time.Duration) {
	if w.looksAgain {
		return
	}
	w.looksAgain = true
	w.after(in, func() {
		w.looksAgain = false
		w.claim()
	})
}

// claim takes due calls. Those whose rows are locked it leaves alone, and those of parked subjects: their
// answers could not be decided.
func (w *worker) claim() {
	db := w.service.db
	if db.down {
		w.lookAgain(time.Second)
		return
	}
	var due []*callRow
	for _, row := range db.callRows {
		if row.state != callPending || row.due.After(db.clock()) || db.subjects[row.subject].parked {
			continue
		}
		if db.locks[row.lock()] != nil {
			w.lookAgain(sweepEvery)
			continue
		}
		due = append(due, row)
	}
	slices.SortStableFunc(due, func(a, b *callRow) int { return a.due.Compare(b.due) })
	free := w.free()
	w.full = len(due) > free || free < w.slots
	if free < w.slots {
		return // many at once, or none: over looks again
	}
	unknown := w.hit(UnknownCommit)
	var claimed []*claimedCall
	for _, row := range due[:min(free, len(due))] {
		row.due = db.clock().Add(callLease)
		row.attempts++
		w.oracle.calls[claimedLater(row.attempts)]++
		w.service.callDue(row)
		claimed = append(claimed, row.claim(w.now, db.skew))
	}
	if !unknown {
		w.start(claimed) // else the claim was made, and nobody knows of it
	}
}

// callDue has a call looked at when it is due.
func (v *service) callDue(row *callRow) {
	v.after(v.db.until(row.due)+v.between(0, sweepEvery), func() {
		for _, r := range v.alive() {
			r.after(v.between(0, 100*time.Millisecond), r.worker.claim)
		}
	})
}

// make makes one call and hands its outcome to the lane. Past its claim nothing is sent: the process may have
// been stopped for a while, and another worker has the call then.
func (w *worker) make(c *claimedCall) {
	if w.now-c.claimedAt > callLease-callTimeout {
		w.oracle.calls[notSent]++
		w.tell(w.name, c.subject, "does not send %s, attempt %d: the claim is nearly over", c.kind, c.attempt)
		if w.chance(0.8) {
			w.dueIn(c, 0) // given back
		}
		w.over()
		return
	}
	c.begun = w.now
	w.sending++
	w.oracle.sending(c, w.service.db)
	w.call(c, func(outcome flow.Command, err error) {
		// Its answer waits for a transaction without the slot, which is for the world outside.
		w.sending--
		w.after(0, w.next)
		if err != nil {
			w.tell(w.name, c.subject, "%s, attempt %d: %v", c.kind, c.attempt, err)
			w.again(c)
			w.over()
			return
		}
		w.answer(c, outcome)
	})
}

// over has a call land.
func (w *worker) over() {
	w.flying--
	if w.full {
		w.full = false
		w.after(w.between(0, 20*time.Millisecond), w.claim)
	}
}

// answer hands the outcome to the lane.
func (w *worker) answer(c *claimedCall, outcome flow.Command) {
	w.lane.submit(&work{
		item: item{input: flow.Input{
			Kind: flow.KindAnswer, Subject: outcome.Subject(), Msg: outcome, Meta: flow.Meta{Cause: c.cause},
		}, root: c.root},
		call: c,
		done: func(err error) {
			if err != nil {
				w.again(c)
			}
			w.over()
		},
	})
}

// again has the call made again after a pause that grows with its attempts.
func (w *worker) again(c *claimedCall) {
	wait := min(250*time.Millisecond<<min(c.attempt-1, 12), time.Minute)
	w.dueIn(c, wait/2+w.between(0, wait/2))
}

// dueIn has a call claimed again after a while, unless somebody else has it. Where the statement finds its row locked
// or does not come through, the end of the lease does it.
func (w *worker) dueIn(c *claimedCall, wait time.Duration) {
	db := w.service.db
	row := db.calls[c.callKey]
	if db.down || row == nil || db.locks[c.lock()] != nil || row.attempts != c.attempt || row.state != callPending {
		return
	}
	row.due = db.clock().Add(wait)
	w.service.callDue(row)
}

var (
	errNotSent = errors.New("not sent")
	errCut     = errors.New("sent, and the connection was cut")
	// errTimedOut is the only error that is an unknown outcome for a decision.
	errTimedOut = errors.New("sent, and no answer came in time")
)

// remote asks a provider: act happens there, at the moment the request arrives; heard is called in this
// process with what it answered. All requests of one call share its time.
func (w *worker) remote(c *claimedCall, provider *outage, act func(), heard func(error)) {
	if w.hit(CrashInCall) {
		if w.chance(0.5) {
			w.sim.after(w.between(0, 50*time.Millisecond), act)
		}
		w.crash("during a call")
		return
	}
	travel, back := w.between(time.Millisecond, 100*time.Millisecond), w.between(time.Millisecond, 100*time.Millisecond)
	left := max(callTimeout-(w.now-c.begun), 0)
	timedOut := func() { w.after(left, func() { heard(errTimedOut) }) }
	switch {
	case !provider.up():
		w.after(travel, func() { heard(errNotSent) })
	case left < travel+back:
		w.after(left, func() { heard(errTimedOut) })
		if w.chance(0.5) {
			w.sim.after(travel, act)
		}
	case w.hit(TimeoutActed):
		w.sim.after(travel, act)
		timedOut()
	case w.hit(TimeoutLost):
		timedOut()
	case w.hit(TimeoutLate):
		w.sim.after(left+w.between(0, time.Minute), act)
		timedOut()
	case w.hit(CutActed):
		w.sim.after(travel, act)
		w.sim.after(travel, provider.fall)
		w.after(travel+back, func() { heard(errCut) })
	default:
		w.sim.after(travel, act)
		w.after(travel+back, func() { heard(nil) })
	}
}

// byDue sorts calls that wait, for the end's report.
func byDue(a, b *callRow) int {
	return cmp.Or(cmp.Compare(a.subject, b.subject), cmp.Compare(a.kind, b.kind))
}
