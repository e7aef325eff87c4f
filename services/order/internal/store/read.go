package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/order"
)

// Reader answers questions about orders. It locks nothing and decides nothing.
type Reader struct{ Pool *pgxpool.Pool }

// AnyMember stands for the owner where an operator asks. No token's subject is empty.
const AnyMember = ""

// Order returns an order of the member; pgx.ErrNoRows if there is none, or it is somebody else's.
func (r Reader) Order(ctx context.Context, orderID, userID string) (order.Order, error) {
	rows, err := r.Pool.Query(ctx, orderSelect+`WHERE order_id = $1 AND (user_id = $2 OR $2 = '')`, orderID, userID)
	if err != nil {
		return order.Order{}, fmt.Errorf("read order: %w", err)
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOrder)
	if err != nil {
		return order.Order{}, fmt.Errorf("read order: %w", err)
	}
	return o, nil
}

// Settled returns those of the orders that nobody has to wait for any more, in one query.
func (r Reader) Settled(ctx context.Context, ids []string) ([]order.Order, error) {
	rows, err := r.Pool.Query(ctx, orderSelect+`WHERE order_id = ANY($1) AND status NOT IN ('PENDING', 'CANCELLING')`, ids)
	if err != nil {
		return nil, fmt.Errorf("read settled orders: %w", err)
	}
	orders, err := pgx.CollectRows(rows, scanOrder)
	if err != nil {
		return nil, fmt.Errorf("read settled orders: %w", err)
	}
	return orders, nil
}

// Filter picks orders. What is empty matches all.
type Filter struct {
	UserID   string
	Status   order.Status
	Progress order.Progress
	// Query is the id or the number of an order, or the id of a member.
	Query string
	// From keeps orders placed at that moment or later, To those placed before; zero: any.
	From, To time.Time
	// OlderThan keeps orders placed at least so long ago, by the database's clock.
	OlderThan time.Duration
	// OldestFirst turns the list round; else it is newest first.
	OldestFirst bool
	// After is the last order of the page before.
	After string
	Limit int
}

// idSlack is how far apart the clock that made an order's id and the database's, which says when it was placed, are taken
// to be at most. An id is made a moment before, so this only spares the index what cannot be in the period.
const idSlack = time.Hour

// lowestID is before every id that is made at that moment (UUIDv7: 48 bits of milliseconds come first).
func lowestID(at time.Time) string {
	ms := min(max(at.UnixMilli(), 0), 1<<48-1)
	var id uuid.UUID
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id.String()
}

// Orders lists orders by their ids, which are UUIDv7: the order in which they were placed.
func (r Reader) Orders(ctx context.Context, f Filter) ([]order.Order, error) {
	where, args := []string{"true"}, []any{}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args))))
	}
	if f.UserID != "" {
		add(`user_id = ?`, f.UserID)
	}
	if f.Status != "" {
		add(`status = ?`, f.Status)
	}
	if f.Progress != "" {
		add(`progress = ?`, f.Progress)
	}
	if f.Progress != "" && f.Progress != order.AtNothing && f.Progress != order.AtShipping {
		// True of every such order, and what lets the planner use the index of the few that wait.
		where = append(where, `status IN ('PENDING', 'CANCELLING')`)
	}
	if f.Query != "" {
		condition := `order_id = ? OR user_id = ?`
		if from, to, ok := order.NumberRange(f.Query); ok {
			// A member may be called like a number. Both bounds are ids, so they need no quoting.
			condition += ` OR order_id BETWEEN '` + from + `' AND '` + to + `'`
		}
		add(`(`+condition+`)`, f.Query)
	}
	if !f.From.IsZero() {
		add(`created_at >= ?`, f.From)
		add(`order_id >= ?`, lowestID(f.From.Add(-idSlack)))
	}
	if !f.To.IsZero() {
		add(`created_at < ?`, f.To)
		add(`order_id < ?`, lowestID(f.To.Add(idSlack)))
	}
	if f.OlderThan > 0 {
		add(`created_at <= clock_timestamp() - ?::interval`, f.OlderThan)
	}
	direction, beyond := "DESC", "<"
	if f.OldestFirst {
		direction, beyond = "ASC", ">"
	}
	if f.After != "" {
		add(`order_id `+beyond+` ?`, f.After)
	}
	args = append(args, f.Limit)
	rows, err := r.Pool.Query(ctx, orderSelect+`WHERE `+strings.Join(where, " AND ")+
		` ORDER BY order_id `+direction+fmt.Sprintf(` LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	orders, err := pgx.CollectRows(rows, scanOrder)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return orders, nil
}

// PriceList returns a World with what a preview looks at: the products' prices and the member.
func (r Reader) PriceList(ctx context.Context, userID string, productIDs []string) (*order.World, error) {
	w, b := &order.World{}, &pg.Batch{}
	loadMembers(b, w, []string{userID})
	loadPrices(b, w, productIDs)
	return w, b.Send(ctx, r.Pool)
}

// Cart returns a World with a member's cart and the prices of what is in it.
func (r Reader) Cart(ctx context.Context, userID string) (*order.World, error) {
	w, carts, prices, products := &order.World{}, &pg.Batch{}, &pg.Batch{}, set{}
	loadCarts(carts, w, cartSelect, []string{userID})
	if err := carts.Send(ctx, r.Pool); err != nil {
		return nil, err
	}
	productsOf(w, products)
	loadPrices(prices, w, products.sorted())
	return w, prices.Send(ctx, r.Pool)
}

// Due lists pending orders with a deadline that has passed, longest past first. It claims nothing.
func Due(ctx context.Context, pool *pgxpool.Pool, limit int) ([]flow.Command, error) {
	rows, err := pool.Query(ctx, `
		SELECT order_id FROM orders
		WHERE status = 'PENDING' AND LEAST(deadline_at, coupon_deadline_at) <= clock_timestamp()
		ORDER BY LEAST(deadline_at, coupon_deadline_at) LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list due orders: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (flow.Command, error) {
		var d order.Due
		err := row.Scan(&d.OrderID)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list due orders: %w", err)
	}
	return due, nil
}
