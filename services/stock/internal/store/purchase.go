package store

import (
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/stock"
)

// purchasesOf are what the batch has to know members have: for an order that comes, of its products with a limit; for
// one that is undone, of those that were counted.
func purchasesOf(w *stock.World, in []flow.Input) []stock.Purchase {
	wanted := map[string]stock.Purchase{}
	want := func(productID, userID string) {
		wanted[stock.PurchaseKey(productID, userID)] = stock.Purchase{ProductID: productID, UserID: userID}
	}
	for _, i := range in {
		if created, ok := i.Msg.(*orderv1.OrderCreated); ok {
			for _, item := range created.GetOrderItems() {
				if p, _ := w.Products.Get(item.GetProductId()); p.Sale.MaxPerMember > 0 {
					want(p.ProductID, created.GetUserId())
				}
			}
			continue
		}
		row, _ := w.Reservations.Get(i.Subject)
		for _, item := range row.Items {
			if item.Counted {
				want(item.ProductID, row.UserID)
			}
		}
	}
	return slices.Collect(maps.Values(wanted))
}

// loadPurchases locks nothing: the product's row is locked already, and everybody who changes these
// rows has it. A statement that begins after the lock sees what its last holder committed.
func loadPurchases(b *pg.Batch, w *stock.World, wanted []stock.Purchase) {
	if len(wanted) == 0 {
		return
	}
	scan := func(row pgx.CollectableRow) (p stock.Purchase, err error) {
		return p, row.Scan(&p.ProductID, &p.UserID, &p.Quantity)
	}
	take := func(p stock.Purchase) { w.Purchases.Loaded(stock.PurchaseKey(p.ProductID, p.UserID), p) }
	var rows purchaseRows
	for _, p := range wanted {
		rows.add(p)
	}
	pg.Collect(b, "load purchases", scan, take, `
		SELECT product_id, user_id, quantity FROM purchase JOIN unnest($1::text[], $2::text[]) AS k(product_id, user_id) USING (product_id, user_id)`,
		rows.products, rows.users)
}

// purchaseRows are the arrays of one set-wise statement.
type purchaseRows struct {
	products, users []string
	quantities      []int64
}

func (a *purchaseRows) add(p stock.Purchase) {
	a.products, a.users, a.quantities = append(a.products, p.ProductID), append(a.users, p.UserID), append(a.quantities, p.Quantity)
}

func savePurchases(b *pg.Batch, changes []flow.Change[string, stock.Purchase]) {
	if len(changes) == 0 {
		return
	}
	var rows purchaseRows
	for _, c := range changes {
		rows.add(c.Row)
	}
	b.Queue("save purchases", `
		INSERT INTO purchase (product_id, user_id, quantity)
		SELECT product_id, user_id, quantity FROM unnest($1::text[], $2::text[], $3::bigint[]) AS k(product_id, user_id, quantity)
		ON CONFLICT (product_id, user_id) DO UPDATE SET quantity = excluded.quantity`,
		rows.products, rows.users, rows.quantities)
}
