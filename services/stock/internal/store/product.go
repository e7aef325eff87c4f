package store

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/stock"
)

const productColumns = `product_id, name, price, currency, quantity, received, corrections, on_sale, picture_url, frozen,
	low_threshold, low_at, low_told, sale_starts_at, sale_ends_at, max_per_order, max_per_member, created_at, updated_at`

func scanProduct(row pgx.CollectableRow) (stock.Product, error) {
	var p stock.Product
	var lowAt, startsAt, endsAt *time.Time
	err := row.Scan(&p.ProductID, &p.Name, &p.Price, &p.Currency, &p.Quantity, &p.Received, &p.Corrections, &p.OnSale, &p.PictureURL, &p.Frozen,
		&p.LowThreshold, &lowAt, &p.LowTold, &startsAt, &endsAt, &p.Sale.MaxPerOrder, &p.Sale.MaxPerMember, &p.CreatedAt, &p.UpdatedAt)
	p.LowAt, p.Sale.StartsAt, p.Sale.EndsAt = utc(lowAt), utc(startsAt), utc(endsAt)
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, err
}

// utc and orNull: a time that is zero here is null there.
func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// loadProducts locks the rows: the quantity that a decision sees is the quantity until COMMIT. ORDER BY
// in a locking SELECT is safe here because the key never changes while one waits for a row.
func loadProducts(b *pg.Batch, w *stock.World, ids []string) {
	if len(ids) == 0 {
		return
	}
	pg.Collect(b, "load products", scanProduct, func(p stock.Product) { listed(w, p) }, `
		SELECT `+productColumns+`
		FROM product WHERE product_id = ANY($1) ORDER BY product_id FOR NO KEY UPDATE`, ids)
}

func listed(w *stock.World, p stock.Product) {
	if w.Listed == nil {
		w.Listed = map[string]stock.Product{}
	}
	w.Products.Loaded(p.ProductID, p)
	w.Listed[p.ProductID] = p
}

// saveProducts writes each product once however many orders of the batch took from it, and what only operators change
// only if one did.
func saveProducts(b *pg.Batch, w *stock.World) {
	var fresh, changed, sold productRows
	for _, c := range w.Products.Changed() {
		switch before, known := w.Listed[c.Key]; {
		case c.New:
			fresh.add(c.Row)
		case known && onlySold(before, c.Row):
			sold.add(c.Row)
		default:
			changed.add(c.Row)
		}
	}
	if len(fresh.ids) > 0 {
		b.Queue("add products", `INSERT INTO product (`+productColumns+`) SELECT `+productColumns+fromRows, fresh.args()...)
	}
	if len(changed.ids) > 0 {
		b.Queue("change products", `
			UPDATE product p SET name = k.name, price = k.price, currency = k.currency, quantity = k.quantity,
			       received = k.received, corrections = k.corrections, on_sale = k.on_sale, picture_url = k.picture_url, frozen = k.frozen,
			       low_threshold = k.low_threshold, low_at = k.low_at, low_told = k.low_told, sale_starts_at = k.sale_starts_at,
			       sale_ends_at = k.sale_ends_at, max_per_order = k.max_per_order, max_per_member = k.max_per_member, updated_at = k.updated_at`+
			fromRows+` WHERE p.product_id = k.product_id`, changed.args()...)
	}
	if len(sold.ids) > 0 {
		b.Queue("sell products", `
			UPDATE product p SET quantity = k.quantity, low_at = k.low_at, low_told = k.low_told, updated_at = k.updated_at
			FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::boolean[], $5::timestamptz[])
			     AS k(product_id, quantity, low_at, low_told, updated_at)
			WHERE p.product_id = k.product_id`, sold.ids, sold.quantities, sold.lowAt, sold.lowTold, sold.updated)
	}
}

// onlySold: nothing is different but what orders change.
func onlySold(before, after stock.Product) bool {
	before.Quantity, before.LowAt, before.LowTold, before.UpdatedAt = after.Quantity, after.LowAt, after.LowTold, after.UpdatedAt
	return before == after
}

// fromRows are the productRows in SQL.
const fromRows = `
	FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[], $9::text[], $10::boolean[],
	            $11::bigint[], $12::timestamptz[], $13::boolean[], $14::timestamptz[], $15::timestamptz[], $16::bigint[], $17::bigint[],
	            $18::timestamptz[], $19::timestamptz[])
	     AS k(` + productColumns + `)`

// productRows are the arrays of one set-wise statement.
type productRows struct {
	ids, names, currencies, pictures  []string
	prices, quantities                []int64
	received, corrections, thresholds []int64
	perOrder, perMember               []int64
	onSale, frozen, lowTold           []bool
	lowAt, startsAt, endsAt           []*time.Time
	created, updated                  []time.Time
}

func (a *productRows) add(p stock.Product) {
	a.ids, a.names, a.currencies, a.pictures = append(a.ids, p.ProductID), append(a.names, p.Name), append(a.currencies, p.Currency), append(a.pictures, p.PictureURL)
	a.prices, a.quantities = append(a.prices, p.Price), append(a.quantities, p.Quantity)
	a.received, a.corrections, a.thresholds = append(a.received, p.Received), append(a.corrections, p.Corrections), append(a.thresholds, p.LowThreshold)
	a.perOrder, a.perMember = append(a.perOrder, p.Sale.MaxPerOrder), append(a.perMember, p.Sale.MaxPerMember)
	a.onSale, a.frozen, a.lowTold = append(a.onSale, p.OnSale), append(a.frozen, p.Frozen), append(a.lowTold, p.LowTold)
	a.lowAt, a.startsAt, a.endsAt = append(a.lowAt, orNull(p.LowAt)), append(a.startsAt, orNull(p.Sale.StartsAt)), append(a.endsAt, orNull(p.Sale.EndsAt))
	a.created, a.updated = append(a.created, p.CreatedAt), append(a.updated, p.UpdatedAt)
}

// args are in the order of productColumns.
func (a *productRows) args() []any {
	return []any{
		a.ids, a.names, a.prices, a.currencies, a.quantities, a.received, a.corrections, a.onSale, a.pictures, a.frozen,
		a.thresholds, a.lowAt, a.lowTold, a.startsAt, a.endsAt, a.perOrder, a.perMember, a.created, a.updated,
	}
}
