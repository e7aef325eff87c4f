package store

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/stock"
)

// saveMovements adds to the ledger. A movement that is there already is an error of the key: the same
// command would have been carried out twice.
func saveMovements(b *pg.Batch, changes []flow.Change[string, stock.Movement]) {
	if len(changes) == 0 {
		return
	}
	n := len(changes)
	products, ids, kinds, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	amounts, times := make([]int64, n), make([]time.Time, n)
	for i, c := range changes {
		m := c.Row
		products[i], ids[i], kinds[i], reasons[i] = m.ProductID, m.MovementID, string(m.Kind), m.Reason
		amounts[i], times[i] = m.Amount, m.At
	}
	b.Queue("add movements", `
		INSERT INTO movement (product_id, movement_id, kind, amount, reason, at)
		SELECT product_id, movement_id, kind, amount, reason, at
		FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[])
		     AS k(product_id, movement_id, kind, amount, reason, at)`, products, ids, kinds, amounts, reasons, times)
}
