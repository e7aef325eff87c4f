package store

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/order"
)

// loadMembers locks nothing: whoever changes a member holds its subject's lock, and an order is placed with what its
// member has at that moment.
func loadMembers(b *pg.Batch, w *order.World, ids []string) {
	if len(ids) == 0 {
		return
	}
	pg.Collect(b, "load members", func(row pgx.CollectableRow) (m order.Member, err error) {
		err = row.Scan(&m.UserID, &m.AddressIDs, &m.DefaultAddressID, &m.ChangedAt, &m.Erased)
		m.ChangedAt = m.ChangedAt.UTC()
		return m, err
	}, func(m order.Member) { w.Members.Loaded(m.UserID, m) },
		`SELECT user_id, address_ids, default_address_id, changed_at, erased FROM member WHERE user_id = ANY($1)`, ids)
}

func saveMembers(b *pg.Batch, changed []flow.Change[string, order.Member]) {
	if len(changed) == 0 {
		return
	}
	n := len(changed)
	users, defaults, at, erased := make([]string, n), make([]string, n), make([]time.Time, n), make([]bool, n)
	// A member's addresses travel as pairs: arrays of arrays have to be rectangular.
	addresses, owners := []string{}, []string{}
	for i, c := range changed {
		users[i], defaults[i], at[i], erased[i] = c.Row.UserID, c.Row.DefaultAddressID, c.Row.ChangedAt, c.Row.Erased
		for _, id := range c.Row.AddressIDs {
			addresses, owners = append(addresses, id), append(owners, c.Row.UserID)
		}
	}
	b.Queue("save members", `
		INSERT INTO member (user_id, address_ids, default_address_id, changed_at, erased)
		SELECT k.user_id, coalesce(a.ids, '{}'), k.default_address_id, k.changed_at, k.erased
		FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::boolean[]) AS k(user_id, default_address_id, changed_at, erased)
		LEFT JOIN (SELECT user_id, array_agg(id ORDER BY place) AS ids
		           FROM unnest($5::text[], $6::text[]) WITH ORDINALITY AS p(id, user_id, place) GROUP BY user_id) a USING (user_id)
		ORDER BY k.user_id COLLATE "C"
		ON CONFLICT (user_id) DO UPDATE SET address_ids = excluded.address_ids, default_address_id = excluded.default_address_id,
			changed_at = excluded.changed_at, erased = excluded.erased`,
		users, defaults, at, erased, addresses, owners)
}
