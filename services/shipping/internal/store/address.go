package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/shipping"
)

const addressColumns = `address_id, user_id, name, phone, line1, line2, city, postal_code, country`

// loadAddresses locks nothing: a decision only asks whether the member has the address, and whoever books
// the parcel reads it again.
func loadAddresses(b *pg.Batch, w *shipping.World, ids []string) {
	if len(ids) > 0 {
		pg.Collect(b, "load addresses", pgx.RowToStructByPos[shipping.Address], func(a shipping.Address) { w.Addresses.Loaded(a.AddressID, a) },
			`SELECT `+addressColumns+` FROM address WHERE address_id = ANY($1) ORDER BY address_id`, ids)
	}
}

// loadBooks brings as of when the members' addresses are known. The locks of their subjects, which the engine holds, cover
// them.
func loadBooks(b *pg.Batch, w *shipping.World, users []string) {
	if len(users) > 0 {
		pg.Collect(b, "load address books", func(row pgx.CollectableRow) (x shipping.Book, err error) {
			err = row.Scan(&x.UserID, &x.ChangedAt, &x.Erased)
			x.ChangedAt = x.ChangedAt.UTC()
			return x, err
		}, func(x shipping.Book) { w.Books.Loaded(x.UserID, x) },
			`SELECT user_id, changed_at, erased FROM address_owner WHERE user_id = ANY($1)`, users)
	}
}

// saveBooks replaces the addresses of the members that changed. An id that another member has already is not handed over.
func saveBooks(b *pg.Batch, changed []flow.Change[string, shipping.Book]) {
	if len(changed) == 0 {
		return
	}
	var rows []shipping.Address
	for _, c := range changed {
		rows = append(rows, c.Row.Addresses...)
	}
	slices.SortFunc(rows, func(a, b shipping.Address) int { return cmp.Compare(a.AddressID, b.AddressID) })
	users := column(changed, func(c flow.Change[string, shipping.Book]) string { return c.Row.UserID })
	b.Queue("save address books", `
		INSERT INTO address_owner (user_id, changed_at, erased) SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::boolean[])
		ON CONFLICT (user_id) DO UPDATE SET changed_at = excluded.changed_at, erased = excluded.erased`, users,
		column(changed, func(c flow.Change[string, shipping.Book]) time.Time { return c.Row.ChangedAt }),
		column(changed, func(c flow.Change[string, shipping.Book]) bool { return c.Row.Erased }))
	b.Queue("delete old addresses", `DELETE FROM address WHERE user_id = ANY($1)`, users)
	if len(rows) == 0 {
		return
	}
	b.Queue("save addresses", `
		INSERT INTO address (`+addressColumns+`)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
		ON CONFLICT (address_id) DO NOTHING`,
		column(rows, func(a shipping.Address) string { return a.AddressID }),
		column(rows, func(a shipping.Address) string { return a.UserID }),
		column(rows, func(a shipping.Address) string { return a.Name }),
		column(rows, func(a shipping.Address) string { return a.Phone }),
		column(rows, func(a shipping.Address) string { return a.Line1 }),
		column(rows, func(a shipping.Address) string { return a.Line2 }),
		column(rows, func(a shipping.Address) string { return a.City }),
		column(rows, func(a shipping.Address) string { return a.PostalCode }),
		column(rows, func(a shipping.Address) string { return a.Country }))
}

// Addresses returns those of the addresses that there are, by id.
func Addresses(ctx context.Context, pool *pgxpool.Pool, ids map[string]bool) (map[string]shipping.Address, error) {
	rows, err := pool.Query(ctx, `SELECT `+addressColumns+` FROM address WHERE address_id = ANY($1)`, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return nil, fmt.Errorf("read %d addresses: %w", len(ids), err)
	}
	addresses, err := pgx.CollectRows(rows, pgx.RowToStructByPos[shipping.Address])
	if err != nil {
		return nil, fmt.Errorf("read %d addresses: %w", len(ids), err)
	}
	found := make(map[string]shipping.Address, len(addresses))
	for _, a := range addresses {
		found[a.AddressID] = a
	}
	return found, nil
}
