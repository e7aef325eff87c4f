package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/order"
)

var errForgotten = errors.New("a row was forgotten while it was being locked")

// lockRecent makes the rows that are missing and locks all of them. Of two identical requests in two
// replicas, the second waits in the INSERT for the first one's row, or in the SELECT for its lock, and
// then reads the order that the first has placed.
//
// Between the two statements Forget may delete a row that the INSERT found: nothing would be locked
// then, and nobody would notice. So Load counts the rows, and a missing one fails the batch, which is
// run again.
func lockRecent(b *pg.Batch, w *order.World, keys []string) {
	if len(keys) == 0 {
		return
	}
	b.Queue("make rows of the double-click guard", `
		INSERT INTO recent (key, order_id, at)
		SELECT key, '', clock_timestamp() FROM unnest($1::text[]) AS key ORDER BY key
		ON CONFLICT DO NOTHING`, keys)
	b.Queue("lock the double-click guard",
		`SELECT key, order_id, at FROM recent WHERE key = ANY($1) ORDER BY key FOR NO KEY UPDATE`, keys).
		Query(func(rows pgx.Rows) error {
			var key string
			var r order.Recent
			_, err := pgx.ForEachRow(rows, []any{&key, &r.OrderID, &r.At}, func() error {
				r.At = r.At.UTC()
				w.Recent.Loaded(key, r)
				return nil
			})
			return err
		})
}

func saveRecent(b *pg.Batch, changes []flow.Change[string, order.Recent]) {
	if len(changes) == 0 {
		return
	}
	n := len(changes)
	keys, orders, at := make([]string, n), make([]string, n), make([]time.Time, n)
	for i, c := range changes {
		keys[i], orders[i], at[i] = c.Key, c.Row.OrderID, c.Row.At
	}
	b.Queue("save the double-click guard", `
		INSERT INTO recent (key, order_id, at)
		SELECT key, order_id, at FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS k(key, order_id, at)
		ON CONFLICT (key) DO UPDATE SET order_id = excluded.order_id, at = excluded.at`, keys, orders, at)
}

// Forget deletes the guard's rows that are older than age, at most 10,000 at once, and says how many
// there were. Rows in use are left for the next time.
func Forget(ctx context.Context, pool *pgxpool.Pool, age time.Duration) (int64, error) {
	tag, err := pool.Exec(ctx, `
		DELETE FROM recent r USING (
			SELECT key FROM recent WHERE at < clock_timestamp() - $1::interval LIMIT 10000 FOR UPDATE SKIP LOCKED
		) AS old WHERE r.key = old.key`, age)
	if err != nil {
		return 0, fmt.Errorf("forget old rows of the double-click guard: %w", err)
	}
	return tag.RowsAffected(), nil
}
