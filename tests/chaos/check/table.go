package check

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// reader reads one service's database.
type reader struct {
	conn *pgx.Conn
	ctx  context.Context // lives as long as one gathering
}

// rows reads every row of a query; to says where the columns go, keep is called for each.
func (r reader) rows(query string, to []any, keep func()) error {
	rows, err := r.conn.Query(r.ctx, query)
	if err == nil {
		_, err = pgx.ForEachRow(rows, to, func() error { keep(); return nil })
	}
	if err != nil {
		return fmt.Errorf("%.60s: %w", query, err)
	}
	return nil
}

// all scans a table into a list; to names the places in one row.
func all[T any](r reader, query string, into *[]T, to func(*T) []any) error {
	var row T
	return r.rows(query, to(&row), func() { *into = append(*into, row) })
}

// tables reads what one service knows.
func (e *Evidence) tables(ctx context.Context, service, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("read tables of %s: %w", service, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	r := reader{conn, ctx}
	read := map[string]func(reader) error{
		"order": e.orders, "stock": e.stock, "coupon": e.coupons, "payment": e.payments,
		"shipping": e.shipments, "mailer": e.mails, "gateway": e.gateway,
	}[service]
	// The others (member, the export, webhooks) only listen, or have nothing to do with orders: of them the machinery counts.
	if read != nil {
		if err := read(r); err != nil {
			return fmt.Errorf("read tables of %s: %w", service, err)
		}
	}
	left, err := r.left()
	if err != nil {
		return fmt.Errorf("read tables of %s: %w", service, err)
	}
	e.Services[service] = left
	return nil
}

// item is one line of an order or of a reservation, as both tables keep it.
type item struct {
	ProductID    string `json:"productId"`
	Quantity     int64  `json:"quantity"`
	ProductPrice int64  `json:"productPrice"` // of an order
	Price        int64  `json:"price"`        // of a reservation
}

func itemsOf(list []item) []history.Item {
	items := make([]history.Item, len(list))
	for i, line := range list {
		items[i] = history.Item{Product: line.ProductID, Quantity: line.Quantity, Price: line.ProductPrice + line.Price}
	}
	return items
}

func (e *Evidence) orders(r reader) error {
	var o Order
	var terms []byte
	var bad error
	err := r.rows(`SELECT order_id, user_id, version, status, progress, reason, discount_amount, point_amount, payment_amount,
			cancel_request, undo_payment, undo_coupon, undo_stock, shipment_status, created_at, updated_at, terms::text FROM orders`,
		[]any{
			&o.ID, &o.Member, &o.Version, &o.Status, &o.Progress, &o.Reason, &o.Discount, &o.Points, &o.Payment,
			&o.CancelRequest, &o.UndoPayment, &o.UndoCoupon, &o.UndoStock, &o.Shipment, &o.Created, &o.Updated, &terms,
		}, func() {
			var t struct {
				Items        []item   `json:"items"`
				ItemsAmount  int64    `json:"itemsAmount"`
				DeliveryFee  int64    `json:"deliveryFee"`
				PaymentType  string   `json:"paymentType"`
				PaymentToken string   `json:"paymentToken"`
				CouponRefs   []string `json:"couponRefs"`
				CouponPolicy string   `json:"couponPolicy"`
			}
			if err := json.Unmarshal(terms, &t); err != nil {
				bad = fmt.Errorf("terms of %s: %w", o.ID, err)
			}
			o.Items, o.ItemsAmount, o.Fee = itemsOf(t.Items), t.ItemsAmount, t.DeliveryFee
			o.PaymentType, o.Token, o.Coupons, o.CouponPolicy = t.PaymentType, t.PaymentToken, t.CouponRefs, t.CouponPolicy
			e.Orders = append(e.Orders, o)
		})
	if err != nil || bad != nil {
		return fmt.Errorf("orders: %w", first(err, bad))
	}
	return all(r, `SELECT member, key, (a->>'status')::int, coalesce(a->'body'->>'orderId', '')
			FROM (SELECT member, key, convert_from(answer, 'UTF8')::jsonb AS a FROM command) c`, &e.Commands,
		func(c *Command) []any { return []any{&c.Member, &c.Key, &c.Status, &c.Order} })
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Evidence) stock(r reader) error {
	err := all(r, `SELECT product_id, quantity FROM product`, &e.Products, func(p *Product) []any { return []any{&p.ID, &p.Quantity} })
	if err != nil {
		return err
	}
	var row Reservation
	var items []byte
	var bad error
	err = r.rows(`SELECT order_id, state, items::text FROM reservation`, []any{&row.Order, &row.State, &items}, func() {
		var list []item
		if err := json.Unmarshal(items, &list); err != nil {
			bad = fmt.Errorf("items of %s: %w", row.Order, err)
		}
		row.Items = itemsOf(list)
		e.Reservations = append(e.Reservations, row)
	})
	return first(err, bad)
}

func (e *Evidence) coupons(r reader) error {
	return first(
		all(r, `SELECT policy_id, issue_limit, issued FROM coupon_policy`, &e.Policies, func(p *Policy) []any {
			return []any{&p.ID, &p.Limit, &p.Issued}
		}),
		all(r, `SELECT coupon_id, policy_id, user_id FROM coupon`, &e.Coupons, func(c *Coupon) []any {
			return []any{&c.ID, &c.Policy, &c.Member}
		}),
		all(r, `SELECT coupon_id, order_id FROM coupon_spent`, &e.Spent, func(s *Spent) []any { return []any{&s.Coupon, &s.Order} }),
		all(r, `SELECT order_id, state, coupon_ids, discount FROM coupon_use`, &e.Uses, func(u *Use) []any {
			return []any{&u.Order, &u.State, &u.Coupons, &u.Discount}
		}),
	)
}

func (e *Evidence) payments(r reader) error {
	e.Points = map[string]int64{}
	var member string
	var balance int64
	return first(
		all(r, `SELECT order_id, user_id, state, refund, amount, points, discount, coupon_counted, charge_id FROM payment`, &e.Payments,
			func(p *Payment) []any {
				return []any{&p.Order, &p.Member, &p.State, &p.Refund, &p.Amount, &p.Points, &p.Discount, &p.CouponCounted, &p.Charge}
			}),
		r.rows(`SELECT user_id, balance FROM points`, []any{&member, &balance}, func() { e.Points[member] = balance }),
		all(r, `SELECT user_id, kind, coalesce(order_id, ''), amount FROM ledger`, &e.Ledger, func(l *Entry) []any {
			return []any{&l.Member, &l.Kind, &l.Order, &l.Amount}
		}),
	)
}

func (e *Evidence) shipments(r reader) error {
	return all(r, `SELECT order_id, state, tracking, cancel_asked, cancel_refused FROM shipment`, &e.Shipments, func(s *Shipment) []any {
		return []any{&s.Order, &s.State, &s.Tracking, &s.CancelAsked, &s.CancelRefused}
	})
}

func (e *Evidence) mails(r reader) error {
	return all(r, `SELECT order_id, kind, state FROM mail`, &e.Mails, func(m *Mail) []any { return []any{&m.Order, &m.Kind, &m.State} })
}

func (e *Evidence) gateway(r reader) error {
	e.Timeline = map[string]string{}
	var id, subject string
	return first(
		all(r, `SELECT order_id, user_id, status, reason, amount FROM order_line`, &e.Lines, func(l *Line) []any {
			return []any{&l.Order, &l.Member, &l.Status, &l.Reason, &l.Amount}
		}),
		r.rows(`SELECT id::text, subject FROM event`, []any{&id, &subject}, func() { e.Timeline[id] = subject }),
	)
}

// left reads the machinery's tables, the same in every service; the mailer and the gateway have no outbox.
func (r reader) left() (Left, error) {
	l := Left{Fences: map[Place]int64{}, Emitted: map[string]int64{}}
	var line, subject string
	var at Place
	var next, emitted int64
	outbox, err := r.has("outbox")
	if err != nil {
		return l, err
	}
	if outbox {
		if err := r.conn.QueryRow(r.ctx, `SELECT count(*) FROM outbox`).Scan(&l.Outbox); err != nil {
			return l, fmt.Errorf("count the outbox: %w", err)
		}
	}
	return l, first(
		r.rows(`SELECT format('%s of %s, tried %s times: %s', kind, subject, attempts, last_error) FROM call WHERE state = 0 ORDER BY created_at LIMIT 1000`,
			[]any{&line}, func() { l.Calls = append(l.Calls, line) }),
		r.rows(`SELECT format('%s since %s: %s', subject, event_type, error) FROM failure ORDER BY failed_at LIMIT 1000`,
			[]any{&line}, func() { l.Parked = append(l.Parked, line) }),
		r.rows(`SELECT topic, partition, next_offset FROM fence`, []any{&at.Topic, &at.Partition, &next}, func() { l.Fences[at] = next }),
		r.rows(`SELECT id, emitted FROM subject WHERE emitted > 0`, []any{&subject, &emitted}, func() { l.Emitted[subject] = emitted }),
	)
}

func (r reader) has(table string) (bool, error) {
	var there bool
	err := r.conn.QueryRow(r.ctx, `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("look for table %s: %w", table, err)
	}
	return there, nil
}

// patience is how long one reading of everything may take.
const patience = 10 * time.Minute
