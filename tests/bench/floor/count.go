package floor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// expectations say what has to be there at the end, by service: SQL that counts, and how many rows an order
// has of it.
var expectations = []struct {
	service, name, sql string
	perOrder           int64
}{
	{"order", "orders", `SELECT count(*) FROM orders WHERE status = 'COMPLETED' AND shipment_status = 'PREPARED' AND version = 5`, 1},
	{"order", "command", `SELECT count(*) FROM command`, 1},
	{"order", "inbox", `SELECT count(*) FROM inbox`, 3},
	{"order", "subject", `SELECT count(*) FROM subject WHERE emitted = 2`, 1},
	{"order", "outbox", `SELECT count(*) FROM outbox`, 0},
	{"stock", "reservation", `SELECT count(*) FROM reservation`, 1},
	{"stock", "pieces", `SELECT sum(received - quantity)::bigint FROM product`, 1},
	{"stock", "inbox", `SELECT count(*) FROM inbox`, 1},
	{"stock", "subject", `SELECT count(*) FROM subject WHERE emitted = 1`, 1},
	{"stock", "outbox", `SELECT count(*) FROM outbox`, 0},
	{"payment", "payment", `SELECT count(*) FROM payment`, 1},
	{"payment", "ledger", `SELECT count(*) FROM ledger`, 1},
	{"payment", "points", `SELECT sum(1000000000000 - balance)::bigint FROM points`, price},
	{"payment", "inbox", `SELECT count(*) FROM inbox`, 1},
	{"payment", "subject", `SELECT count(*) FROM subject WHERE emitted = 1`, 1},
	{"payment", "outbox", `SELECT count(*) FROM outbox`, 0},
	{"shipping", "shipment", `SELECT count(*) FROM shipment WHERE state = 'PREPARED' AND tracking_number <> ''`, 1},
	{"shipping", "call", `SELECT count(*) FROM call WHERE state = 1 AND attempts = 1`, 1},
	{"shipping", "parcel_watch", `SELECT count(*) FROM parcel_watch`, 1},
	{"shipping", "inbox", `SELECT count(*) FROM inbox`, 1},
	{"shipping", "subject", `SELECT count(*) FROM subject WHERE emitted = 1`, 1},
	{"shipping", "outbox", `SELECT count(*) FROM outbox`, 0},
	{"mailer", "mail", `SELECT count(*) FROM mail WHERE state = 'SKIPPED'`, 1},
	{"mailer", "call", `SELECT count(*) FROM call`, 0},
	{"mailer", "subject", `SELECT count(*) FROM subject`, 1},
	{"gateway", "event", `SELECT count(*) FROM event`, events},
	{"gateway", "order_line", `SELECT count(*) FROM order_line WHERE status = 'COMPLETED' AND last_event = 'ShipmentPrepared'`, 1},
	{"gateway", "conformance", `SELECT count(*) FROM conformance WHERE tracks ? 'shipping'`, 1},
	{"gateway", "subject", `SELECT count(*) FROM subject`, 1},
}

// count counts rows and records and holds them against the number of orders.
func count(ctx context.Context, cfg Config, urls map[string]string) (map[string]int64, error) {
	orders := int64(cfg.Warmup + cfg.Orders)
	checks := map[string]int64{"completed": int64(cfg.Orders)}
	conns := map[string]*pgx.Conn{}
	defer func() {
		for _, conn := range conns {
			closeConn(conn)
		}
	}()
	for _, e := range expectations {
		if conns[e.service] == nil {
			conn, err := connect(ctx, urls[e.service], nil)
			if err != nil {
				return nil, fmt.Errorf("count %s: %w", e.service, err)
			}
			conns[e.service] = conn
		}
		var n int64
		if err := conns[e.service].QueryRow(ctx, e.sql).Scan(&n); err != nil {
			return nil, fmt.Errorf("count %s.%s: %w", e.service, e.name, err)
		}
		if n != orders*e.perOrder {
			return nil, fmt.Errorf("%s.%s has %d after %d orders, %d for each are right", e.service, e.name, n, orders, e.perOrder)
		}
		checks[e.service+"."+e.name] = n
	}
	records, err := countRecords(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if records != events*orders {
		return nil, fmt.Errorf("%d records after %d orders", records, orders)
	}
	checks["records"] = records
	return checks, nil
}

func countRecords(ctx context.Context, cfg Config) (n int64, err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		return 0, fmt.Errorf("count records: %w", err)
	}
	defer client.Close()
	names := make([]string, len(topics))
	for i, topic := range topics {
		names[i] = cfg.Prefix + topic
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, names...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("count records: %w", err)
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n, nil
}
