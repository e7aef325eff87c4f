package simulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/stock"
)

// request is a command with what makes it safe to send twice.
type request struct {
	member, key, hash string
	command           flow.Command
}

// answer is what a command was answered.
type answer struct {
	status   int
	body     string // JSON
	code     string // of a refusal
	replayed bool
}

// work is one thing for the command lane: a command, an answer of a call or a deadline.
type work struct {
	item
	id      string
	request *request
	call    *claimedCall
	answer  answer
	done    func(error)
}

// lane takes commands, answers and deadlines through the same steps as events, with transactions of its own.
type lane struct {
	*replica
	queue []*work
	busy  bool
}

// submit queues work.
func (l *lane) submit(w *work) {
	l.queue = append(l.queue, w)
	if !l.busy {
		l.busy = true
		l.after(l.between(0, 20*time.Millisecond), l.gather)
	}
}

// gather commits what has accumulated.
func (l *lane) gather() {
	if len(l.queue) == 0 {
		l.busy = false
		return
	}
	n := min(len(l.queue), 1+l.rng.IntN(8))
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	l.finish(batch, l.now+30*time.Second, 0, 1, l.gather)
}

// finish commits a batch and tells everybody, then goes on with next. A transient failure is tried again for
// as long as a caller may be waiting; a deterministic one halves the batch, until what cannot be decided
// stands alone, fails there twice, and is answered with an error.
func (l *lane) finish(batch []*work, deadline time.Duration, alone, failures int, next func()) {
	run := &laneRun{batch: batch}
	run.service = l.service
	done := func(err error) {
		again := func(alone int) { l.finish(batch, deadline, alone, failures+1, next) }
		switch {
		case err == nil:
			l.worker.start(run.book.mine)
			tellAll(batch, nil)
			next()
		case errors.Is(err, errKeyRace):
			again(alone) // the next run finds the other replica's answer
		case !transient(err) && len(batch) > 1:
			half := len(batch) / 2
			l.finish(batch[:half], deadline, 0, 1, func() { l.finish(batch[half:], deadline, 0, 1, next) })
		case !transient(err) && alone == 0:
			again(1)
		case !transient(err), l.now > deadline:
			l.tell(l.name, batch[0].input.Subject, "input failed: %v", err)
			tellAll(batch, err)
			next()
		default:
			l.tell(l.name, batch[0].input.Subject, "command batch failed, the same again: %v", err)
			wait := min(50*time.Millisecond<<min(failures, 10), 5*time.Second)
			l.after(wait/2+l.between(0, wait/2), func() { again(alone) })
		}
	}
	l.begin(done, steps([]step{run.recall, run.lockSubjects, run.closeCalls, run.admit}, run.apply(), []step{run.saveAnswers})...)
}

func tellAll(batch []*work, err error) {
	for _, w := range batch {
		w.done(err)
	}
}

var errKeyRace = errors.New("an idempotency key was used by another replica meanwhile")

// laneRun is one batch of the lane in one transaction.
type laneRun struct {
	application
	batch     []*work
	todo      []*work
	followers map[*work]*work
	open      map[*work]bool
	decided   []*work
}

func reused() answer { return answer{status: 422, code: fault.CodeIdempotencyKeyReused} }

// recall answers commands whose key was used before, from the table or by another of the same batch.
func (run *laneRun) recall(t *txn) error {
	run.todo, run.followers = nil, map[*work]*work{}
	run.roots = map[string]string{}
	first := map[commandKey]*work{}
	for _, w := range run.batch {
		w.outcome = flow.Outcome{}
		if w.request == nil {
			continue
		}
		key := commandKey{w.request.member, w.request.key}
		if stored, used := t.db.commands[key]; used {
			w.answer = stored.answer
			w.answer.replayed = stored.id != w.id
			if stored.hash != w.request.hash {
				w.answer = reused()
			}
			continue
		}
		switch leader := first[key]; {
		case leader == nil:
			first[key] = w
			run.todo = append(run.todo, w)
		case leader.request.hash == w.request.hash:
			run.followers[w] = leader
		default:
			w.answer = reused()
		}
	}
	for _, w := range run.batch {
		if w.request == nil {
			run.todo = append(run.todo, w)
		}
	}
	for _, w := range run.todo {
		origin(run.roots, w.input.Subject, w.root)
	}
	return nil
}

// closeCalls marks the calls whose answers are in the batch as answered. One that was answered, withdrawn or
// claimed anew meanwhile does not count.
func (run *laneRun) closeCalls(t *txn) error {
	for _, w := range run.todo {
		if w.call != nil && !run.subjects[w.input.Subject].parked {
			if err := t.lock(w.call.lock()); err != nil {
				return err
			}
		}
	}
	run.open = map[*work]bool{}
	for _, w := range run.todo {
		if w.call == nil || run.subjects[w.input.Subject].parked {
			continue
		}
		row := t.db.calls[w.call.callKey]
		if row.attempts != w.call.attempt || row.state != callPending {
			t.tell(t.process.name, w.input.Subject, "the answer of %s, attempt %d, does not count any more", w.call.kind, w.call.attempt)
			continue
		}
		run.open[w] = true
		t.writes = append(t.writes, func() { row.state = callAnswered })
	}
	return nil
}

