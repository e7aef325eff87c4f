package store

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// saveAddresses is the one change of terms there is. It is a statement of its own, so that the changes that every order
// goes through need not write them again.
func saveAddresses(b *pg.Batch, changes []flow.Change[string, string]) {
	if len(changes) == 0 {
		return
	}
	ids, addresses := make([]string, len(changes)), make([]string, len(changes))
	for i, c := range changes {
		ids[i], addresses[i] = c.Key, c.Row
	}
	b.Queue("save addresses", `
		UPDATE orders o SET terms = jsonb_set(o.terms, '{addressId}', to_jsonb(k.address))
		FROM unnest($1::text[], $2::text[]) AS k(order_id, address) WHERE o.order_id = k.order_id`, ids, addresses)
}
