package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/member"
)

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// read finds members with their address books, the erased ones too.
func read(ctx context.Context, q querier, where string, args ...any) ([]member.Member, error) {
	rows, err := q.Query(ctx, `
		SELECT member_id, name, email, phone, language, password_hash, erased, created_at, updated_at
		FROM member WHERE `+where+` ORDER BY member_id`, args...)
	if err != nil {
		return nil, err
	}
	place, ids := map[string]int{}, []string{}
	members, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (member.Member, error) {
		var x member.Member
		err := row.Scan(&x.MemberID, &x.Name, &x.Email, &x.Phone, &x.Language, &x.PasswordHash, &x.Erased, &x.CreatedAt, &x.UpdatedAt)
		x.CreatedAt, x.UpdatedAt = x.CreatedAt.UTC(), x.UpdatedAt.UTC()
		place[x.MemberID], ids = len(ids), append(ids, x.MemberID)
		return x, err
	})
	if err != nil || len(members) == 0 {
		return nil, err
	}
	rows, err = q.Query(ctx, `
		SELECT member_id, address_id, name, phone, line1, line2, city, postal_code, country, is_default
		FROM address WHERE member_id = ANY($1) ORDER BY member_id, place`, ids)
	if err != nil {
		return nil, err
	}
	var owner string
	var a member.Address
	_, err = pgx.ForEachRow(rows, []any{&owner, &a.AddressID, &a.Name, &a.Phone, &a.Line1, &a.Line2, &a.City, &a.PostalCode, &a.Country, &a.Default}, func() error {
		x := &members[place[owner]]
		x.Addresses = append(x.Addresses, a)
		return nil
	})
	return members, err
}

// Find reads a member by id; false if there is none, or not any more.
func Find(ctx context.Context, pool *pgxpool.Pool, memberID string) (member.Member, bool, error) {
	return one(read(ctx, pool, `member_id = $1 AND NOT erased`, memberID))
}

// FindByEmail reads the member of an e-mail address, however it is spelled; false if there is none.
func FindByEmail(ctx context.Context, pool *pgxpool.Pool, email string) (member.Member, bool, error) {
	return one(read(ctx, pool, `email_key = $1`, member.EmailKey(email)))
}

func one(found []member.Member, err error) (member.Member, bool, error) {
	if err != nil {
		return member.Member{}, false, fmt.Errorf("read a member: %w", err)
	}
	if len(found) == 0 {
		return member.Member{}, false, nil
	}
	return found[0], true, nil
}

// Known are those of the ids that are or were a member's.
func Known(ctx context.Context, pool *pgxpool.Pool, ids []string) (map[string]bool, error) {
	rows, err := pool.Query(ctx, `SELECT member_id FROM member WHERE member_id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("look for %d members: %w", len(ids), err)
	}
	found := map[string]bool{}
	var id string
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { found[id] = true; return nil }); err != nil {
		return nil, fmt.Errorf("look for %d members: %w", len(ids), err)
	}
	return found, nil
}
