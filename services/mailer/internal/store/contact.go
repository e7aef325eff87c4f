package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/mailer"
)

// Contact is where a member's mails go.
type Contact struct {
	Email    string
	Name     string
	Language string // BCP 47
	// Since is when the member got this address, by this database's clock.
	Since time.Time
}

// saveContacts writes what the members' events said. What is older than what is there changes nothing, and of an erased
// member nothing does. Another address is a new one: whatever came back from the last says nothing of it.
func saveContacts(b *pg.Batch, told []mailer.NewContact) {
	newest := map[string]mailer.NewContact{}
	for _, c := range told {
		if old, known := newest[c.MemberID]; !known || !old.Erased && (c.Erased || !c.ChangedAt.Before(old.ChangedAt)) {
			newest[c.MemberID] = c
		}
	}
	if len(newest) == 0 {
		return
	}
	n := len(newest)
	ids, emails, names, languages := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	changed, erased := make([]time.Time, 0, n), make([]bool, 0, n)
	for _, id := range slices.Sorted(maps.Keys(newest)) {
		c := newest[id]
		ids, emails, names, languages = append(ids, id), append(emails, c.Email), append(names, c.Name), append(languages, c.Language)
		changed, erased = append(changed, c.ChangedAt), append(erased, c.Erased)
	}
	b.Queue("save contacts", `
		INSERT INTO contact AS c (member_id, email, name, language, changed_at, erased)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[])
		ON CONFLICT (member_id) DO UPDATE SET email = excluded.email, name = excluded.name,
			language = excluded.language, changed_at = excluded.changed_at, erased = excluded.erased,
			address_since = CASE WHEN c.email = excluded.email THEN c.address_since ELSE excluded.address_since END,
			bounced_at = CASE WHEN c.email = excluded.email THEN c.bounced_at END,
			bounce_code = CASE WHEN c.email = excluded.email THEN c.bounce_code END
		WHERE NOT c.erased AND (excluded.erased OR c.changed_at <= excluded.changed_at)`,
		ids, emails, names, languages, changed, erased)
}

// bury notes the addresses that nothing is sent to any more, as far as they are still the members'. Rows are locked in
// their order, as they are wherever members' data changes.
func bury(b *pg.Batch, dead []mailer.DeadAddress) {
	if len(dead) == 0 {
		return
	}
	n := len(dead)
	ids, since, codes := make([]string, n), make([]time.Time, n), make([]string, n)
	for i, d := range dead {
		ids[i], since[i], codes[i] = d.UserID, d.Since, d.Code
	}
	b.Queue("note dead addresses", `
		WITH dead AS (
			SELECT c.member_id, min(d.code) AS code
			FROM (SELECT member_id, address_since, bounced_at FROM contact WHERE member_id = ANY($1::text[]) ORDER BY member_id FOR UPDATE) c
			JOIN unnest($1::text[], $2::timestamptz[], $3::text[]) AS d(member_id, since, code)
				ON c.member_id = d.member_id AND c.address_since = d.since
			WHERE c.bounced_at IS NULL GROUP BY c.member_id)
		UPDATE contact c SET bounced_at = clock_timestamp(), bounce_code = dead.code FROM dead WHERE c.member_id = dead.member_id`,
		ids, since, codes)
}

// Contacts looks members up; who has no address to write to, or one that mails came back from, is not in the answer.
func Contacts(ctx context.Context, pool *pgxpool.Pool, memberIDs []string) (map[string]Contact, error) {
	rows, err := pool.Query(ctx, `
		SELECT member_id, email, name, language, address_since FROM contact
		WHERE member_id = ANY($1) AND email <> '' AND bounced_at IS NULL`, memberIDs)
	if err != nil {
		return nil, fmt.Errorf("look up %d contacts: %w", len(memberIDs), err)
	}
	found := map[string]Contact{}
	var id string
	var c Contact
	if _, err = pgx.ForEachRow(rows, []any{&id, &c.Email, &c.Name, &c.Language, &c.Since}, func() error {
		found[id] = c
		return nil
	}); err != nil {
		return nil, fmt.Errorf("look up %d contacts: %w", len(memberIDs), err)
	}
	return found, nil
}
