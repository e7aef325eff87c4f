package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// slot is a partition of one life of a topic.
type slot struct {
	topicID   [16]byte
	partition int32
}

// errRewound says that the database stands before what this process believes committed: it was
// restored from a backup. The partition is read again from the database's offset.
var errRewound = errors.New("the database's offset is behind what was committed: it was restored")

// consume deals with a batch of arrivals in one transaction: fence, inbox, subjects, Load, decide,
// Save, outbox, new offsets. Arrivals stand in the order they are to be decided; per partition that is
// offset order. With parkWith set, the batch is the one arrival that fails with it, and is parked.
func (e *Engine[W]) consume(ctx context.Context, batch []*arrival, position map[slot]int64, parkWith error) error {
	started := time.Now()
	var done handled
	err := pgx.BeginFunc(ctx, e.cfg.Pool, func(tx pgx.Tx) error {
		next, err := lockFences(ctx, tx, batch)
		if err != nil {
			return err
		}
		for s := range batchSlots(batch) {
			known, assigned := position[s]
			if offset, ok := next[s]; assigned && (!ok || offset < known) {
				return errRewound
			}
		}
		arrived := make([]*arrival, 0, len(batch))
		for _, a := range batch {
			if offset, ok := next[a.slot]; ok && !a.skip && a.record.Offset >= offset {
				arrived = append(arrived, a)
			}
		}
		if parkWith != nil {
			for _, a := range arrived {
				a.err = parkWith
			}
		}
		if done, err = e.handle(ctx, tx, arrived); err != nil {
			return err
		}
		return advanceFences(ctx, tx, batch, next)
	})
	if err != nil {
		return err
	}
	e.consumer.countParked(done.parked)
	e.cfg.Wake()
	e.worker.start(done.calls, started)
	if done.events > 0 {
		e.metrics.batch("event", done.events, time.Since(started))
	}
	return nil
}

// handled is what became of a batch: how many arrivals were new, how many subjects were parked, and the calls that
// are to be made now.
type handled struct {
	events, parked int
	calls          []Call
}

// handle drops repeated events, queues those of parked subjects, parks what cannot be decoded, and
// applies the rest.
func (e *Engine[W]) handle(ctx context.Context, tx pgx.Tx, arrived []*arrival) (done handled, err error) {
	fresh, err := e.enterInbox(ctx, tx, arrived)
	if err != nil || len(fresh) == 0 {
		return done, err
	}
	from := make(origins, len(fresh))
	all := make([]*item, len(fresh))
	for i, a := range fresh {
		all[i] = a.item()
		from.add(all[i], e.habit.of(a.msg))
	}
	subjects, now, err := lockSubjects(ctx, tx, from)
	if err != nil {
		return done, err
	}
	var items []*item
	var queued, failed []*arrival
	for i, a := range fresh {
		s := subjects[a.envelope.Subject]
		if a.err == nil && !s.parked {
			items = append(items, all[i])
			continue
		}
		if !s.parked {
			failed = append(failed, a)
		}
		// What follows a parked event waits behind it, also within this batch.
		s.parked = true
		queued = append(queued, a)
	}
	if err := e.park(ctx, tx, failed, queued, now); err != nil {
		return done, err
	}
	done.events, done.parked = len(fresh), len(failed)
	done.calls, err = e.apply(ctx, tx, subjects, now, items)
	return done, err
}

// lockFences locks the rows of the batch's partitions in key order and returns their offsets. A
// partition whose row is missing was never assigned here under this topic id: its arrivals are of a
// former life of the topic and are left out.
func lockFences(ctx context.Context, tx pgx.Tx, batch []*arrival) (map[slot]int64, error) {
	ids, partitions := slots(batch)
	rows, err := tx.Query(ctx, `
		SELECT f.topic_id, f.partition, f.next_offset
		FROM fence f JOIN unnest($1::uuid[], $2::int[]) AS k(topic_id, partition) USING (topic_id, partition)
		ORDER BY f.topic_id, f.partition FOR UPDATE OF f`, ids, partitions)
	if err != nil {
		return nil, fmt.Errorf("lock fences: %w", err)
	}
	next := map[slot]int64{}
	if err := scanFences(rows, next); err != nil {
		return nil, fmt.Errorf("lock fences: %w", err)
	}
	return next, nil
}

// advanceFences moves the offsets past the batch, skipped records included.
func advanceFences(ctx context.Context, tx pgx.Tx, batch []*arrival, next map[slot]int64) error {
	moved := map[slot]int64{}
	for _, a := range batch {
		if offset, ok := next[a.slot]; ok && a.record.Offset >= offset {
			moved[a.slot] = max(moved[a.slot], a.record.Offset+1)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	var ids [][16]byte
	var partitions []int32
	var offsets []int64
	for s, offset := range moved {
		ids, partitions, offsets = append(ids, s.topicID), append(partitions, s.partition), append(offsets, offset)
	}
	_, err := tx.Exec(ctx, `
		UPDATE fence f SET next_offset = k.next_offset
		FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS k(topic_id, partition, next_offset)
		WHERE f.topic_id = k.topic_id AND f.partition = k.partition`, ids, partitions, offsets)
	if err != nil {
		return fmt.Errorf("advance fences: %w", err)
	}
	return nil
}

func slots(batch []*arrival) (ids [][16]byte, partitions []int32) {
	for s := range batchSlots(batch) {
		ids, partitions = append(ids, s.topicID), append(partitions, s.partition)
	}
	return ids, partitions
}

// enterInbox writes the event ids and returns the arrivals that were not there yet. An arrival without
// a readable envelope has no id to recognise it by; the fence alone keeps it from coming twice.
func (e *Engine[W]) enterInbox(ctx context.Context, tx pgx.Tx, arrived []*arrival) ([]*arrival, error) {
	if e.cfg.NoInbox || len(arrived) == 0 {
		return arrived, nil
	}
	type entry struct {
		day time.Time
		id  [16]byte
	}
	entries := make([]entry, 0, len(arrived))
	for _, a := range arrived {
		if a.known {
			entries = append(entries, entry{a.envelope.Time.UTC().Truncate(24 * time.Hour), a.id})
		}
	}
	slices.SortFunc(entries, func(x, y entry) int { return cmp.Or(x.day.Compare(y.day), bytes.Compare(x.id[:], y.id[:])) })
	days, ids := make([]time.Time, len(entries)), make([][16]byte, len(entries))
	for i, x := range entries {
		days[i], ids[i] = x.day, x.id
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO inbox (day, event_id)
		SELECT day, event_id FROM unnest($1::date[], $2::uuid[]) AS k(day, event_id)
		ON CONFLICT DO NOTHING RETURNING event_id`, days, ids)
	if err != nil {
		return nil, fmt.Errorf("enter inbox: %w", err)
	}
	entered := make(map[[16]byte]bool, len(arrived))
	var id [16]byte
	if _, err = pgx.ForEachRow(rows, []any{&id}, func() error { entered[id] = true; return nil }); err != nil {
		return nil, fmt.Errorf("enter inbox: %w", err)
	}
	fresh := arrived[:0:0]
	for _, a := range arrived {
		if !a.known || entered[a.id] {
			// The same event twice in one batch was entered once: the second is a duplicate too.
			delete(entered, a.id)
			fresh = append(fresh, a)
		} else {
			e.metrics.duplicates.Inc()
		}
	}
	return fresh, nil
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
