package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/order"
)

func loadMembers(ctx context.Context, q querier, w *order.World, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, `SELECT user_id, address_ids, default_address_id FROM member WHERE user_id = ANY($1)`, ids)
	if err != nil {
		return err
	}
	members, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (order.Member, error) {
		var m order.Member
		err := row.Scan(&m.UserID, &m.AddressIDs, &m.DefaultAddressID)
		return m, err
	})
	for _, m := range members {
		w.Members.Loaded(m.UserID, m)
	}
	return err
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
