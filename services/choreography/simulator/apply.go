package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// item is one input on its way through a transaction, with what its emissions inherit.
type item struct {
	input   flow.Input
	root    string
	fact    *fact // of an event
	outcome flow.Outcome
}

// application is the part that all transactions have in common: the subjects' locks, Load, decide each in
// order, Save, calls, subjects, outbox.
type application struct {
	service  *service
	roots    map[string]string // what the rows of subjects begin with that are made here
	subjects map[string]*subject
	now      time.Time
	items    []*item
	inputs   []flow.Input
	decider  decider
	book     callBook
}

// lockSubjects makes and locks the rows, in key order, and then reads the clock.
func (a *application) lockSubjects(t *txn) error {
	ids := sortedKeys(a.roots)
	for _, id := range ids {
		if err := t.lock(lockKey{"subject", id}); err != nil {
			return err
		}
	}
	a.subjects = make(map[string]*subject, len(ids))
	for _, id := range ids {
		row, there := t.db.subjects[id]
		if !there {
			row = subject{id: id, root: a.roots[id]}
			made := row
			t.writes = append(t.writes, func() {
				if _, there := t.db.subjects[id]; !there {
					t.db.subjects[id] = made
				}
			})
		}
		a.subjects[id] = &row
	}
	t.clock = t.db.clock()
	a.now = t.clock
	a.book.skew = t.db.skew
	return nil
}

// loadRows locks what Load locks and reads it.
func (a *application) loadRows(t *txn) error {
	if len(a.items) == 0 {
		return nil
	}
	if a.inputs == nil {
		a.inputs = make([]flow.Input, len(a.items))
		for i, it := range a.items {
			it.input.Meta.Now = a.now
			it.input.Meta.IDs = t.newIDs()
			a.inputs[i] = it.input
		}
		a.decider = a.service.machine.open()
	}
	if err := t.lock(a.decider.locks(a.inputs)...); err != nil {
		return err
	}
	a.decider.load(a.inputs)
	return nil
}

// newIDs gives a decision its ids when it asks for them. A rerun makes new ones.
func (s *sim) newIDs() func(int) string {
	var ids []string
	return func(i int) string {
		for len(ids) <= i {
			ids = append(ids, s.id("event"))
		}
		return ids[i]
	}
}

// decide runs the real decide functions, in order.
func (a *application) decide(t *txn) error {
	a.book.now, a.book.room = a.now, t.process.worker.room()
	for i, it := range a.items {
		if it.fact != nil {
			if sick := a.service.sick(it.fact, false); sick != nil && fault.SQLState(sick) == "" {
				return sick
			}
			t.oracle.handling(t, a.service, it.fact)
		}
		out, err := a.decider.decide(a.inputs[i])
		if err != nil {
			return fmt.Errorf("decide %T of %s: %w", it.input.Msg, it.input.Subject, err)
		}
		it.outcome = out
		s := a.subjects[it.input.Subject]
		a.emit(t, s, it)
		if err := a.book.add(it, s); err != nil {
			return err
		}
		a.tellDecision(t, it)
	}
	return nil
}

// emit numbers what a decision returned, under the subject's lock.
func (a *application) emit(t *txn, s *subject, it *item) {
	for _, em := range it.outcome.Events {
		if s.root == "" {
			s.root = it.root
		}
		if s.root == "" {
			s.root = em.ID
		}
		if em.Cause == "" && s.root != em.ID {
			em.Cause = s.root
		}
		s.emitted++
		s.changed = true
		f := factOf(em.Message)
		f.id, f.cause, f.root, f.subject, f.seq, f.at = em.ID, em.Cause, s.root, s.id, s.emitted, a.now
		t.facts = append(t.facts, f)
	}
}

// save writes the World, the calls and the subjects.
func (a *application) save(t *txn) error {
	if len(a.items) == 0 {
		return nil
	}
	for _, it := range a.items {
		if it.fact != nil {
			if sick := a.service.sick(it.fact, false); fault.SQLState(sick) != "" {
				return sick
			}
		}
	}
	if err := a.book.lock(t); err != nil {
		return err
	}
	writes, err := a.decider.save()
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	// A key that another transaction has committed meanwhile fails this one: its INSERT has waited for it.
	t.checks = append(t.checks, func() error {
		_, err := a.decider.save()
		return err
	})
	t.writes = append(t.writes, writes...)
	a.book.save(t)
	for _, id := range sortedKeys(a.subjects) {
		s := a.subjects[id]
		if !s.changed {
			continue
		}
		emitted, root := s.emitted, s.root
		t.writes = append(t.writes, func() {
			row := t.db.subjects[id]
			row.emitted, row.root = emitted, root
			t.db.subjects[id] = row
		})
	}
	return nil
}

// appendOutbox takes the ids, after the locks and in the order of the decisions.
func (a *application) appendOutbox(t *txn) error {
	for _, f := range t.facts {
		t.db.outboxID++
		t.rows = append(t.rows, outboxRow{id: t.db.outboxID, fact: f})
	}
	return nil
}

