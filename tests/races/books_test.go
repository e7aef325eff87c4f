package races_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// books are the rows of every service, of the card provider and of the carrier, by order where there is
// one row of it. Nothing is joined in SQL: no service sees another's database, and neither need this.
type books struct {
	orders       map[string]orderRow
	reservations map[string]reservationRow
	payments     map[string]paymentRow
	uses         map[string]useRow
	shipments    map[string]shipmentRow
	events       map[string][]eventRow

	products []productRow
	policies map[string]policyRow
	coupons  map[string]couponRow
	spent    map[string][]spentRow  // by order
	ledger   map[string][]ledgerRow // by order; grants under ""
	balances map[string]int64
	mails    []mailRow

	charges  map[string]payment.Reference
	bookings map[string][]carrier.Booking
}

type item struct {
	ProductID string `json:"productId"`
	Quantity  int64  `json:"quantity"`
	Price     int64  `json:"productPrice"` // only order's
}

type orderRow struct {
	OrderID, UserID, Status, Reason, ShipmentStatus string
	Discount, Points, Payment, ItemsAmount, Fee     int64
	UndoPayment, UndoCoupon, UndoStock              string
	Items                                           []item
	CouponRefs                                      []string
}

type reservationRow struct {
	OrderID, UserID, State string
	Items                  []item
}

type paymentRow struct {
	OrderID, UserID, State, Refund string
	Amount, Points, Discount       int64
	CouponCounted                  bool
}

type useRow struct {
	OrderID, UserID, State string
	CouponIDs              []string
	Discount               int64
}

type shipmentRow struct{ OrderID, UserID, State, BookingID string }

type eventRow struct {
	Subject, Service, Type string
	Sequence               int64
	ID, Cause              string
}

type productRow struct {
	ProductID string
	Quantity  int64
}

type policyRow struct {
	PolicyID              string
	Issued, Limit, Amount int64
}

type couponRow struct{ CouponID, PolicyID, UserID string }

type spentRow struct{ CouponID, OrderID string }

type ledgerRow struct {
	UserID, Kind, OrderID string
	Amount                int64
}

type mailRow struct{ OrderID, Kind string }

// read collects the rows of a query whose columns are in the order of T's fields.
func read[T any](ctx context.Context, pool *pgxpool.Pool, sql string) ([]T, error) {
	rows, err := pool.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// keyed is read into a map by what key says.
func keyed[T any](ctx context.Context, pool *pgxpool.Pool, sql string, key func(T) string) (map[string]T, error) {
	list, err := read[T](ctx, pool, sql)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]T, len(list))
	for _, row := range list {
		rows[key(row)] = row
	}
	return rows, nil
}

// grouped is read into a map of lists.
func grouped[T any](ctx context.Context, pool *pgxpool.Pool, sql string, key func(T) string) (map[string][]T, error) {
	list, err := read[T](ctx, pool, sql)
	if err != nil {
		return nil, err
	}
	rows := map[string][]T{}
	for _, row := range list {
		rows[key(row)] = append(rows[key(row)], row)
	}
	return rows, nil
}

// books reads everything. The system must be at rest, else the parts are of different moments.
func (a *arena) books(ctx context.Context) (b books, err error) {
	keep := func(e error) {
		err = errors.Join(err, e)
	}
	var e error
	b.orders, e = keyed(ctx, a.pools["order"], `
		SELECT order_id, user_id, status, reason, shipment_status, discount_amount, point_amount, payment_amount,
			(terms->>'itemsAmount')::bigint, (terms->>'deliveryFee')::bigint, undo_payment, undo_coupon, undo_stock,
			terms->'items', coalesce(terms->'couponRefs', '[]') FROM orders`,
		func(r orderRow) string { return r.OrderID })
	keep(e)
	b.reservations, e = keyed(ctx, a.pools["stock"], `SELECT order_id, user_id, state, items FROM reservation`,
		func(r reservationRow) string { return r.OrderID })
	keep(e)
	b.products, e = read[productRow](ctx, a.pools["stock"], `SELECT product_id, quantity FROM product`)
	keep(e)
	b.shipments, e = keyed(ctx, a.pools["shipping"], `SELECT order_id, user_id, state, booking_id FROM shipment`,
		func(r shipmentRow) string { return r.OrderID })
	keep(e)
	b.mails, e = read[mailRow](ctx, a.pools["mailer"], `SELECT order_id, kind FROM mail`)
	keep(e)
	b.events, e = grouped(ctx, a.pools["gateway"], `SELECT subject, service, type, sequence, id::text, causation FROM event ORDER BY position`,
		func(r eventRow) string { return r.Subject })
	keep(e)
	keep(b.readCoupons(ctx, a.pools["coupon"]))
	keep(b.readPayments(ctx, a.pools["payment"]))
	keep(b.readOutside(a))
	return b, err
}

