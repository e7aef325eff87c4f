package history

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"

	coupon "github.com/quadrille-io/quadrille/services/coupon/service"
	gateway "github.com/quadrille-io/quadrille/services/gateway/service"
	mailer "github.com/quadrille-io/quadrille/services/mailer/service"
	order "github.com/quadrille-io/quadrille/services/order/service"
	payment "github.com/quadrille-io/quadrille/services/payment/service"
	shipping "github.com/quadrille-io/quadrille/services/shipping/service"
	stock "github.com/quadrille-io/quadrille/services/stock/service"
)

// migrations bring a service's database to the schema of this version.
var migrations = map[string]func(ctx context.Context, url string) error{
	"order": order.Migrate, "stock": stock.Migrate, "coupon": coupon.Migrate, "payment": payment.Migrate,
	"shipping": shipping.Migrate, "mailer": mailer.Migrate, "gateway": gateway.Migrate,
}

// definition of an index or a constraint, to take off and put back.
type definition struct{ off, on string }

// definitions lists the indexes of a table, those of its constraints as constraints, the primary key first.
func definitions(ctx context.Context, tx pgx.Tx, t *table) ([]definition, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.relname, coalesce(k.conname, ''), coalesce(pg_get_constraintdef(k.oid), pg_get_indexdef(i.indexrelid))
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
		WHERE i.indrelid = $1::regclass
		ORDER BY i.indisprimary DESC, c.relname`, t.quoted())
	if err != nil {
		return nil, fmt.Errorf("list indexes of %s: %w", t, err)
	}
	var all []definition
	var index, constraint, text string
	_, err = pgx.ForEachRow(rows, []any{&index, &constraint, &text}, func() error {
		d := definition{off: "DROP INDEX " + pgx.Identifier{index}.Sanitize(), on: text}
		if constraint != "" {
			name := pgx.Identifier{constraint}.Sanitize()
			d = definition{
				off: "ALTER TABLE " + t.quoted() + " DROP CONSTRAINT " + name,
				on:  "ALTER TABLE " + t.quoted() + " ADD CONSTRAINT " + name + " " + text,
			}
		}
		all = append(all, d)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list indexes of %s: %w", t, err)
	}
	return all, nil
}

// inboxDays makes the partitions that the engine would have by now (pkg/engine's prepareInbox makes them day by day
// and drops them after keepInbox), so that no row goes to the default one.
func inboxDays(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		DO $$
		DECLARE d date;
		BEGIN
			FOR i IN -14 .. 2 LOOP
				d := (clock_timestamp() AT TIME ZONE 'UTC')::date + i;
				EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)',
					'inbox_' || to_char(d, 'YYYYMMDD'), d, d + 1);
			END LOOP;
		END $$`)
	if err != nil {
		return fmt.Errorf("make the days of the inbox: %w", err)
	}
	return nil
}

// Migrations bring each service's database to the schema of this version.
func Migrations() map[string]func(ctx context.Context, url string) error {
	return maps.Clone(migrations)
}
