// Package store is order's SQL: whole batches in and out for the engine (store.go, order.go, price.go,
// recent.go), members' copies (member.go), and single reads for the API (read.go).
package store

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/order"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings order's own tables up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, migrations)
}

// Store loads and saves the World of a batch.
type Store struct{}

// wanted are the keys of the rows that a batch needs.
type wanted struct{ orders, prices, recent, members set }

type set map[string]struct{}

func (s set) add(key string)   { s[key] = struct{}{} }
func (s set) sorted() []string { return slices.Sorted(maps.Keys(s)) }

func keysOf(in []flow.Input) wanted {
	want := wanted{orders: set{}, prices: set{}, recent: set{}, members: set{}}
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case order.Place:
			want.members.add(msg.UserID)
			for _, item := range msg.Items {
				want.prices.add(item.ProductID)
			}
			if msg.Rules.DoubleClickWindow > 0 {
				want.recent.add(order.RecentKey(msg.UserID, msg.BodyHash))
			}
		case *stockv1.ProductListed, *stockv1.ProductPriceChanged:
			want.prices.add(i.Subject)
		default:
			want.orders.add(i.Subject)
		}
	}
	return want
}

// Load brings what the batch needs: first the guard's rows, locked, because they name further orders;
// then members and prices, which are read as they stand; then the orders.
//
// Orders are not locked: whoever decides about an order holds its subject lock, taken before this and
// kept until COMMIT, and a statement that begins after the lock sees what its last holder committed.
// The order that a guard's row names is another subject's. It is only looked at, and as committed: if
// it is being cancelled in this moment, the double click came before the cancel.
func (Store) Load(ctx context.Context, tx pgx.Tx, in []flow.Input) (*order.World, error) {
	w, want := &order.World{}, keysOf(in)
	if err := lockRecent(ctx, tx, w, want.recent.sorted()); err != nil {
		return nil, fmt.Errorf("lock double-click guard: %w", err)
	}
	for _, recent := range w.Recent.All() {
		if recent.OrderID != "" {
			want.orders.add(recent.OrderID)
		}
	}
	if err := loadMembers(ctx, tx, w, want.members.sorted()); err != nil {
		return nil, fmt.Errorf("load members: %w", err)
	}
	if err := loadPrices(ctx, tx, w, want.prices.sorted()); err != nil {
		return nil, fmt.Errorf("load prices: %w", err)
	}
	if err := loadOrders(ctx, tx, w, want.orders.sorted()); err != nil {
		return nil, fmt.Errorf("load orders: %w", err)
	}
	return w, nil
}

// Save writes what changed, table by table in the order in which Load went. Members are read only.
func (Store) Save(ctx context.Context, tx pgx.Tx, w *order.World) error {
	if err := saveRecent(ctx, tx, w.Recent.Changed()); err != nil {
		return fmt.Errorf("save double-click guard: %w", err)
	}
	if err := savePrices(ctx, tx, w.Prices.Changed()); err != nil {
		return fmt.Errorf("save prices: %w", err)
	}
	if err := saveOrders(ctx, tx, w.Orders.Changed()); err != nil {
		return fmt.Errorf("save orders: %w", err)
	}
	return nil
}
