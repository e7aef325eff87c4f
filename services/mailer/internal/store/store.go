// Package store is mailer's SQL: whole batches for the engine here, members' contact data in contact.go,
// single reads for callers in read.go.
package store

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/mailer"
)

//go:embed migrations
var files embed.FS

// Migrate brings mailer's tables in the database at url up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, files)
}

// Store is mailer's engine.Store.
type Store struct{}

// mailOf is the order and the kind of mail that an input is about, and of an event the member.
func mailOf(in flow.Input) (orderID string, kind mailer.Kind, userID string) {
	switch m := in.Msg.(type) {
	case mailer.Mailed:
		return m.OrderID, m.Kind, ""
	case mailer.Bounce:
		return m.OrderID, m.Kind, ""
	case interface {
		proto.Message
		GetOrderId() string
		GetUserId() string
	}:
		return m.GetOrderId(), mailer.KindOf(string(m.ProtoReflect().Descriptor().FullName())), m.GetUserId()
	}
	return "", "", ""
}

// Load brings the mails that the inputs are about, as far as they were asked for. The locks of their
// orders, which the engine holds, cover them.
func (Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*mailer.World, error) {
	w := &mailer.World{Strangers: map[string]bool{}}
	var orders, kinds []string
	for _, i := range in {
		order, kind, user := mailOf(i)
		if kind != "" {
			orders, kinds = append(orders, order), append(kinds, string(kind))
		}
		if user != "" {
			w.Strangers[user] = true
		}
	}
	if len(orders) == 0 {
		return w, nil
	}
	b := &pg.Batch{}
	pg.Collect(b, "load mails", scanMail, func(m mailer.Mail) { w.Mails.Loaded(mailer.MailKey(m.OrderID, m.Kind), m) }, `
		SELECT order_id, kind, user_id, state, code, address_since, data, created_at, updated_at
		FROM mail WHERE (order_id, kind) IN (SELECT * FROM unnest($1::text[], $2::text[]))`, orders, kinds)
	greet(b, w)
	return w, tx.Send(ctx, b)
}

// greet takes those that there is a contact of, which mails go to, from the strangers.
func greet(b *pg.Batch, w *mailer.World) {
	if len(w.Strangers) == 0 {
		return
	}
	pg.Collect(b, "look for contacts", pgx.RowTo[string], func(id string) { delete(w.Strangers, id) },
		`SELECT member_id FROM contact WHERE member_id = ANY($1) AND email <> '' AND bounced_at IS NULL`, slices.Sorted(maps.Keys(w.Strangers)))
}

func scanMail(row pgx.CollectableRow) (mailer.Mail, error) {
	var m mailer.Mail
	var since *time.Time
	err := row.Scan(&m.OrderID, &m.Kind, &m.UserID, &m.State, &m.Code, &since, &m.Data, &m.CreatedAt, &m.UpdatedAt)
	if since != nil {
		m.AddressSince = *since
	}
	return m, err
}

// Save writes what changed, mails in one statement and addresses in another. Of a mail that is there only what became
// of it changes.
func (Store) Save(b *pg.Batch, w *mailer.World) error {
	saveContacts(b, w.Contacts)
	bury(b, w.Dead)
	changed := w.Mails.Changed()
	if len(changed) == 0 {
		return nil
	}
	// Changed is sorted by order and kind in one word, the table by one after the other: "a" and "a-b"
	// stand differently in the two.
	slices.SortFunc(changed, func(a, b flow.Change[string, mailer.Mail]) int {
		return slices.Compare([]string{a.Row.OrderID, string(a.Row.Kind)}, []string{b.Row.OrderID, string(b.Row.Kind)})
	})
	n := len(changed)
	orders, kinds, users, states := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	data, created, updated := make([]string, n), make([]time.Time, n), make([]time.Time, n)
	codes, since := make([]string, n), make([]*time.Time, n)
	for i, c := range changed {
		m := c.Row
		text, err := json.Marshal(m.Data)
		if err != nil {
			return fmt.Errorf("encode the data of mail %s: %w", c.Key, err)
		}
		orders[i], kinds[i], users[i], states[i] = m.OrderID, string(m.Kind), m.UserID, string(m.State)
		data[i], created[i], updated[i] = string(text), m.CreatedAt, m.UpdatedAt
		if codes[i] = m.Code; !m.AddressSince.IsZero() {
			since[i] = &m.AddressSince
		}
	}
	b.Queue("save mails", `
		INSERT INTO mail (order_id, kind, user_id, state, data, created_at, updated_at, code, address_since)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[], $7::timestamptz[], $8::text[], $9::timestamptz[])
		ON CONFLICT (order_id, kind) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at,
			code = excluded.code, address_since = excluded.address_since`,
		orders, kinds, users, states, data, created, updated, codes, since)
	return nil
}
