package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/stock"
)

// item is a reservation's item as it is stored; the names are the table's, not Go's.
type item struct {
	ProductID    string `json:"productId"`
	ProductName  string `json:"name"`
	Quantity     int32  `json:"quantity"`
	ProductPrice int64  `json:"price"`
	Counted      bool   `json:"counted,omitempty"`
}

func encodeItems(items []stock.Item) (string, error) {
	stored := make([]item, len(items))
	for i, x := range items {
		stored[i] = item(x)
	}
	text, err := json.Marshal(stored)
	if err != nil {
		return "", fmt.Errorf("encode items: %w", err)
	}
	return string(text), nil
}

func decodeItems(text []byte) ([]stock.Item, error) {
	var stored []item
	if err := json.Unmarshal(text, &stored); err != nil {
		return nil, fmt.Errorf("decode items: %w", err)
	}
	var items []stock.Item
	for _, x := range stored {
		items = append(items, stock.Item(x))
	}
	return items, nil
}

func scanReservation(row pgx.CollectableRow) (stock.Reservation, error) {
	var r stock.Reservation
	var text []byte
	err := row.Scan(&r.OrderID, &r.UserID, &r.State, &text, &r.CreatedAt, &r.UpdatedAt)
	if err != nil {
		return r, err
	}
	if r.Items, err = decodeItems(text); err != nil {
		return r, fmt.Errorf("reservation of %s: %w", r.OrderID, err)
	}
	r.CreatedAt, r.UpdatedAt = r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	return r, nil
}

func loadReservations(b *pg.Batch, w *stock.World, ids []string) {
	if len(ids) == 0 {
		return
	}
	pg.Collect(b, "load reservations", scanReservation, func(r stock.Reservation) { w.Reservations.Loaded(r.OrderID, r) }, `
		SELECT order_id, user_id, state, items, created_at, updated_at
		FROM reservation WHERE order_id = ANY($1) ORDER BY order_id`, ids)
}

// reservationRows are the arrays of one set-wise statement.
type reservationRows struct {
	orders, users, states, items []string
	created, updated             []time.Time
}

func (a *reservationRows) add(r stock.Reservation) error {
	items, err := encodeItems(r.Items)
	if err != nil {
		return err
	}
	a.orders, a.users, a.states, a.items = append(a.orders, r.OrderID), append(a.users, r.UserID), append(a.states, string(r.State)), append(a.items, items)
	a.created, a.updated = append(a.created, r.CreatedAt), append(a.updated, r.UpdatedAt)
	return nil
}

func saveReservations(b *pg.Batch, changes []flow.Change[string, stock.Reservation]) error {
	var fresh, changed reservationRows
	for _, c := range changes {
		rows := &changed
		if c.New {
			rows = &fresh
		}
		if err := rows.add(c.Row); err != nil {
			return err
		}
	}
	if len(fresh.orders) > 0 {
		b.Queue("add reservations", `
			INSERT INTO reservation (order_id, user_id, state, items, created_at, updated_at)
			SELECT order_id, user_id, state, items::jsonb, created_at, updated_at
			FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
			     AS k(order_id, user_id, state, items, created_at, updated_at)`,
			fresh.orders, fresh.users, fresh.states, fresh.items, fresh.created, fresh.updated)
	}
	if len(changed.orders) > 0 {
		b.Queue("change reservations", `
			UPDATE reservation r SET state = k.state, items = k.items::jsonb, updated_at = k.updated_at
			FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS k(order_id, state, items, updated_at)
			WHERE r.order_id = k.order_id`, changed.orders, changed.states, changed.items, changed.updated)
	}
	return nil
}
