package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// slot is a partition of one life of a topic.
type slot struct {
	topicID   [16]byte
	partition int32
}

// formerLife says that some of a batch is of partitions that were never assigned here under their topic's id: they are
// of a former life of the topic. They are left out.
type formerLife map[slot]bool

func (formerLife) Error() string { return "the batch has records of a topic that has been made anew" }

// errRewound says that the database stands before what this process believes committed: it was
// restored from a backup. The partition is read again from the database's offset.
var errRewound = errors.New("the database's offset is behind what was committed: it was restored")

// consume deals with a batch of arrivals in one transaction: fence, inbox, subjects, Load, decide,
// Save, outbox, new offsets. Arrivals stand in the order they are to be decided; per partition that is
// offset order. With parkWith set, the batch is the one arrival that fails with it, and is parked.
func (e *Engine[W]) consume(ctx context.Context, batch []*arrival, position map[slot]int64, parkWith error) error {
	started := time.Now()
	var done handled
	err := pg.Transact(ctx, e.cfg.Pool, func(tx *pg.Tx) (err error) {
		x := e.enter(batch)
		if err := tx.Send(ctx, &x.batch); err != nil {
			return err
		}
		if err := x.check(batch, position); err != nil {
			return err
		}
		if done, err = e.handle(ctx, tx, x, parkWith); err != nil {
			return err
		}
		advanceFences(tx.Last(), batch, x.next)
		return nil
	})
	var former formerLife
	if errors.As(err, &former) {
		rest := slices.DeleteFunc(slices.Clone(batch), func(a *arrival) bool { return former[a.slot] })
		if len(rest) == 0 {
			return nil
		}
		return e.consume(ctx, rest, position, parkWith)
	}
	if err != nil {
		return err
	}
	e.consumer.countParked(done.parked)
	e.cfg.Wake()
	e.worker.start(done.calls.mine, started)
	if done.events > 0 {
		e.metrics.batch("event", done.events, time.Since(started))
	}
	return nil
}

// handled is what became of a batch: how many arrivals were new, how many subjects were parked, and the calls that
// are to be made now.
type handled struct {
	events, parked int
	calls          *callBook
}

// entry is the first thing that is sent for a batch: fences, inbox and subjects, in this order, each statement seeing what
// was committed while the one before it waited for its locks. It goes out before it is known which arrivals are
// below the fence or duplicates; those have been dealt with, so their ids are in the inbox and their subjects' rows
// are there.
type entry struct {
	batch   pg.Batch
	all     []*arrival
	items   map[*arrival]*item
	next    map[slot]int64
	entered map[[16]byte]bool // nil where there is no inbox
	*locked
}

func (e *Engine[W]) enter(batch []*arrival) *entry {
	x := &entry{next: map[slot]int64{}, items: make(map[*arrival]*item, len(batch))}
	lockFences(&x.batch, batch, x.next)
	from := make(origins, len(batch))
	for _, a := range batch {
		if a.skip {
			continue
		}
		x.all = append(x.all, a)
		x.items[a] = a.item()
		from.add(x.items[a], e.habit.of(a.msg))
	}
	if !e.cfg.NoInbox && len(x.all) > 0 {
		x.entered = make(map[[16]byte]bool, len(x.all))
		enterInbox(&x.batch, x.all, x.entered)
	}
	if e.cfg.SideBySide {
		x.locked = lookAtSubjects(&x.batch, from)
	} else {
		x.locked = lockSubjects(&x.batch, from)
	}
	return x
}

// check holds what the fences say against what this process knows.
func (x *entry) check(batch []*arrival, position map[slot]int64) error {
	former := formerLife{}
	for s := range batchSlots(batch) {
		offset, ok := x.next[s]
		known, assigned := position[s]
		switch {
		case assigned && (!ok || offset < known):
			return errRewound
		case !ok:
			former[s] = true
		}
	}
	if len(former) > 0 {
		return former
	}
	return nil
}

// fresh are the arrivals that were not dealt with before: at or above the fence, and not in the inbox. An arrival without
// a readable envelope has no id to recognise it by; the fence alone keeps it from coming twice.
func (x *entry) fresh() (fresh []*arrival, duplicates int) {
	for _, a := range x.all {
		switch {
		case a.record.Offset < x.next[a.slot]:
		case x.entered == nil, !a.known, x.entered[a.id]:
			// The same event twice in one batch was entered once: the second is a duplicate too.
			delete(x.entered, a.id)
			fresh = append(fresh, a)
		default:
			duplicates++
		}
	}
	return fresh, duplicates
}

