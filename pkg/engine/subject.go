package engine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/quadrille-io/quadrille/pkg/pg"
)

// subject is one locked row of the subject table.
type subject struct {
	id      string
	emitted int32
	parked  bool
	root    string
	trace   string
	// stored is what the row says of emitted and root, which is not what they are until saveSubjects.
	stored chain
}

// chain is where the numbering of a subject's events stands, and what began it.
type chain struct {
	emitted int32
	root    string
}

// origin is what a subject's row begins with: its trace, and the chain as it is likely to be after this batch. Most
// inputs emit what others of their type did, and a row that is right from the start need not be written twice;
// saveSubjects mends the others.
type origin struct {
	root, trace string
	likely      chain
}

// add counts an input that is about to be decided for a subject; the first one says what began.
func (o origins) add(it *item, emits int32) {
	begun, seen := o[it.input.Subject]
	if !seen {
		begun = origin{root: it.root, trace: it.traceparent, likely: chain{root: it.root}}
	}
	begun.likely.emitted += emits
	if begun.likely.root == "" && emits > 0 {
		begun.likely.root = it.input.Meta.EventID(0) // the first event of a chain
	}
	o[it.input.Subject] = begun
}

// origins are those of a batch's subjects.
type origins map[string]origin

// lockSubjects queues the statements that make and lock the rows of the given ids, in their order, and then read the
// clock. The map's value is what a row made here begins with.
//
// The insert comes first because a row that does not exist cannot be locked: an OrderCreated and a
// PaymentCancelled side by side would both find nothing and both go on. Whoever inserts second waits
// for the first to commit. Rows that this very transaction has made are not locked and read once more: nobody
// else sees them before it commits. The clock is read by a statement of its own after the lock: a time taken
// before may be older than what the former holder of the lock wrote.
func lockSubjects(b *pg.Batch, from origins) *locked {
	ids := slices.Sorted(maps.Keys(from))
	roots, traces, emitted := make([]string, len(ids)), make([]string, len(ids)), make([]int32, len(ids))
	l := &locked{subjects: make(map[string]*subject, len(ids))}
	for i, id := range ids {
		o := from[id]
		roots[i], traces[i], emitted[i] = o.likely.root, o.trace, o.likely.emitted
		l.subjects[id] = &subject{id: id, root: o.root, trace: o.trace, stored: o.likely}
	}
	if len(ids) > 0 {
		// By ordinality: an ORDER BY of the text itself would follow the database's collation, and that is
		// another order than the one the rows are locked in below.
		b.Queue("make subjects", `
			INSERT INTO subject (id, root, trace, emitted)
			SELECT id, root, trace, emitted
			FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) WITH ORDINALITY AS k(id, root, trace, emitted, n)
			ORDER BY n
			ON CONFLICT DO NOTHING`, ids, roots, traces, emitted).
			Exec(func(tag pgconn.CommandTag) error { l.made = tag.RowsAffected(); return nil })
		b.Queue("lock subjects", `
			SELECT id, emitted, parked, root, trace FROM subject
			WHERE id = ANY($1) AND xmin <> pg_current_xact_id()::xid ORDER BY id FOR NO KEY UPDATE`, ids).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					s := &subject{}
					if err := rows.Scan(&s.id, &s.emitted, &s.parked, &s.root, &s.trace); err != nil {
						return err
					}
					s.stored = chain{s.emitted, s.root}
					l.found++
					l.subjects[s.id] = s
				}
				return rows.Err()
			})
	}
	l.readClock(b)
	return l
}

// lookAtSubjects is lockSubjects for services whose decisions on a subject's events may be made side by side: it makes no
// rows and locks only those that are there, which are the subjects that are or were parked.
func lookAtSubjects(b *pg.Batch, from origins) *locked {
	l := &locked{subjects: make(map[string]*subject, len(from)), loose: true}
	for id, o := range from {
		l.subjects[id] = &subject{id: id, root: o.root, trace: o.trace, stored: chain{root: o.root}}
	}
	if len(from) > 0 {
		b.Queue("look at subjects", `
			SELECT id, parked FROM subject WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`, slices.Collect(maps.Keys(from))).
			Query(func(rows pgx.Rows) error {
				var id string
				var parked bool
				_, err := pgx.ForEachRow(rows, []any{&id, &parked}, func() error {
					l.subjects[id].parked = parked
					return nil
				})
				return err
			})
	}
	l.readClock(b)
	return l
}

// locked is what the statements of lockSubjects or lookAtSubjects have brought once they were sent.
type locked struct {
	subjects    map[string]*subject
	now         time.Time
	made, found int64
	loose       bool // rows need not be there
}

func (l *locked) readClock(b *pg.Batch) {
	b.Queue("read the clock", `SELECT clock_timestamp()`).QueryRow(func(row pgx.Row) error { return row.Scan(&l.now) })
}

// result is the subjects and the time. Nothing but the count tells a row that was made here from one whose xmin only
// looks so: transaction numbers come round after four billion. The next try has another number.
func (l *locked) result() (map[string]*subject, time.Time, error) {
	if !l.loose && l.made+l.found != int64(len(l.subjects)) {
		return nil, l.now, fmt.Errorf("lock %d subjects: %d were made and %d found", len(l.subjects), l.made, l.found)
	}
	return l.subjects, l.now.UTC(), nil
}

// saveSubjects writes the counters and roots that are not what the rows say.
func saveSubjects(b *pg.Batch, subjects map[string]*subject) {
	var ids, roots []string
	var emitted []int32
	for _, id := range slices.Sorted(maps.Keys(subjects)) {
		if s := subjects[id]; s.stored != (chain{s.emitted, s.root}) {
			ids, emitted, roots = append(ids, id), append(emitted, s.emitted), append(roots, s.root)
		}
	}
	if len(ids) == 0 {
		return
	}
	b.Queue("save subjects", `
		UPDATE subject s SET emitted = k.emitted, root = k.root
		FROM unnest($1::text[], $2::int[], $3::text[]) AS k(id, emitted, root)
		WHERE s.id = k.id`, ids, emitted, roots)
}
