package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/member"
)

// found are members as they are read, the erased ones too.
type found struct {
	members []member.Member
	place   map[string]int
}

// queue asks for members by a condition on their table, and then for their address books.
func (f *found) queue(b *pg.Batch, where string, args ...any) {
	f.place = map[string]int{}
	pg.Collect(b, "read members", scanMember, func(x member.Member) {
		f.place[x.MemberID] = len(f.members)
		f.members = append(f.members, x)
	}, `
		SELECT member_id, name, email, phone, language, password_hash, erased, created_at, updated_at
		FROM member WHERE `+where+` ORDER BY member_id`, args...)
	pg.Collect(b, "read address books", pgx.RowToStructByPos[entry], func(e entry) {
		// One of a member who came between the two statements is not asked for.
		if i, known := f.place[e.MemberID]; known {
			f.members[i].Addresses = append(f.members[i].Addresses, e.Address)
		}
	}, `
		SELECT member_id, address_id, name, phone, line1, line2, city, postal_code, country, is_default
		FROM address WHERE member_id IN (SELECT member_id FROM member WHERE `+where+`) ORDER BY member_id, place`, args...)
}

// entry is an address with whose it is.
type entry struct {
	MemberID string
	member.Address
}

func scanMember(row pgx.CollectableRow) (member.Member, error) {
	var x member.Member
	err := row.Scan(&x.MemberID, &x.Name, &x.Email, &x.Phone, &x.Language, &x.PasswordHash, &x.Erased, &x.CreatedAt, &x.UpdatedAt)
	x.CreatedAt, x.UpdatedAt = x.CreatedAt.UTC(), x.UpdatedAt.UTC()
	return x, err
}

// Find reads a member by id; false if there is none, or not any more.
func Find(ctx context.Context, pool *pgxpool.Pool, memberID string) (member.Member, bool, error) {
	return one(ctx, pool, `member_id = $1 AND NOT erased`, memberID)
}

// FindByEmail reads the member of an e-mail address, however it is spelled; false if there is none.
func FindByEmail(ctx context.Context, pool *pgxpool.Pool, email string) (member.Member, bool, error) {
	return one(ctx, pool, `email_key = $1`, member.EmailKey(email))
}

func one(ctx context.Context, pool *pgxpool.Pool, where, key string) (member.Member, bool, error) {
	f, b := &found{}, &pg.Batch{}
	f.queue(b, where, key)
	if err := pg.Transact(ctx, pool, func(tx *pg.Tx) error { return tx.Send(ctx, b) }); err != nil {
		return member.Member{}, false, fmt.Errorf("read a member: %w", err)
	}
	if len(f.members) == 0 {
		return member.Member{}, false, nil
	}
	return f.members[0], true, nil
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
