package store

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/stock"
)

const productColumns = `product_id, name, price, currency, quantity, received, corrections, on_sale, created_at, updated_at`

func scanProduct(row pgx.CollectableRow) (stock.Product, error) {
	var p stock.Product
	err := row.Scan(&p.ProductID, &p.Name, &p.Price, &p.Currency, &p.Quantity, &p.Received, &p.Corrections, &p.OnSale, &p.CreatedAt, &p.UpdatedAt)
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, err
}

// loadProducts locks the rows: the quantity that a decision sees is the quantity until COMMIT. ORDER BY
// in a locking SELECT is safe here because the key never changes while one waits for a row.
func loadProducts(b *pg.Batch, w *stock.World, ids []string) {
	if len(ids) == 0 {
		return
	}
	pg.Collect(b, "load products", scanProduct, func(p stock.Product) { w.Products.Loaded(p.ProductID, p) }, `
		SELECT `+productColumns+`
		FROM product WHERE product_id = ANY($1) ORDER BY product_id FOR NO KEY UPDATE`, ids)
}

// productRows are the arrays of one set-wise statement.
type productRows struct {
	ids, names, currencies []string
	prices, quantities     []int64
	received, corrections  []int64
	onSale                 []bool
	created, updated       []time.Time
}

func (a *productRows) add(p stock.Product) {
	a.ids, a.names, a.currencies = append(a.ids, p.ProductID), append(a.names, p.Name), append(a.currencies, p.Currency)
	a.prices, a.quantities = append(a.prices, p.Price), append(a.quantities, p.Quantity)
	a.received, a.corrections = append(a.received, p.Received), append(a.corrections, p.Corrections)
	a.onSale = append(a.onSale, p.OnSale)
	a.created, a.updated = append(a.created, p.CreatedAt), append(a.updated, p.UpdatedAt)
}

// saveProducts writes each product once however many orders of the batch took from it.
func saveProducts(b *pg.Batch, changes []flow.Change[string, stock.Product]) {
	var fresh, changed productRows
	for _, c := range changes {
		if c.New {
			fresh.add(c.Row)
		} else {
			changed.add(c.Row)
		}
	}
	if len(fresh.ids) > 0 {
		b.Queue("add products", `
			INSERT INTO product (`+productColumns+`)
			SELECT `+productColumns+`
			FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[], $9::timestamptz[], $10::timestamptz[])
			     AS k(`+productColumns+`)`,
			fresh.ids, fresh.names, fresh.prices, fresh.currencies, fresh.quantities, fresh.received, fresh.corrections, fresh.onSale, fresh.created, fresh.updated)
	}
	if len(changed.ids) > 0 {
		b.Queue("change products", `
			UPDATE product p SET name = k.name, price = k.price, currency = k.currency, quantity = k.quantity,
			                     received = k.received, corrections = k.corrections, on_sale = k.on_sale, updated_at = k.updated_at
			FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[], $9::timestamptz[])
			     AS k(product_id, name, price, currency, quantity, received, corrections, on_sale, updated_at)
			WHERE p.product_id = k.product_id`,
			changed.ids, changed.names, changed.prices, changed.currencies, changed.quantities, changed.received, changed.corrections, changed.onSale, changed.updated)
	}
}
