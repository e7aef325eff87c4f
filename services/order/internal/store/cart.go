package store

import (
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/order"
)

const cartSelect = `SELECT user_id, lines FROM cart WHERE user_id = ANY($1) ORDER BY user_id`

// lockCarts makes the rows that are missing and locks all of them, as lockRecent does: an order of a cart has another
// subject than the cart's own commands, and this row is what they have in common. Only the member's erasure deletes a
// row; whoever waited for it counts and is run again.
func lockCarts(b *pg.Batch, w *order.World, users []string) {
	if len(users) == 0 {
		return
	}
	b.Queue("make carts", `
		INSERT INTO cart (user_id, lines) SELECT user_id, '[]' FROM unnest($1::text[]) AS user_id ORDER BY user_id COLLATE "C"
		ON CONFLICT DO NOTHING`, users)
	loadCarts(b, w, cartSelect+` FOR NO KEY UPDATE`, users)
}

func loadCarts(b *pg.Batch, w *order.World, sql string, users []string) {
	b.Queue("load carts", sql, users).Query(func(rows pgx.Rows) error {
		var user string
		var raw []byte
		_, err := pgx.ForEachRow(rows, []any{&user, &raw}, func() error {
			var cart order.Cart
			if err := json.Unmarshal(raw, &cart.Lines); err != nil {
				return fmt.Errorf("decode a cart: %w", err)
			}
			w.Carts.Loaded(user, cart)
			return nil
		})
		return err
	})
}

// productsOf adds the products of all carts that were loaded.
func productsOf(w *order.World, products set) {
	for _, cart := range w.Carts.All() {
		for _, line := range cart.Lines {
			products.add(line.ProductID)
		}
	}
}

func saveCarts(b *pg.Batch, changes []flow.Change[string, order.Cart]) error {
	var users, lines, erased []string
	for _, c := range changes {
		if c.Row.Erased {
			erased = append(erased, c.Key)
			continue
		}
		if c.Row.Lines == nil {
			c.Row.Lines = []order.CartLine{}
		}
		raw, err := json.Marshal(c.Row.Lines)
		if err != nil {
			return fmt.Errorf("encode a cart: %w", err)
		}
		users, lines = append(users, c.Key), append(lines, string(raw))
	}
	if len(users) > 0 {
		b.Queue("save carts", `
			INSERT INTO cart (user_id, lines)
			SELECT user_id, lines::jsonb FROM unnest($1::text[], $2::text[]) AS k(user_id, lines)
			ON CONFLICT (user_id) DO UPDATE SET lines = excluded.lines`, users, lines)
	}
	if len(erased) > 0 {
		b.Queue("erase carts", `DELETE FROM cart WHERE user_id = ANY($1)`, erased)
	}
	return nil
}