// admit picks what is decided now. On a parked subject a command is answered 503, a deadline waits, and an
// answer stays with its call.
func (run *laneRun) admit(*txn) error {
	for _, w := range run.todo {
		parked := run.subjects[w.input.Subject].parked
		switch {
		case w.request != nil && parked:
			w.answer = answer{status: 503, code: fault.CodeOrderParked}
		case w.request != nil:
			run.items, run.decided = append(run.items, &w.item), append(run.decided, w)
		case w.call != nil && !run.open[w], parked:
		default:
			run.items = append(run.items, &w.item)
		}
	}
	return nil
}

// saveAnswers keeps the answers under their keys. Of two transactions with one key exactly one decides: the
// other waits for it in the insert, fails, and finds its answer.
func (run *laneRun) saveAnswers(t *txn) error {
	slices.SortFunc(run.decided, func(a, b *work) int {
		return cmp.Or(cmp.Compare(a.request.member, b.request.member), cmp.Compare(a.request.key, b.request.key))
	})
	for _, w := range run.decided {
		if err := t.lock(lockKey{"command", w.request.member + "/" + w.request.key}); err != nil {
			return err
		}
	}
	for _, w := range run.decided {
		key := commandKey{w.request.member, w.request.key}
		if _, used := t.db.commands[key]; used {
			return errKeyRace
		}
		if err := w.reply(); err != nil {
			return err
		}
		stored := storedAnswer{id: w.id, hash: w.request.hash, answer: w.answer}
		if !w.outcome.Reply.Forget {
			t.writes = append(t.writes, func() { t.db.commands[key] = stored })
		}
	}
	for w, leader := range run.followers {
		w.answer = leader.answer
		w.answer.replayed = true
	}
	return nil
}

// reply makes the answer of what the decision said.
func (w *work) reply() error {
	r := w.outcome.Reply
	w.answer = answer{status: r.Status}
	if r.Refusal != nil {
		w.answer = answer{status: r.Refusal.Status, code: r.Refusal.Code}
		return nil
	}
	if r.Body == nil {
		return nil
	}
	body, err := json.Marshal(r.Body)
	w.answer.body = string(body)
	return err
}

// do puts a command into the lane; respond hears the answer, or an error if its outcome is not known.
func (r *replica) do(q request, respond func(answer, error)) {
	id := r.id("command")
	if q.key == "" {
		q.key = id
	}
	w := &work{id: id, request: &q, item: item{input: flow.Input{
		Kind: flow.KindCommand, Subject: q.command.Subject(), Msg: q.command, Meta: flow.Meta{Cause: id},
	}}}
	w.done = func(err error) { respond(w.answer, err) }
	r.lane.submit(w)
}

// sweepEvery is how often due things are looked for.
const sweepEvery = 500 * time.Millisecond

// sweep puts deadlines that have passed into the lane, without claiming them: the decide function looks again
// under the lock. It waits until the consumer has caught up with what was there when the process started.
func (r *replica) sweep() {
	db := r.service.db
	due := slices.DeleteFunc(r.service.due(), func(c flow.Command) bool { return db.subjects[c.Subject()].parked })
	if len(due) == 0 {
		return
	}
	if r.sweeping {
		return
	}
	r.sweeping = true
	next := func() {
		r.sweeping = false
		r.sweep()
	}
	if db.down || !r.caughtUp() {
		r.after(sweepEvery, next)
		return
	}
	waiting := len(due)
	for _, c := range due {
		w := &work{item: item{input: flow.Input{Kind: flow.KindDeadline, Subject: c.Subject(), Msg: c}}}
		w.done = func(error) {
			if waiting--; waiting == 0 {
				r.after(sweepEvery, next)
			}
		}
		r.lane.submit(w)
	}
}

// due are the deadlines of a service that have passed.
func (v *service) due() (due []flow.Command) {
	switch m := v.machine.(type) {
	case *unit[order.World]:
		for _, id := range m.tables.(*orders).due(v.db.clock()) {
			due = append(due, order.Due{OrderID: id})
		}
	case *unit[stock.World]:
		for _, id := range m.tables.(*stocks).due() {
			due = append(due, stock.Low{ProductID: id})
		}
	}
	return due
}

// caughtUp says whether all is handled that was there at the start, by whichever replica.
func (r *replica) caughtUp() bool {
	for _, topic := range r.service.topics {
		for _, s := range r.broker.slots(topic) {
			if r.service.db.fences[s] < r.ends[s] {
				return false
			}
		}
	}
	return true
}

// deadlineIn has the deadlines looked at after a while.
func (v *service) deadlineIn(at time.Time) {
	v.after(v.db.until(at)+v.between(0, sweepEvery), func() {
		for _, r := range v.alive() {
			r.after(v.between(0, sweepEvery), r.sweep)
		}
	})
}
