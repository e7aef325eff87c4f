// Package store is webhook's SQL: whole batches in and out for decisions (store.go, save.go), the sender's claims and
// results (claim.go, result.go), single questions for readers (read.go), and what is swept away (sweep.go).
package store

import (
	"context"
	"embed"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/webhook"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the service's own tables up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, migrations)
}

// Store loads and saves a webhook.World.
type Store struct{ Rules webhook.Rules }

// wanted is what a batch needs to see.
type wanted struct {
	facts, create    bool
	endpoints        map[string]struct{}
	resends, recover map[string]struct{} // ids of endpoints
	events           map[string]struct{}
	since            time.Time
}

func want(in []flow.Input) wanted {
	n := wanted{endpoints: map[string]struct{}{}, resends: map[string]struct{}{}, recover: map[string]struct{}{}, events: map[string]struct{}{}}
	for _, i := range in {
		switch c := i.Msg.(type) {
		case flow.Record:
			n.facts = true
			continue
		case webhook.Create:
			n.create = true
			continue
		case webhook.Resend:
			n.resends[c.ID] = struct{}{}
			n.events[c.EventID] = struct{}{}
		case webhook.Recover:
			n.recover[c.ID] = struct{}{}
			if n.since.IsZero() || c.Since.Before(n.since) {
				n.since = c.Since
			}
		}
		n.endpoints[i.Subject] = struct{}{}
	}
	return n
}

// Load brings, for events, the endpoints that are enabled: a row of each in one statement, whatever the number of events.
// They are not locked. An endpoint that is changed meanwhile is changed before or after the whole batch; and one that
// is deleted is still there as a row until its deliveries have been swept away, so none is left behind.
//
// For a command it locks its endpoint first and the deliveries behind it, which is the order in which the sender writes
// its results.
func (s Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*webhook.World, error) {
	w, need, b := &webhook.World{Rules: s.Rules, More: map[string]bool{}}, want(in), &pg.Batch{}
	if need.facts {
		loadEndpoints(b, w, `WHERE state = 'ENABLED'`)
	}
	if need.create {
		b.Queue("count endpoints", `SELECT count(*) FROM endpoint WHERE state <> 'DELETED'`).
			QueryRow(func(row pgx.Row) error { return row.Scan(&w.Count) })
	}
	if len(need.endpoints) > 0 {
		loadEndpoints(b, w, `WHERE id = ANY($1::uuid[]) AND state <> 'DELETED' ORDER BY id FOR NO KEY UPDATE`, sorted(need.endpoints))
	}
	if len(need.resends) > 0 {
		loadResends(b, w, need)
	}
	if len(need.recover) > 0 {
		loadGivenUp(b, w, need)
	}
	return w, tx.Send(ctx, b)
}

func sorted(set map[string]struct{}) []string { return slices.Sorted(maps.Keys(set)) }

const endpointColumns = `id::text, url, description, events, state, reason, disabled_at, secret, old_secret, old_secret_until,
	subscribed_at, failing_since, created_at, updated_at`

func scanEndpoint(row pgx.CollectableRow) (webhook.Endpoint, error) {
	var e webhook.Endpoint
	var disabled, oldUntil, failing *time.Time
	err := row.Scan(&e.ID, &e.URL, &e.Description, &e.Events, &e.State, &e.Reason, &disabled, &e.Secret, &e.OldSecret, &oldUntil,
		&e.SubscribedAt, &failing, &e.CreatedAt, &e.UpdatedAt)
	e.DisabledAt, e.OldSecretUntil, e.FailingSince = orZero(disabled), orZero(oldUntil), orZero(failing)
	e.SubscribedAt, e.CreatedAt, e.UpdatedAt = e.SubscribedAt.UTC(), e.CreatedAt.UTC(), e.UpdatedAt.UTC()
	return e, err
}

// orZero and orNull turn NULL into the zero time and back.
func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func loadEndpoints(b *pg.Batch, w *webhook.World, where string, args ...any) {
	pg.Collect(b, "load endpoints", scanEndpoint, func(e webhook.Endpoint) { w.Endpoints.Loaded(e.ID, e) },
		`SELECT `+endpointColumns+` FROM endpoint `+where, args...)
}

const deliveryColumns = `endpoint_id::text, event_id::text, state, due_at, give_up_at, claimed_until, created_at`

func scanDelivery(row pgx.CollectableRow) (webhook.Delivery, error) {
	var d webhook.Delivery
	var claimed *time.Time
	err := row.Scan(&d.EndpointID, &d.EventID, &d.Progress, &d.DueAt, &d.GiveUpAt, &claimed, &d.CreatedAt)
	d.DueAt, d.GiveUpAt, d.ClaimedUntil, d.CreatedAt = d.DueAt.UTC(), d.GiveUpAt.UTC(), orZero(claimed), d.CreatedAt.UTC()
	return d, err
}

func loadDeliveries(b *pg.Batch, take func(webhook.Delivery), where string, args ...any) {
	pg.Collect(b, "load deliveries", scanDelivery, take, `SELECT `+deliveryColumns+` FROM delivery `+where, args...)
}

// loadResends brings the facts, without their bodies, and what there is of their deliveries.
func loadResends(b *pg.Batch, w *webhook.World, need wanted) {
	loadDeliveries(b, func(d webhook.Delivery) { w.Deliveries.Loaded(webhook.DeliveryKey(d.EndpointID, d.EventID), d) }, `
		WHERE endpoint_id = ANY($1::uuid[]) AND event_id = ANY($2::uuid[])
		ORDER BY endpoint_id, event_id FOR NO KEY UPDATE`, sorted(need.resends), sorted(need.events))
	pg.Collect(b, "load facts", func(row pgx.CollectableRow) (webhook.Fact, error) {
		var f webhook.Fact
		return f, row.Scan(&f.EventID, &f.Type)
	}, func(f webhook.Fact) { w.Facts.Loaded(f.EventID, f) },
		`SELECT event_id::text, type FROM fact WHERE event_id = ANY($1::uuid[])`, sorted(need.events))
}

// loadGivenUp brings the oldest deliveries that were given up, as many of each endpoint as one command takes. Those of
// commands side by side for one endpoint are loaded by the earlier of their dates; each takes its own.
func loadGivenUp(b *pg.Batch, w *webhook.World, need wanted) {
	for _, id := range sorted(need.recover) {
		found := 0
		loadDeliveries(b, func(d webhook.Delivery) {
			w.Deliveries.Loaded(webhook.DeliveryKey(d.EndpointID, d.EventID), d)
			found++
			w.More[id] = found == webhook.RecoverLimit
		}, `
			WHERE endpoint_id = $1::uuid AND state = 2 AND created_at >= $2
			ORDER BY created_at, event_id LIMIT $3 FOR NO KEY UPDATE`, id, need.since, webhook.RecoverLimit)
	}
}