func (b *books) readCoupons(ctx context.Context, pool *pgxpool.Pool) (err error) {
	b.uses, err = keyed(ctx, pool, `SELECT order_id, user_id, state, coupon_ids, discount FROM coupon_use`,
		func(r useRow) string { return r.OrderID })
	if err != nil {
		return err
	}
	b.policies, err = keyed(ctx, pool, `SELECT policy_id, issued, issue_limit, amount FROM coupon_policy`,
		func(r policyRow) string { return r.PolicyID })
	if err != nil {
		return err
	}
	b.coupons, err = keyed(ctx, pool, `SELECT coupon_id, policy_id, user_id FROM coupon`,
		func(r couponRow) string { return r.CouponID })
	if err != nil {
		return err
	}
	b.spent, err = grouped(ctx, pool, `SELECT coupon_id, order_id FROM coupon_spent`, func(r spentRow) string { return r.OrderID })
	return err
}

func (b *books) readPayments(ctx context.Context, pool *pgxpool.Pool) (err error) {
	b.payments, err = keyed(ctx, pool, `SELECT order_id, user_id, state, refund, amount, points, discount, coupon_counted FROM payment`,
		func(r paymentRow) string { return r.OrderID })
	if err != nil {
		return err
	}
	b.ledger, err = grouped(ctx, pool, `SELECT user_id, kind, coalesce(order_id, ''), amount FROM ledger`,
		func(r ledgerRow) string { return r.OrderID })
	if err != nil {
		return err
	}
	rows, err := pool.Query(ctx, `SELECT user_id, balance FROM points`)
	if err != nil {
		return err
	}
	b.balances = map[string]int64{}
	var member string
	var balance int64
	_, err = pgx.ForEachRow(rows, []any{&member, &balance}, func() error {
		b.balances[member] = balance
		return nil
	})
	return err
}

func (b *books) readOutside(a *arena) error {
	sum, err := a.outside.Payment.Summary("")
	if err != nil {
		return err
	}
	b.charges = map[string]payment.Reference{}
	for _, r := range sum.References {
		b.charges[r.Reference] = r
	}
	bookings, err := a.outside.Carrier.Bookings("")
	if err != nil {
		return err
	}
	b.bookings = map[string][]carrier.Booking{}
	for _, booking := range bookings {
		b.bookings[booking.Reference] = append(b.bookings[booking.Reference], booking)
	}
	return nil
}

// awaitRest waits until nothing happens any more: every order is settled, no event is unpublished or
// unread, no call is under way, and in two looks, one after the other, no event was added.
func (a *arena) awaitRest(t *testing.T) {
	t.Helper()
	before := int64(-1)
	testkit.Eventually(t, patience, func() error {
		emitted, err := a.quiet(t.Context())
		if err != nil {
			before = -1
			return err
		}
		if emitted != before {
			before = emitted
			return errors.New("events still appear")
		}
		return nil
	})
}

// quiet returns how many events there are, or what is still under way. Mails are not waited for: they
// hold up nothing, and nothing comes back from them.
func (a *arena) quiet(ctx context.Context) (emitted int64, err error) {
	var open int64
	if err := a.pools["order"].QueryRow(ctx, `SELECT count(*) FROM orders WHERE status IN ('PENDING', 'CANCELLING')`).Scan(&open); err != nil {
		return 0, err
	}
	if open > 0 {
		return 0, fmt.Errorf("%d orders are not settled", open)
	}
	for name, pool := range a.pools {
		if name == "mailer" {
			continue
		}
		var unsent, calls, sum int64
		err := pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM call WHERE state = 0),
			(SELECT coalesce(sum(emitted), 0) FROM subject)`).Scan(&unsent, &calls, &sum)
		switch {
		case err != nil:
			return 0, err
		case unsent > 0:
			return 0, fmt.Errorf("%s has %d events to publish", name, unsent)
		case calls > 0:
			return 0, fmt.Errorf("%s has %d calls under way", name, calls)
		}
		emitted += sum
	}
	return emitted, a.caughtUp(ctx)
}

// caughtUp fails while a service has events to read.
func (a *arena) caughtUp(ctx context.Context) error {
	var list struct {
		Data []struct {
			Service string `json:"service"`
			Lag     int64  `json:"lag"`
		} `json:"data"`
		Unavailable []string `json:"unavailable"`
	}
	if err := a.ops.Get(ctx, "/ops/v1/subscriptions", &list); err != nil {
		return err
	}
	if len(list.Unavailable) > 0 {
		return fmt.Errorf("%v do not answer", list.Unavailable)
	}
	for _, s := range list.Data {
		if s.Lag > 0 && s.Service != "mailer" {
			return fmt.Errorf("%s has %d events to read", s.Service, s.Lag)
		}
	}
	return nil
}

// audit waits for rest and holds the books against each other. Every difference is a win of the attack.
func (a *arena) audit(t *testing.T) {
	t.Helper()
	a.awaitRest(t)
	b, err := a.books(t.Context())
	if err != nil {
		t.Fatalf("read the books: %v", err)
	}
	var fresh []string
	for _, difference := range b.differences(a) {
		if !a.told[difference] {
			a.told[difference] = true
			fresh = append(fresh, difference)
		}
	}
	if len(fresh) > 0 {
		first, err := json.MarshalIndent(fresh[:min(len(fresh), 10)], "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		t.Errorf("%d wins in the books, the first ones: %s", len(fresh), first)
	}
}
