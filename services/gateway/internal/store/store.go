// Package store is the gateway's SQL: Load and Save for the deciding code, reads for pages and timelines, the audit.
package store

import (
	"context"
	"embed"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/gateway"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the service's own tables up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, migrations)
}

// Store implements engine.Store.
type Store struct {
	// Rules is what events are held against; nil checks nothing.
	Rules *gateway.Rules
}

// Load brings the events that are there already, the orders' lines, and what events are held against: one statement
// each for any number of inputs, in one batch. The subjects are locked, so nobody else writes any of it.
func (s Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*gateway.World, error) {
	ids, subjects := make([]string, 0, len(in)), make([]string, 0, len(in))
	for _, input := range in {
		if r, ok := input.Msg.(flow.Record); ok {
			ids = append(ids, r.ID)
		}
		subjects = append(subjects, input.Subject)
	}
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	w, b := &gateway.World{Rules: s.Rules}, &pg.Batch{}
	loadEvents(b, ids, w)
	loadOrders(b, subjects, w)
	if s.Rules != nil {
		loadConformance(b, in, subjects, w)
	}
	return w, tx.Send(ctx, b)
}

const eventColumns = `id::text, subject, type, service, sequence, occurred_at, causation, command, correlation,
	topic, partition, kafka_offset, payload, position`

func scanEvent(row pgx.CollectableRow) (gateway.Event, error) {
	var e gateway.Event
	err := row.Scan(&e.ID, &e.Subject, &e.Type, &e.Service, &e.Sequence, &e.OccurredAt, &e.Causation, &e.Command,
		&e.Correlation, &e.Topic, &e.Partition, &e.Offset, &e.Payload, &e.Position)
	e.OccurredAt = e.OccurredAt.UTC()
	return e, err
}

func loadEvents(b *pg.Batch, ids []string, w *gateway.World) {
	pg.Collect(b, "load events", scanEvent, func(e gateway.Event) {
		e.Position = 0 // a World knows no arrival
		w.Events.Loaded(e.ID, e)
	}, `SELECT `+eventColumns+` FROM event WHERE id = ANY($1::uuid[])`, ids)
}

const orderColumns = `order_id, user_id, seen, status, step, reason, has_coupons, undo_from, amount, currency,
	last_event, created_at, updated_at`

func scanOrder(row pgx.CollectableRow) (gateway.Order, error) {
	var o gateway.Order
	err := row.Scan(&o.OrderID, &o.UserID, &o.Seen, &o.Status, &o.Step, &o.Reason, &o.HasCoupons, &o.UndoFrom,
		&o.Amount, &o.Currency, &o.LastEvent, &o.CreatedAt, &o.UpdatedAt)
	o.CreatedAt, o.UpdatedAt = o.CreatedAt.UTC(), o.UpdatedAt.UTC()
	return o, err
}

func loadOrders(b *pg.Batch, ids []string, w *gateway.World) {
	pg.Collect(b, "load order lines", scanOrder, func(o gateway.Order) { w.Orders.Loaded(o.OrderID, o) },
		`SELECT `+orderColumns+` FROM order_line WHERE order_id = ANY($1)`, ids)
}

// Save writes new events, changed lines and checks, and findings where there are any, one statement each.
func (Store) Save(b *pg.Batch, w *gateway.World) error {
	saveEvents(b, w.Events.Changed())
	saveOrders(b, w.Orders.Changed())
	saveConformance(b, w)
	return nil
}

// eventArrays are the columns of the events to insert. Positions are drawn in the order of the arrays; within a
// subject that need not be its order on one topic, as the rows are sorted by id, and nothing depends on it: a timeline
// is sorted by causes.
type eventArrays struct {
	ids, subjects, types, services, causations, commands, correlations, topics []string
	sequences, offsets                                                         []int64
	partitions                                                                 []int32
	times                                                                      []time.Time
	payloads                                                                   [][]byte
}

func saveEvents(b *pg.Batch, changes []flow.Change[string, gateway.Event]) {
	if len(changes) == 0 {
		return
	}
	var a eventArrays
	for _, c := range changes {
		a.add(c.Row)
	}
	b.Queue("save events", `
		INSERT INTO event (id, subject, type, service, sequence, occurred_at, causation, command, correlation,
		                   topic, partition, kafka_offset, payload)
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::text[],
		                     $8::text[], $9::text[], $10::text[], $11::integer[], $12::bigint[], $13::bytea[])
		ON CONFLICT (id) DO NOTHING`,
		a.ids, a.subjects, a.types, a.services, a.sequences, a.times, a.causations, a.commands, a.correlations,
		a.topics, a.partitions, a.offsets, a.payloads)
}

func (a *eventArrays) add(e gateway.Event) {
	if e.Payload == nil {
		e.Payload = []byte{}
	}
	a.ids, a.subjects = append(a.ids, e.ID), append(a.subjects, e.Subject)
	a.types, a.services = append(a.types, e.Type), append(a.services, e.Service)
	a.sequences, a.times = append(a.sequences, e.Sequence), append(a.times, e.OccurredAt)
	a.causations, a.commands = append(a.causations, e.Causation), append(a.commands, e.Command)
	a.correlations, a.topics = append(a.correlations, e.Correlation), append(a.topics, e.Topic)
	a.partitions, a.offsets = append(a.partitions, e.Partition), append(a.offsets, e.Offset)
	a.payloads = append(a.payloads, e.Payload)
}

// orderArrays are the columns of the order lines to write.
type orderArrays struct {
	ids, users, statuses, steps, reasons, currencies, lasts []string
	seen, amounts                                           []int64
	coupons                                                 []bool
	undo                                                    []int32
	created, updated                                        []time.Time
}

func saveOrders(b *pg.Batch, changes []flow.Change[string, gateway.Order]) {
	if len(changes) == 0 {
		return
	}
	var a orderArrays
	for _, c := range changes {
		a.add(c.Row)
	}
	b.Queue("save order lines", `
		INSERT INTO order_line (`+orderColumns+`)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::boolean[],
		                     $8::integer[], $9::bigint[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[])
		ON CONFLICT (order_id) DO UPDATE SET (user_id, seen, status, step, reason, has_coupons, undo_from, amount,
			currency, last_event, created_at, updated_at) = ROW (excluded.user_id, excluded.seen, excluded.status,
			excluded.step, excluded.reason, excluded.has_coupons, excluded.undo_from, excluded.amount,
			excluded.currency, excluded.last_event, excluded.created_at, excluded.updated_at)`,
		a.ids, a.users, a.seen, a.statuses, a.steps, a.reasons, a.coupons, a.undo, a.amounts, a.currencies, a.lasts,
		a.created, a.updated)
}

func (a *orderArrays) add(o gateway.Order) {
	a.ids, a.users, a.seen = append(a.ids, o.OrderID), append(a.users, o.UserID), append(a.seen, int64(o.Seen))
	a.statuses, a.steps = append(a.statuses, string(o.Status)), append(a.steps, string(o.Step))
	a.reasons, a.coupons = append(a.reasons, o.Reason), append(a.coupons, o.HasCoupons)
	a.undo, a.amounts = append(a.undo, o.UndoFrom), append(a.amounts, o.Amount)
	a.currencies, a.lasts = append(a.currencies, o.Currency), append(a.lasts, o.LastEvent)
	a.created, a.updated = append(a.created, o.CreatedAt), append(a.updated, o.UpdatedAt)
}
