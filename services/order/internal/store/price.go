package store

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/order"
)

const priceColumns = `product_id, name, price, currency, on_sale, previous_price, changed_at, sale_starts_at, sale_ends_at, max_per_order`

func scanPrice(row pgx.CollectableRow) (order.Price, error) {
	var p order.Price
	var starts, ends *time.Time
	err := row.Scan(&p.ProductID, &p.Name, &p.Price, &p.Currency, &p.OnSale, &p.PreviousPrice, &p.ChangedAt, &starts, &ends, &p.MaxPerOrder)
	p.ChangedAt = p.ChangedAt.UTC()
	if starts != nil {
		p.SaleStartsAt = starts.UTC()
	}
	if ends != nil {
		p.SaleEndsAt = ends.UTC()
	}
	return p, err
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
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
	starts, ends, most := make([]*time.Time, n), make([]*time.Time, n), make([]int64, n)
	for i, c := range changes {
		p := c.Row
		ids[i], names[i], currencies[i] = p.ProductID, p.Name, p.Currency
		prices[i], previous[i], onSale[i], changedAt[i] = p.Price, p.PreviousPrice, p.OnSale, p.ChangedAt
		starts[i], ends[i], most[i] = orNull(p.SaleStartsAt), orNull(p.SaleEndsAt), p.MaxPerOrder
	}
	b.Queue("save prices", `
		INSERT INTO price (`+priceColumns+`)
		SELECT `+priceColumns+`
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::boolean[], $6::bigint[], $7::timestamptz[],
		            $8::timestamptz[], $9::timestamptz[], $10::bigint[])
		     AS k(`+priceColumns+`)
		ON CONFLICT (product_id) DO UPDATE SET
			name = excluded.name, price = excluded.price, currency = excluded.currency, on_sale = excluded.on_sale,
			previous_price = excluded.previous_price, changed_at = excluded.changed_at,
			sale_starts_at = excluded.sale_starts_at, sale_ends_at = excluded.sale_ends_at, max_per_order = excluded.max_per_order`,
		ids, names, prices, currencies, onSale, previous, changedAt, starts, ends, most)
}
