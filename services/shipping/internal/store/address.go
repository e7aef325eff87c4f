package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/pg"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
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

// saveAddresses takes rows in key order. An address keeps its owner: an id that another member has already
// is not handed over.
func saveAddresses(ctx context.Context, tx pgx.Tx, rows []shipping.Address) error {
	if len(rows) == 0 {
		return nil
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO address AS a (`+addressColumns+`)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
		ON CONFLICT (address_id) DO UPDATE SET
			name = EXCLUDED.name, phone = EXCLUDED.phone, line1 = EXCLUDED.line1, line2 = EXCLUDED.line2,
			city = EXCLUDED.city, postal_code = EXCLUDED.postal_code, country = EXCLUDED.country
		WHERE a.user_id = EXCLUDED.user_id`,
		column(rows, func(a shipping.Address) string { return a.AddressID }),
		column(rows, func(a shipping.Address) string { return a.UserID }),
		column(rows, func(a shipping.Address) string { return a.Name }),
		column(rows, func(a shipping.Address) string { return a.Phone }),
		column(rows, func(a shipping.Address) string { return a.Line1 }),
		column(rows, func(a shipping.Address) string { return a.Line2 }),
		column(rows, func(a shipping.Address) string { return a.City }),
		column(rows, func(a shipping.Address) string { return a.PostalCode }),
		column(rows, func(a shipping.Address) string { return a.Country }))
	if err != nil {
		return fmt.Errorf("save %d addresses: %w", len(rows), err)
	}
	if tag.RowsAffected() != int64(len(rows)) {
		return fmt.Errorf("save %d addresses: %w", len(rows), errForeignAddress)
	}
	return nil
}

var errForeignAddress = errors.New("an address id belongs to another member")

// PutMembers makes the copies of these members' addresses what the messages say, whole: an address that is
// not in its member's message any more is deleted. Members that are not named stay as they are.
func PutMembers(ctx context.Context, pool *pgxpool.Pool, members []*memberv1.MemberChanged) error {
	if len(members) == 0 {
		return nil
	}
	users, ids := []string{}, []string{}
	var addresses []shipping.Address
	for _, m := range members {
		users = append(users, m.GetMemberId())
		for _, a := range m.GetAddresses() {
			ids = append(ids, a.GetAddressId())
			addresses = append(addresses, shipping.Address{
				AddressID: a.GetAddressId(), UserID: m.GetMemberId(), Name: a.GetName(), Phone: a.GetPhone(),
				Line1: a.GetLine1(), Line2: a.GetLine2(), City: a.GetCity(), PostalCode: a.GetPostalCode(), Country: a.GetCountry(),
			})
		}
	}
	slices.SortFunc(addresses, func(a, b shipping.Address) int { return cmp.Compare(a.AddressID, b.AddressID) })
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM address WHERE user_id = ANY($1) AND NOT address_id = ANY($2::text[])`, users, ids); err != nil {
			return fmt.Errorf("delete old addresses: %w", err)
		}
		return saveAddresses(ctx, tx, addresses)
	})
	if err != nil {
		return fmt.Errorf("put %d members: %w", len(members), err)
	}
	return nil
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
