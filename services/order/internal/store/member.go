package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/pg"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/order"
)

func loadMembers(b *pg.Batch, w *order.World, ids []string) {
	if len(ids) == 0 {
		return
	}
	pg.Collect(b, "load members", func(row pgx.CollectableRow) (m order.Member, err error) {
		err = row.Scan(&m.UserID, &m.AddressIDs, &m.DefaultAddressID)
		return m, err
	}, func(m order.Member) { w.Members.Loaded(m.UserID, m) },
		`SELECT user_id, address_ids, default_address_id FROM member WHERE user_id = ANY($1)`, ids)
}

// PutMembers takes of members what order may know: ids of addresses and which is the default. What is
// older than what stands there changes nothing.
func PutMembers(ctx context.Context, pool *pgxpool.Pool, members []*memberv1.MemberChanged) error {
	batch := &pgx.Batch{}
	for _, m := range members {
		ids, byDefault := []string{}, ""
		for _, a := range m.GetAddresses() {
			ids = append(ids, a.GetAddressId())
			if a.GetDefault() {
				byDefault = a.GetAddressId()
			}
		}
		changedAt := time.Unix(0, 0)
		if m.GetChangedAt() != nil {
			changedAt = m.GetChangedAt().AsTime()
		}
		batch.Queue(`
			INSERT INTO member (user_id, address_ids, default_address_id, changed_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (user_id) DO UPDATE SET
				address_ids = excluded.address_ids, default_address_id = excluded.default_address_id, changed_at = excluded.changed_at
			WHERE member.changed_at <= excluded.changed_at`, m.GetMemberId(), ids, byDefault, changedAt)
	}
	if err := pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("put %d members: %w", len(members), err)
	}
	return nil
}
