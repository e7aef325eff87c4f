package store

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/order"
)

const priceColumns = `product_id, name, price, currency, on_sale, previous_price, changed_at`

func scanPrice(row pgx.CollectableRow) (order.Price, error) {
	var p order.Price
	err := row.Scan(&p.ProductID, &p.Name, &p.Price, &p.Currency, &p.OnSale, &p.PreviousPrice, &p.ChangedAt)
	p.ChangedAt = p.ChangedAt.UTC()
	return p, err
}

// loadPrices locks nothing: a price's only writer holds the product's subject lock, and an order takes
// the price that is committed when it is placed.
func loadPrices(b *pg.Batch, w *order.World, ids []string) {
	if len(ids) == 0 {
		return
	}
	pg.Collect(b, "load prices", scanPrice, func(p order.Price) { w.Prices.Loaded(p.ProductID, p) },
		`SELECT `+priceColumns+` FROM price WHERE product_id = ANY($1)`, ids)
}

func savePrices(b *pg.Batch, changes []flow.Change[string, order.Price]) {
	if len(changes) == 0 {
		return
	}
	n := len(changes)
	ids, names, currencies := make([]string, n), make([]string, n), make([]string, n)
	prices, previous := make([]int64, n), make([]int64, n)
	onSale, changedAt := make([]bool, n), make([]time.Time, n)
	for i, c := range changes {
		p := c.Row
		ids[i], names[i], currencies[i] = p.ProductID, p.Name, p.Currency
		prices[i], previous[i], onSale[i], changedAt[i] = p.Price, p.PreviousPrice, p.OnSale, p.ChangedAt
	}
	b.Queue("save prices", `
		INSERT INTO price (`+priceColumns+`)
		SELECT `+priceColumns+`
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::boolean[], $6::bigint[], $7::timestamptz[])
		     AS k(`+priceColumns+`)
		ON CONFLICT (product_id) DO UPDATE SET
			name = excluded.name, price = excluded.price, currency = excluded.currency, on_sale = excluded.on_sale,
			previous_price = excluded.previous_price, changed_at = excluded.changed_at`,
		ids, names, prices, currencies, onSale, previous, changedAt)
}
