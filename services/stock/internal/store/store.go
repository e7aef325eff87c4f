// Package store is stock's SQL: whole batches in and out for the engine (store.go, product.go,
// purchase.go, reservation.go, movement.go), and single reads for the API (read.go, ledger.go).
package store

import (
	"context"
	"embed"
	"maps"
	"slices"

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
// an order, an operator or the reservation of an order that is undone. An order that comes names its
// products itself, so that it takes one batch; for an undo the reservation has to be read first.
//
// Reservations are not locked: a reservation is about one order, and whoever decides about an order
// holds that order's subject lock, taken before this and kept until COMMIT. Products are shared by
// orders, so their rows are the lock. They come last, in one statement and in key order: all that a
// batch waits for before them it waits for without holding a product that others want.
//
// What members have of products with a limit per member is read after that, in a batch that others do not pay for:
// only the products' rows say which have one. These rows need no lock: whoever counts there holds the product's.
func (Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*stock.World, error) {
	w, b := &stock.World{}, &pg.Batch{}
	orders, products := map[string]struct{}{}, map[string]struct{}{}
	undone := false
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case stock.List, stock.Restock, stock.Recount, stock.Change, stock.Low:
			products[i.Subject] = struct{}{}
		case *orderv1.OrderCreated:
			orders[i.Subject] = struct{}{}
			for _, item := range msg.GetOrderItems() {
				products[item.GetProductId()] = struct{}{}
			}
		default:
			orders[i.Subject], undone = struct{}{}, true
		}
	}
	loadReservations(b, w, sorted(orders))
	if undone {
		if err := tx.Send(ctx, b); err != nil {
			return nil, err
		}
		b = &pg.Batch{}
		for _, reservation := range w.Reservations.All() {
			for _, item := range reservation.Items {
				products[item.ProductID] = struct{}{}
			}
		}
	}
	loadProducts(b, w, sorted(products))
	if err := tx.Send(ctx, b); err != nil {
		return nil, err
	}
	b = &pg.Batch{}
	loadPurchases(b, w, purchasesOf(w, in))
	return w, tx.Send(ctx, b)
}

func sorted(set map[string]struct{}) []string { return slices.Sorted(maps.Keys(set)) }

// Save writes what changed: at most an INSERT and an UPDATE per table.
func (Store) Save(b *pg.Batch, w *stock.World) error {
	if err := saveReservations(b, w.Reservations.Changed()); err != nil {
		return err
	}
	saveProducts(b, w)
	savePurchases(b, w.Purchases.Changed())
	saveMovements(b, w.Movements.Changed())
	return nil
}