// apply is all of it, once the subjects are locked.
func (a *application) apply() []step {
	return []step{a.loadRows, a.decide, a.save, a.appendOutbox}
}

// callBook collects the calls a transaction asks for and takes back.
type callBook struct {
	now time.Time
	// skew is how far the database's clock was ahead when now was read.
	skew      time.Duration
	asked     []*callRow
	withdrawn []flow.Withdrawal
	// room is how many of them this process claims as it asks for them, mine are those: to be made once the
	// transaction has committed, and only then.
	room int
	mine []*claimedCall
}

func (b *callBook) add(it *item, s *subject) error {
	cause := it.input.Meta.Cause
	if it.input.Kind == flow.KindCommand || cause == "" {
		cause = s.root
		if n := len(it.outcome.Events); n > 0 {
			cause = it.outcome.Events[n-1].ID
		}
	}
	for _, c := range it.outcome.Calls {
		if _, err := json.Marshal(c.Body); err != nil {
			return fmt.Errorf("encode the call %q of %s: %w", c.Kind, c.Subject, err)
		}
		b.asked = append(b.asked, &callRow{
			callKey: callKey{c.Subject, c.Kind}, body: c.Body, due: b.now.Add(c.After), later: c.After > 0, cause: cause, root: s.root,
		})
	}
	for _, w := range it.outcome.Withdrawn {
		for _, asked := range b.asked {
			if asked.callKey == (callKey{w.Subject, w.Kind}) {
				asked.state = callWithdrawn
			}
		}
		b.withdrawn = append(b.withdrawn, w)
	}
	return nil
}

// lock locks the rows that are to be withdrawn, and the keys of those that are to be written: who inserts a key
// waits for another one that has inserted it and is not finished.
func (b *callBook) lock(t *txn) error {
	for _, w := range b.withdrawn {
		if err := t.lock(callKey{w.Subject, w.Kind}.lock()); err != nil {
			return err
		}
	}
	slices.SortStableFunc(b.asked, byDue)
	for _, asked := range b.asked {
		if t.db.calls[asked.callKey] == nil {
			if err := t.lock(asked.lock()); err != nil {
				return err
			}
		}
	}
	return nil
}

// save writes withdrawals first. There is one call of a kind per subject, for ever: asked for again it stays
// as it is. The first ones, as many as there is room for, are written as claimed by this process: a row like that of
// any other claim, which somebody else claims when its lease ends, should this process die before it makes the call
// or not hear of its COMMIT.
func (b *callBook) save(t *txn) {
	for _, w := range b.withdrawn {
		key := callKey{w.Subject, w.Kind}
		t.writes = append(t.writes, func() {
			if row := t.db.calls[key]; row != nil && row.state == callPending {
				row.state = callWithdrawn
			}
		})
	}
	written := map[callKey]bool{}
	for _, asked := range b.asked {
		if t.db.calls[asked.callKey] != nil || written[asked.callKey] {
			continue
		}
		written[asked.callKey] = true
		if asked.state == callPending && !asked.later && len(b.mine) < b.room {
			asked.attempts, asked.due = 1, b.now.Add(callLease)
			b.mine = append(b.mine, asked.claim(t.begun, b.skew))
			t.writes = append(t.writes, func() { t.oracle.calls[claimedAsAsked]++ })
		}
		t.writes = append(t.writes, func() {
			t.db.calls[asked.callKey] = asked
			t.db.callRows = append(t.db.callRows, asked)
			if asked.state == callPending {
				t.db.service.callDue(asked)
			}
		})
	}
}

// origin notes what a subject's row begins with if it is made here.
func origin(roots map[string]string, subject, root string) {
	if roots[subject] == "" {
		roots[subject] = root
	}
}

// transient says that the same transaction is to be run again as it is.
func transient(err error) bool { return fault.Classify(err) == fault.Transient }

func (a *application) tellDecision(t *txn, it *item) {
	if t.trace == nil {
		return
	}
	text := fmt.Sprintf("decides %s", strip(it.input.Msg))
	for _, e := range it.outcome.Events {
		text += ", emits " + string(e.Message.ProtoReflect().Descriptor().Name())
	}
	for _, w := range it.outcome.Withdrawn {
		text += ", takes back " + w.Kind
	}
	for _, c := range it.outcome.Calls {
		text += ", asks for " + c.Kind
	}
	if r := it.outcome.Reply.Refusal; r != nil {
		text += ", refuses: " + r.Code
	}
	t.tell(t.process.name, it.input.Subject, "%s", text)
}

// strip names an input: an event by its type, anything else with its values.
func strip(msg any) string {
	if e, ok := msg.(flow.Event); ok {
		return string(e.ProtoReflect().Descriptor().Name())
	}
	values, err := json.Marshal(msg)
	if err != nil {
		return fmt.Sprintf("%T", msg)
	}
	text := []rune(string(values))
	if len(text) > 200 {
		text = append(text[:200], '…')
	}
	return fmt.Sprintf("%T %s", msg, string(text))
}

// steps joins steps.
func steps(all ...[]step) []step { return slices.Concat(all...) }

var errNotParked = errors.New("subject is not parked")
