package simulator

import (
	"errors"
	"slices"
	"time"
)

// sqlError is an error of the database with its SQLSTATE, which pkg/fault sorts.
type sqlError struct{ state, text string }

func (e *sqlError) Error() string { return e.text + " (" + e.state + ")" }

// SQLState implements what pkg/fault asks for.
func (e *sqlError) SQLState() string { return e.state }

var (
	errUnknownCommit = errors.New("the connection was lost during COMMIT")
	errSession       = errors.New("the session was ended")
	errLockTimeout   = &sqlError{"55P03", "lock time-out"}
	errDiskFull      = &sqlError{"53100", "disk full"}
	passingErrors    = []error{
		&sqlError{"40001", "could not serialize access"}, &sqlError{"40P01", "deadlock detected"},
		&sqlError{"57014", "statement time-out"}, errors.New("connection reset by peer"),
	}
)

// unique is a violated primary key or unique constraint, check a violated CHECK.
func unique(constraint string) error { return &sqlError{"23505", "duplicate key: " + constraint} }
func check(constraint string) error  { return &sqlError{"23514", "check violated: " + constraint} }

// lockKey names a row, or an entry of a unique index. The kinds stand in the order in which they are locked.
type lockKey struct{ kind, key string }

// lock is held by one transaction; the others wait in the order in which they came.
type lock struct {
	key    lockKey
	owner  *txn
	queued []*txn
}

// subject is a row of the engine's subject table.
type subject struct {
	id      string
	emitted int
	parked  bool
	root    string
	changed bool
}

// storedAnswer is a row of the command table.
type storedAnswer struct {
	id     string // of the command that made it
	hash   string
	answer answer
}

type commandKey struct{ member, key string }

// failure is a row of the failure table with its queue of parked_event.
type failure struct {
	subject   string
	err       string
	retries   int
	nextRetry time.Time // zero: a person has to look
	queue     []*arrival
}

// outboxRow is an event that is committed and not yet published. Its id was taken before the COMMIT.
type outboxRow struct {
	id   int
	fact *fact
}

// database is one service's database. What it holds is committed; open transactions keep what they wrote.
type database struct {
	*sim
	service *service
	down    bool
	// troubleUntil is how long every statement fails.
	troubleUntil time.Duration
	// skew is how far its clock is ahead.
	skew  time.Duration
	locks map[lockKey]*lock
	open  []*txn

	subjects map[string]subject
	fences   []int // by slot: the next offset
	inbox    map[string]bool
	commands map[commandKey]storedAnswer
	calls    map[callKey]*callRow
	callRows []*callRow // in the order in which they were asked for
	failures map[string]*failure
	outbox   []outboxRow // by id
	outboxID int
	// elected is the relay whose session holds the advisory lock.
	elected *relay
}

func newDatabase(s *sim, v *service) *database {
	return &database{
		sim: s, service: v, locks: map[lockKey]*lock{}, subjects: map[string]subject{},
		fences: make([]int, len(s.broker.logs)), inbox: map[string]bool{}, commands: map[commandKey]storedAnswer{},
		calls: map[callKey]*callRow{}, failures: map[string]*failure{},
	}
}

// clock is clock_timestamp().
func (d *database) clock() time.Time { return beginning.Add(d.now + d.skew) }

// until is how long it takes to a moment of the database's clock.
func (d *database) until(at time.Time) time.Duration { return at.Sub(d.clock()) }

// parked lists the parked subjects, sorted.
func (d *database) parked() []string { return sortedKeys(d.failures) }

// endSessions rolls back what is open and takes the relay's election, as a restart of the server does.
func (d *database) endSessions() {
	for _, t := range slices.Clone(d.open) {
		t.kill(errSession)
	}
	d.loseElection()
}

// loseElection frees the advisory lock: the session that held it has ended.
func (d *database) loseElection() {
	if d.elected == nil {
		return
	}
	d.elected = nil
	for _, r := range d.service.replicas {
		if r.alive {
			r.after(d.between(0, time.Second), r.relay.campaign)
		}
	}
}

// stage makes rows visible that a transaction has committed. They stand by id, also those of a transaction
// that took its ids early and commits late.
func (d *database) stage(rows []outboxRow) {
	for _, row := range rows {
		i := len(d.outbox)
		for i > 0 && d.outbox[i-1].id > row.id {
			i--
		}
		d.outbox = slices.Insert(d.outbox, i, row)
	}
}