// handle drops repeated events, queues those of parked subjects, parks what cannot be decoded, and
// applies the rest.
func (e *Engine[W]) handle(ctx context.Context, tx *pg.Tx, x *entry, parkWith error) (done handled, err error) {
	fresh, duplicates := x.fresh()
	e.metrics.duplicates.Add(float64(duplicates))
	subjects, now, err := x.result()
	if err != nil {
		return done, err
	}
	var items []*item
	var queued, failed []*arrival
	for _, a := range fresh {
		if parkWith != nil {
			a.err = parkWith
		}
		s := subjects[a.envelope.Subject]
		if a.err == nil && !s.parked {
			items = append(items, x.items[a])
			continue
		}
		if !s.parked {
			failed = append(failed, a)
		}
		// What follows a parked event waits behind it, also within this batch.
		s.parked = true
		queued = append(queued, a)
	}
	if err := e.park(tx.Last(), failed, queued, now); err != nil {
		return done, err
	}
	done.events, done.parked = len(fresh), len(failed)
	done.calls, err = e.apply(ctx, tx, subjects, now, items)
	return done, err
}

// lockFences queues the statement that locks the rows of the batch's partitions in key order and reads their offsets.
func lockFences(b *pg.Batch, batch []*arrival, next map[slot]int64) {
	ids, partitions := slots(batch)
	b.Queue("lock fences", `
		SELECT f.topic_id, f.partition, f.next_offset
		FROM fence f JOIN unnest($1::uuid[], $2::int[]) AS k(topic_id, partition) USING (topic_id, partition)
		ORDER BY f.topic_id, f.partition FOR UPDATE OF f`, ids, partitions).
		Query(func(rows pgx.Rows) error { return scanFences(rows, next) })
}

// advanceFences moves the offsets past the batch, skipped records included.
func advanceFences(b *pg.Batch, batch []*arrival, next map[slot]int64) {
	moved := map[slot]int64{}
	for _, a := range batch {
		if offset, ok := next[a.slot]; ok && a.record.Offset >= offset {
			moved[a.slot] = max(moved[a.slot], a.record.Offset+1)
		}
	}
	if len(moved) == 0 {
		return
	}
	var ids [][16]byte
	var partitions []int32
	var offsets []int64
	for s, offset := range moved {
		ids, partitions, offsets = append(ids, s.topicID), append(partitions, s.partition), append(offsets, offset)
	}
	b.Queue("advance fences", `
		UPDATE fence f SET next_offset = k.next_offset
		FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS k(topic_id, partition, next_offset)
		WHERE f.topic_id = k.topic_id AND f.partition = k.partition`, ids, partitions, offsets)
}

func slots(batch []*arrival) (ids [][16]byte, partitions []int32) {
	for s := range batchSlots(batch) {
		ids, partitions = append(ids, s.topicID), append(partitions, s.partition)
	}
	return ids, partitions
}

// enterInbox queues the statement that writes the event ids; those that were not there yet are put into entered.
func enterInbox(b *pg.Batch, arrived []*arrival, entered map[[16]byte]bool) {
	type row struct {
		day time.Time
		id  [16]byte
	}
	rows := make([]row, 0, len(arrived))
	for _, a := range arrived {
		if a.known {
			rows = append(rows, row{a.envelope.Time.UTC().Truncate(24 * time.Hour), a.id})
		}
	}
	slices.SortFunc(rows, func(x, y row) int { return cmp.Or(x.day.Compare(y.day), bytes.Compare(x.id[:], y.id[:])) })
	days, ids := make([]time.Time, len(rows)), make([][16]byte, len(rows))
	for i, x := range rows {
		days[i], ids[i] = x.day, x.id
	}
	b.Queue("enter inbox", `
		INSERT INTO inbox (day, event_id)
		SELECT day, event_id FROM unnest($1::date[], $2::uuid[]) AS k(day, event_id)
		ON CONFLICT DO NOTHING RETURNING event_id`, days, ids).
		Query(func(rows pgx.Rows) error {
			var id [16]byte
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error { entered[id] = true; return nil })
			return err
		})
}

// item makes the arrival an input of a batch.
func (a *arrival) item() *item {
	return &item{
		input: flow.Input{
			Kind: flow.KindEvent, Subject: a.envelope.Subject, Msg: a.msg,
			Meta: flow.Meta{Cause: a.envelope.ID, IDs: newIDs()},
		},
		root: a.envelope.Correlation, traceparent: a.envelope.TraceParent,
	}
}
