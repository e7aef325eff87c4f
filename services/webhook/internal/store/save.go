package store

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/webhook"
)

// Save writes endpoints, facts and deliveries, one statement each.
func (Store) Save(b *pg.Batch, w *webhook.World) error {
	saveEndpoints(b, w.Endpoints.Changed())
	saveFacts(b, w.Facts.Changed())
	saveDeliveries(b, w.Deliveries.Changed())
	return nil
}

// column picks one value of every row, for unnest.
func column[R, T any](rows []R, pick func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = pick(r)
	}
	return out
}

// saveEndpoints writes one at a time: a command changes one, and commands are rare.
func saveEndpoints(b *pg.Batch, changed []flow.Change[string, webhook.Endpoint]) {
	for _, c := range changed {
		e := c.Row
		b.Queue("save an endpoint", `
			INSERT INTO endpoint (id, url, description, events, state, reason, disabled_at, secret, old_secret, old_secret_until,
			                      subscribed_at, failing_since, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
			ON CONFLICT (id) DO UPDATE SET (url, description, events, state, reason, disabled_at, secret, old_secret,
				old_secret_until, subscribed_at, failing_since, updated_at) = ROW (excluded.url, excluded.description,
				excluded.events, excluded.state, excluded.reason, excluded.disabled_at, excluded.secret, excluded.old_secret,
				excluded.old_secret_until, excluded.subscribed_at, excluded.failing_since, excluded.updated_at)`,
			e.ID, e.URL, e.Description, e.Events, e.State, e.Reason, orNull(e.DisabledAt), e.Secret, e.OldSecret,
			orNull(e.OldSecretUntil), e.SubscribedAt, orNull(e.FailingSince), e.CreatedAt, e.UpdatedAt)
	}
}

func saveFacts(b *pg.Batch, changed []flow.Change[string, webhook.Fact]) {
	if len(changed) == 0 {
		return
	}
	facts := column(changed, func(c flow.Change[string, webhook.Fact]) webhook.Fact { return c.Row })
	b.Queue("save facts", `
		INSERT INTO fact (event_id, type, subject, occurred_at, body, recorded_at)
		SELECT k.*, $6 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bytea[]) AS k
		ON CONFLICT DO NOTHING`,
		column(facts, func(f webhook.Fact) string { return f.EventID }),
		column(facts, func(f webhook.Fact) string { return f.Type }),
		column(facts, func(f webhook.Fact) string { return f.Subject }),
		column(facts, func(f webhook.Fact) time.Time { return f.OccurredAt }),
		column(facts, func(f webhook.Fact) []byte { return f.Body }), facts[0].RecordedAt)
}

// saveDeliveries adds what is new and is not there already, which is an event that was read twice, and has the others
// made again. A claim is left to whoever has it.
func saveDeliveries(b *pg.Batch, changed []flow.Change[string, webhook.Delivery]) {
	var added, again []webhook.Delivery
	for _, c := range changed {
		if c.New {
			added = append(added, c.Row)
		} else {
			again = append(again, c.Row)
		}
	}
	endpoint := func(d webhook.Delivery) string { return d.EndpointID }
	event := func(d webhook.Delivery) string { return d.EventID }
	if len(added) > 0 {
		b.Queue("save deliveries", `
			INSERT INTO delivery (endpoint_id, event_id, due_at, give_up_at, created_at)
			SELECT *, $3, $4, $3 FROM unnest($1::uuid[], $2::uuid[])
			ON CONFLICT DO NOTHING`,
			column(added, endpoint), column(added, event), added[0].CreatedAt, added[0].GiveUpAt)
	}
	if len(again) > 0 {
		b.Queue("have deliveries made again", `
			UPDATE delivery d SET state = 0, due_at = k.due_at, give_up_at = k.give_up_at
			FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS k(endpoint_id, event_id, due_at, give_up_at)
			WHERE d.endpoint_id = k.endpoint_id AND d.event_id = k.event_id`,
			column(again, endpoint), column(again, event),
			column(again, func(d webhook.Delivery) time.Time { return d.DueAt }),
			column(again, func(d webhook.Delivery) time.Time { return d.GiveUpAt }))
	}
}
