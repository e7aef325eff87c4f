package simulator

import (
	"errors"
	"slices"
	"time"
)

// step is a statement, or a few that nothing can come between. It may be run again after it has waited for
// a lock.
type step func(*txn) error

// errBlocked says that a step waits for a lock.
var errBlocked = errors.New("waits for a lock")

const (
	// lockTimeout and idleTimeout are what every session of ours is given; see pkg/pg.
	lockTimeout = 5 * time.Second
	idleTimeout = 5 * time.Second
)

// txn is one transaction of one process. Between its steps others run. It reads what is committed at the
// moment of each step, writes at COMMIT, and holds its locks until then.
type txn struct {
	*sim
	db      *database
	process *replica
	steps   []step
	at      int
	held    []*lock
	waits   *lock
	// writes happen at COMMIT, all at once; checks are constraints that hold then.
	writes []func()
	checks []func() error
	begun  time.Duration // before its BEGIN, by the monotonic clock
	facts  []*fact       // what it emits, for the oracle
	clock  time.Time     // the database's, once the subjects were locked; for the oracle
	rows   []outboxRow
	ended  bool
	// done hears how it ended, unless the process is gone.
	done func(error)
}

// begin starts a transaction.
func (r *replica) begin(done func(error), steps ...step) {
	db := r.service.db
	t := &txn{sim: r.sim, db: db, process: r, steps: steps, begun: r.now, done: done}
	if db.down {
		r.after(r.between(time.Millisecond, 100*time.Millisecond), func() { done(errSession) })
		return
	}
	db.open = append(db.open, t)
	r.after(r.between(0, 300*time.Microsecond), t.run)
}

// run takes steps until one waits, fails, or others get a turn.
func (t *txn) run() {
	for !t.ended {
		if t.at == len(t.steps) {
			t.commit()
			return
		}
		if t.now < t.db.troubleUntil {
			t.abort(errDiskFull)
			return
		}
		if t.hit(Transient) {
			t.abort(passingErrors[t.rng.IntN(len(passingErrors))])
			return
		}
		err := t.steps[t.at](t)
		if errors.Is(err, errBlocked) || t.ended {
			return
		}
		if err != nil {
			t.abort(err)
			return
		}
		t.at++
		if t.chance(0.4) {
			t.process.after(t.between(20*time.Microsecond, 3*time.Millisecond), t.run)
			return
		}
	}
}

// lock takes locks, one after the other. On errBlocked the step is run again once the next one is there.
func (t *txn) lock(keys ...lockKey) error {
	for _, key := range keys {
		l := t.db.locks[key]
		switch {
		case l == nil:
			l = &lock{key: key, owner: t}
			t.db.locks[key] = l
			t.held = append(t.held, l)
		case l.owner == t:
		default:
			l.queued = append(l.queued, t)
			t.waits = l
			t.after(lockTimeout, func() {
				if t.waits == l {
					t.kill(errLockTimeout)
				}
			})
			return errBlocked
		}
	}
	return nil
}

// release gives all locks to those who wait for them.
func (t *txn) release() {
	if l := t.waits; l != nil {
		l.queued = slices.DeleteFunc(l.queued, func(other *txn) bool { return other == t })
		t.waits = nil
	}
	for _, l := range t.held {
		if len(l.queued) == 0 {
			delete(t.db.locks, l.key)
			continue
		}
		next := l.queued[0]
		l.queued, l.owner = l.queued[1:], next
		next.waits, next.held = nil, append(next.held, l)
		next.process.after(t.between(0, 200*time.Microsecond), next.run)
	}
	t.held = nil
	t.ended = true
	t.db.open = slices.DeleteFunc(t.db.open, func(other *txn) bool { return other == t })
}

// abort rolls back and reports.
func (t *txn) abort(err error) {
	t.release()
	t.done(err)
}

// kill ends the session from the server's side. The process hears of it when it next looks.
func (t *txn) kill(err error) {
	t.release()
	t.process.after(t.between(0, time.Millisecond), func() { t.done(err) })
}

// commit is where a crash matters: before it nothing has happened, after it everything has.
func (t *txn) commit() {
	for _, check := range t.checks {
		if err := check(); err != nil {
			t.abort(err)
			return
		}
	}
	switch {
	case t.hit(CrashBeforeCommit):
		t.process.crash("before COMMIT")
		return
	case t.hit(UnknownCommit):
		committed := t.chance(0.5)
		if committed {
			t.apply()
		}
		t.tell(t.process.name, "", "COMMIT of unknown outcome (it did: %v)", committed)
		t.abort(errUnknownCommit)
		return
	}
	t.apply()
	t.release()
	if t.hit(CrashAfterCommit) {
		t.process.crash("after COMMIT")
		return
	}
	t.done(nil)
}

// apply makes everything visible at once.
func (t *txn) apply() {
	for _, write := range t.writes {
		write()
	}
	t.db.stage(t.rows)
	t.oracle.committed(t)
	if len(t.rows) > 0 {
		t.db.service.published(t.process)
	}
}
