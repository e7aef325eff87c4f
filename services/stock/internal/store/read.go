package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/stock"
)

// Reader answers the catalogue's questions. It locks nothing and decides nothing.
type Reader struct{ Pool *pgxpool.Pool }

// Product returns one product; pgx.ErrNoRows if there is none.
func (r Reader) Product(ctx context.Context, id string) (stock.View, error) {
	rows, err := r.Pool.Query(ctx, `SELECT `+productColumns+` FROM product WHERE product_id = $1`, id)
	if err != nil {
		return stock.View{}, fmt.Errorf("read product: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProduct)
	if err != nil {
		return stock.View{}, fmt.Errorf("read product: %w", err)
	}
	return stock.ViewOf(p), nil
}

// Products lists products by id, those after the given one, at most limit. A query keeps those whose
// id or name contains it, in whatever case. It is held against every row: a catalogue is thousands of
// rows, and an index over names would be one more that an update of the hot row has to leave alone.
func (r Reader) Products(ctx context.Context, query, after string, limit int) ([]stock.View, error) {
	rows, err := r.Pool.Query(ctx, `
		SELECT `+productColumns+` FROM product
		WHERE product_id > $1
		  AND ($2 = '' OR position(lower($2) IN lower(name)) > 0 OR position(lower($2) IN lower(product_id)) > 0)
		ORDER BY product_id LIMIT $3`, after, query, limit)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	views, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (stock.View, error) {
		p, err := scanProduct(row)
		return stock.ViewOf(p), err
	})
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return views, nil
}
