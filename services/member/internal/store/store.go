// Package store is member's SQL: whole batches for the engine here, single reads for callers in read.go.
package store

import (
	"context"
	"embed"
	"hash/fnv"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/member"
)

//go:embed migrations
var files embed.FS

// Migrate brings member's tables in the database at url up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, files)
}

// Store is member's engine.Store.
type Store struct{}

// needsOf are the members that a batch is about, and the e-mail addresses that it wants.
func needsOf(in []flow.Input) (members, emails []string) {
	for _, i := range in {
		members = append(members, i.Subject)
		email := ""
		switch c := i.Msg.(type) {
		case member.Register:
			email = c.Email
		case member.Import:
			email = c.Member.Email
		case member.Change:
			if c.Email != nil {
				email = *c.Email
			}
		}
		if email != "" {
			emails = append(emails, member.EmailKey(email))
		}
	}
	return sorted(members), sorted(emails)
}

// sorted lists keys in the order in which every replica takes its locks, each once.
func sorted(keys []string) []string {
	slices.Sort(keys)
	return slices.Compact(keys)
}

// locks are numbers for addresses: one cannot lock the row of a member who is not there yet. Two addresses of one
// number wait for each other without need, and nothing else.
func locks(emails []string) []int64 {
	numbers := make([]int64, len(emails))
	for i, email := range emails {
		h := fnv.New64a()
		_, _ = h.Write([]byte("email " + email)) // never fails
		numbers[i] = int64(h.Sum64())
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// Load brings members with their address books, and who owns the e-mail addresses that are wanted. The members are
// covered by the locks of their subjects, which the engine holds.
//
// The addresses are locked by number and read by a statement of its own: who waited for a lock sees what is there as
// it stood before the wait, and would take an address for free that has just been given away.
func (Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*member.World, error) {
	w, b := &member.World{}, &pg.Batch{}
	members, emails := needsOf(in)
	if len(emails) > 0 {
		b.Queue("lock e-mail addresses", `SELECT pg_advisory_xact_lock(n) FROM unnest($1::bigint[]) AS n`, locks(emails))
		type owned struct{ Key, Owner string }
		pg.Collect(b, "load owners of e-mail addresses", pgx.RowToStructByPos[owned], func(o owned) { w.Owners.Loaded(o.Key, o.Owner) },
			`SELECT email_key, member_id FROM member WHERE email_key = ANY($1)`, emails)
	}
	f := &found{}
	f.queue(b, `member_id = ANY($1)`, members)
	if err := tx.Send(ctx, b); err != nil {
		return nil, err
	}
	for _, x := range f.members {
		w.Members.Loaded(x.MemberID, x)
	}
	return w, nil
}
