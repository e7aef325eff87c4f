package check

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// openOrders counts the orders that are not final: a completed one whose cancel shipping has not answered
// is none either.
const openOrders = `SELECT count(*) FROM orders WHERE status IN ('PENDING', 'CANCELLING') OR status = 'COMPLETED' AND cancel_request = 'REQUESTED'`

// waiting is what a service has left to do beyond the machinery's own, by name.
var waiting = map[string]map[string]string{
	"payment":  {"payments": `SELECT count(*) FROM payment WHERE state NOT IN ('COMPLETED', 'FAILED', 'CANCELLED') OR refund IN ('PENDING', 'ASKING')`},
	"shipping": {"shipments": `SELECT count(*) FROM shipment WHERE state IN ('BOOKING', 'ASKING', 'VOIDING', 'STOPPING')`},
	"mailer":   {"mails": `SELECT count(*) FROM mail WHERE state = 'WAITING'`},
}

// moved are the orders whose parcels the client let drive: shipping hears of it by a webhook, which may
// still be on its way.
type moved struct{ dispatched, delivered []string }

func movedBy(calls []history.Call) moved {
	m := moved{dispatched: []string{}, delivered: []string{}}
	for _, c := range calls {
		if c.Op != history.Ship || c.End.Outcome != history.OK {
			continue
		}
		m.dispatched = append(m.dispatched, c.Target)
		if c.Word == "delivered" {
			m.delivered = append(m.delivered, c.Target)
		}
	}
	return m
}

func (m moved) untold(ctx context.Context, conn *pgx.Conn) (n int64, err error) {
	err = conn.QueryRow(ctx, `SELECT count(*) FROM shipment WHERE order_id = ANY($1) AND dispatched_at IS NULL
		OR order_id = ANY($2) AND delivered_at IS NULL`, m.dispatched, m.delivered).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("webhooks: %w", err)
	}
	return n, nil
}

// look asks every service how much is left.
func look(ctx context.Context, s Source, m moved) (Progress, error) {
	p := Progress{Left: map[string]int64{}}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers...))
	if err != nil {
		return p, fmt.Errorf("look at the topics: %w", err)
	}
	defer client.Close()
	ends, err := endOffsets(ctx, client)
	if err != nil {
		return p, err
	}
	for service, address := range s.Databases {
		if err := p.service(ctx, service, address, ends, m); err != nil {
			return p, fmt.Errorf("look at %s: %w", service, err)
		}
	}
	return p, nil
}

func (p *Progress) service(ctx context.Context, service, address string, ends map[Place]int64, m moved) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	r := reader{conn, ctx}
	queries := map[string]string{"calls": `SELECT count(*) FROM call WHERE state = 0`, "parked": `SELECT count(*) FROM failure`}
	for name, query := range waiting[service] {
		queries[name] = query
	}
	if outbox, err := r.has("outbox"); err != nil {
		return err
	} else if outbox {
		queries["outbox"] = `SELECT count(*) FROM outbox`
	}
	for name, query := range queries {
		var n int64
		if err := conn.QueryRow(ctx, query).Scan(&n); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.Left[service+" "+name] = n
	}
	if service == "order" {
		if err := conn.QueryRow(ctx, openOrders).Scan(&p.Open); err != nil {
			return fmt.Errorf("open orders: %w", err)
		}
	}
	if service == "shipping" {
		if p.Left["shipping webhooks"], err = m.untold(ctx, conn); err != nil {
			return err
		}
	}
	var at Place
	var next, lag int64
	err = r.rows(`SELECT topic, partition, next_offset FROM fence`, []any{&at.Topic, &at.Partition, &next}, func() {
		lag += max(ends[at]-next, 0)
	})
	p.Left[service+" events"] = lag
	return err
}
