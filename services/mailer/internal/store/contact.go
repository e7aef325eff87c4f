package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

// Contact is where a member's mails go.
type Contact struct {
	Email    string
	Name     string
	Language string // BCP 47
}

// PutMembers keeps the members' contact data. What is older than what is there changes nothing.
func PutMembers(ctx context.Context, pool *pgxpool.Pool, members []*memberv1.MemberChanged) error {
	newest := map[string]*memberv1.MemberChanged{}
	for _, m := range members {
		if old := newest[m.GetMemberId()]; old == nil || !m.GetChangedAt().AsTime().Before(old.GetChangedAt().AsTime()) {
			newest[m.GetMemberId()] = m
		}
	}
	if len(newest) == 0 {
		return nil
	}
	n := len(newest)
	ids, emails, names, languages := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	changed := make([]time.Time, 0, n)
	rows := make([]*memberv1.MemberChanged, 0, n)
	for _, m := range newest {
		rows = append(rows, m)
	}
	slices.SortFunc(rows, func(a, b *memberv1.MemberChanged) int { return cmp.Compare(a.GetMemberId(), b.GetMemberId()) })
	for _, m := range rows {
		ids, emails = append(ids, m.GetMemberId()), append(emails, m.GetEmail())
		names, languages = append(names, m.GetName()), append(languages, m.GetLanguage())
		changed = append(changed, m.GetChangedAt().AsTime())
	}
	if _, err := pool.Exec(ctx, `
		INSERT INTO contact AS c (member_id, email, name, language, changed_at)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
		ON CONFLICT (member_id) DO UPDATE SET email = excluded.email, name = excluded.name,
			language = excluded.language, changed_at = excluded.changed_at
		WHERE c.changed_at <= excluded.changed_at`, ids, emails, names, languages, changed); err != nil {
		return fmt.Errorf("put the contacts of %d members: %w", n, err)
	}
	return nil
}

// Contacts looks members up; who has no address to write to is not in the answer.
func Contacts(ctx context.Context, pool *pgxpool.Pool, memberIDs []string) (map[string]Contact, error) {
	rows, err := pool.Query(ctx, `
		SELECT member_id, email, name, language FROM contact WHERE member_id = ANY($1) AND email <> ''`, memberIDs)
	if err != nil {
		return nil, fmt.Errorf("look up %d contacts: %w", len(memberIDs), err)
	}
	found := map[string]Contact{}
	var id string
	var c Contact
	if _, err = pgx.ForEachRow(rows, []any{&id, &c.Email, &c.Name, &c.Language}, func() error {
		found[id] = c
		return nil
	}); err != nil {
		return nil, fmt.Errorf("look up %d contacts: %w", len(memberIDs), err)
	}
	return found, nil
}
