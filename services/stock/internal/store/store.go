// Package store is stock's SQL: whole batches in and out for the engine (store.go, product.go,
// reservation.go), and single reads for the API (read.go).
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
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/stock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings stock's own tables up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, migrations)
}

// Store loads and saves the World of a batch.
type Store struct{}

// Load brings the reservations of the batch's orders and then, locked, every product that is named by
// an order, a reservation or an operator.
//
// Reservations are not locked: a reservation is about one order, and whoever decides about an order
// holds that order's subject lock, taken before this and kept until COMMIT. Products are shared by
// orders, so their rows are the lock. They come last and in key order: all that a batch waits for
// before them it waits for without holding a product that others want.
func (Store) Load(ctx context.Context, tx pgx.Tx, in []flow.Input) (*stock.World, error) {
	w := &stock.World{}
	orders, products := map[string]struct{}{}, map[string]struct{}{}
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case stock.List, stock.Restock, stock.Recount, stock.Change:
			products[i.Subject] = struct{}{}
		case *orderv1.OrderCreated:
			orders[i.Subject] = struct{}{}
			for _, item := range msg.GetOrderItems() {
				products[item.GetProductId()] = struct{}{}
			}
		default:
			orders[i.Subject] = struct{}{}
		}
	}
	if err := loadReservations(ctx, tx, w, slices.Sorted(maps.Keys(orders))); err != nil {
		return nil, fmt.Errorf("load reservations: %w", err)
	}
	for _, reservation := range w.Reservations.All() {
		for _, item := range reservation.Items {
			products[item.ProductID] = struct{}{}
		}
	}
	if err := loadProducts(ctx, tx, w, slices.Sorted(maps.Keys(products))); err != nil {
		return nil, fmt.Errorf("load products: %w", err)
	}
	return w, nil
}

// Save writes what changed: at most an INSERT and an UPDATE per table.
func (Store) Save(ctx context.Context, tx pgx.Tx, w *stock.World) error {
	if err := saveReservations(ctx, tx, w.Reservations.Changed()); err != nil {
		return fmt.Errorf("save reservations: %w", err)
	}
	if err := saveProducts(ctx, tx, w.Products.Changed()); err != nil {
		return fmt.Errorf("save products: %w", err)
	}
	return nil
}
