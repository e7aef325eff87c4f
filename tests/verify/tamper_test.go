package verify_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/reconcile"
)

// tamper is one change behind a service's back, and what verify has to say of it.
type tamper struct {
	name    string
	service string
	// table and where name the rows that are changed: they are put back afterwards, unless a repair does.
	table, where string
	change       string
	// lost are tables of which rows of the same condition are put away as well, where the change stands
	// for something that was never done.
	lost []string

	rule, row string
	// about is the id that the difference names: the order's, the product's, ...
	about string
	// repair are the commands that verify prints, with their last words only; they are run, and verify is
	// clean then. None: a person decides.
	repair []string
}

// keep copies the rows, and returns what puts them back.
func (s *shop) keep(t *testing.T, service, table, where string) (restore func()) {
	t.Helper()
	var rows []byte
	err := s.databases[service].QueryRow(t.Context(),
		`SELECT coalesce(jsonb_agg(to_jsonb(x)), '[]') FROM `+table+` x WHERE `+where).Scan(&rows)
	check(t, err)
	return func() {
		t.Helper()
		s.exec(t, service, `DELETE FROM `+table+` WHERE `+where)
		s.exec(t, service, `INSERT INTO `+table+` OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(NULL::`+table+`, $1)`, rows)
	}
}

// exec changes a service's database behind its back. The ledger is append-only, but not for this.
func (s *shop) exec(t *testing.T, service, sql string, args ...any) {
	t.Helper()
	check(t, pgx.BeginFunc(t.Context(), s.databases[service], func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), sql, args...)
		return err
	}))
}

func tampers(d *day) []tamper {
	order := func(id string) string { return "order_id = '" + id + "'" }
	subject := func(id string) string { return "subject = '" + id + "'" }
	member := func(id string) string { return "user_id = '" + id + "'" }
	return []tamper{
		{
			name: "order forgets the delivery", service: "order", table: "orders", where: order(d.rich),
			change: `UPDATE orders SET status = 'SHIPPED', progress = 'none', shipment_status = 'DISPATCHED'`,
			rule:   "order_status", row: "order.orders", about: d.rich, repair: []string{"resend " + d.rich + " ShipmentDelivered"},
		},
		{
			name: "order thinks it cancelled", service: "order", table: "orders", where: order(d.card),
			change: `UPDATE orders SET status = 'CANCELLED', progress = 'none', reason = 'CUSTOMER'`,
			rule:   "order_status", row: "order.orders", about: d.card,
		},
		{
			name: "order's amount", service: "order", table: "orders", where: order(d.card),
			change: `UPDATE orders SET payment_amount = payment_amount + 1`,
			rule:   "order_adds_up", row: "order.orders", about: d.card,
		},
		{
			name: "order's lines", service: "order", table: "orders", where: order(d.card),
			change: `UPDATE orders SET terms = jsonb_set(terms, '{items,0,productPrice}', '999')`,
			rule:   "order_adds_up", row: "order.orders", about: d.card,
		},
		{
			name: "order loses an order", service: "order", table: "orders", where: order(d.card),
			change: `DELETE FROM orders`, rule: "order_known", row: "order.orders", about: d.card,
		},
		{
			name: "order misses the parcel", service: "order", table: "orders", where: order(d.card),
			change: `UPDATE orders SET shipment_status = '', carrier = '', tracking_number = ''`,
			rule:   "shipment_state", row: "order.orders", about: d.card, repair: []string{"resend " + d.card + " ShipmentPrepared"},
		},
		{
			name: "order misses the refund", service: "order", table: "orders", where: order(d.returned),
			change: `UPDATE orders SET undo_payment = 'REFUNDING'`,
			rule:   "payment_refund", row: "order.orders", about: d.returned, repair: []string{"resend " + d.returned + " PaymentRefunded"},
		},
		{
			name: "order misses the end of an undo", service: "order", table: "orders", where: order(d.returned),
			change: `UPDATE orders SET status = 'CANCELLING', progress = 'UNDO_STOCK', undo_stock = 'PENDING', updated_at = updated_at - interval '1 hour'`,
			rule:   "order_stuck", row: "order.orders", about: d.returned, repair: []string{"resend " + d.returned + " StockIncreased"},
		},
		{
			name: "order loses a price", service: "order", table: "price", where: "product_id = '" + d.soldOut + "'",
			change: `DELETE FROM price`, rule: "price_agrees", row: "order.price", about: d.soldOut,
			repair: []string{"resend " + d.soldOut + " ProductPriceChanged ProductListed"},
		},
		{
			name: "order's price", service: "order", table: "price", where: "product_id = '" + d.soldOut + "'",
			change: `UPDATE price SET price = 1`, rule: "price_agrees", row: "order.price", about: d.soldOut,
		},

		{
			name: "stock gives back what was sold", service: "stock", table: "reservation", where: order(d.card),
			change: `UPDATE reservation SET state = 'RETURNED'`, rule: "stock_reservation", row: "stock.reservation", about: d.card,
		},
		{
			name: "stock's pieces of an order", service: "stock", table: "reservation", where: order(d.card),
			change: `UPDATE reservation SET items = jsonb_set(items, '{0,quantity}', '1')`,
			rule:   "stock_items", row: "stock.reservation", about: d.card,
		},
		{
			name: "stock loses a reservation", service: "stock", table: "reservation", where: order(d.card),
			change: `DELETE FROM reservation`, rule: "stock_reservation", row: "stock.reservation", about: d.card,
		},
		{
			name: "stock holds on paper what it gave back", service: "stock", table: "reservation", where: order(d.returned),
			change: `UPDATE reservation SET state = 'TAKEN'`, rule: "stock_reservation", row: "stock.reservation", about: d.returned,
			repair: []string{"resend " + d.returned + " CouponUseCancelled", "recount product " + d.other},
		},
		{
			name: "stock sells pieces it has not", service: "stock", table: "product", where: "product_id = '" + d.product + "'",
			change: `UPDATE product SET quantity = quantity + 5`, rule: "stock_adds_up", row: "stock.product", about: d.product,
			repair: []string{"recount product " + d.product},
		},
		{
			name: "stock forgets a delivery of goods", service: "stock", table: "product", where: "product_id = '" + d.other + "'",
			change: `UPDATE product SET received = received - 25`, rule: "stock_adds_up", row: "stock.product", about: d.other,
			repair: nil, // it is offered, and not run: the test puts the row back
		},

		{
			name: "coupon gives back what counted", service: "coupon", table: "coupon_use", where: order(d.rich),
			change: `UPDATE coupon_use SET state = 'CANCELLED'`, rule: "coupon_use", row: "coupon.coupon_use", about: d.rich,
		},
		{
			name: "coupon's discount", service: "coupon", table: "coupon_use", where: order(d.rich),
			change: `UPDATE coupon_use SET discount = 3000`, rule: "coupon_discount", row: "coupon.coupon_use", about: d.rich,
		},
		{
			name: "coupon lets a coupon be used again", service: "coupon", table: "coupon_spent", where: order(d.rich),
			change: `DELETE FROM coupon_spent`, rule: "coupon_spent", row: "coupon.coupon_spent", about: d.rich,
		},
		{
			name: "coupon has a coupon spent by another order", service: "coupon", table: "coupon_spent", where: "true",
			change: `UPDATE coupon_spent SET order_id = '` + d.card + `'`, rule: "coupon_spent", row: "coupon.coupon_spent", about: d.rich,
		},
		{
			name: "coupon loses a use", service: "coupon", table: "coupon_use", where: order(d.rich),
			change: `DELETE FROM coupon_use`, rule: "coupon_use", row: "coupon.coupon_use", about: d.rich,
		},
		{
			name: "coupon's count of a campaign", service: "coupon", table: "coupon_policy", where: "policy_id = '" + d.policy + "'",
			change: `UPDATE coupon_policy SET issued = issued + 1`, rule: "coupon_issued", row: "coupon.coupon_policy", about: d.policy,
			repair: []string{"recount policy " + d.policy},
		},

		{
			name: "payment's state", service: "payment", table: "payment", where: order(d.card),
			change: `UPDATE payment SET state = 'FAILED'`, rule: "payment_state", row: "payment.payment", about: d.card,
		},
		{
			name: "payment's amount", service: "payment", table: "payment", where: order(d.card),
			change: `UPDATE payment SET amount = amount - 1`, rule: "payment_amount", row: "payment.payment", about: d.card,
		},
		{
			name: "payment loses a payment", service: "payment", table: "payment", where: order(d.card),
			change: `DELETE FROM payment`, rule: "payment_state", row: "payment.payment", about: d.card,
		},
		{
			name: "payment's refund", service: "payment", table: "payment", where: order(d.returned),
			change: `UPDATE payment SET refund = 'NONE'`, rule: "payment_refund", row: "payment.payment", about: d.returned,
		},
		{
			name: "payment's points of an order", service: "payment", table: "payment", where: order(d.rich),
			change: `UPDATE payment SET points = 600`, rule: "payment_amount", row: "payment.payment", about: d.rich,
		},
		{
			name: "a balance", service: "payment", table: "points", where: member(pointsMember),
			change: `UPDATE points SET balance = balance + 1`, rule: "points_add_up", row: "payment.points", about: pointsMember,
			repair: []string{"recount member " + pointsMember},
		},
		{
			name: "the ledger of an order", service: "payment", table: "ledger", where: order(d.rich),
			change: `UPDATE ledger SET amount = -600`, rule: "payment_points", row: "payment.ledger", about: d.rich,
		},
		{
			name: "the ledger of a grant", service: "payment", table: "ledger", where: member(pointsMember) + " AND grant_id IS NOT NULL",
			change: `UPDATE ledger SET amount = 4000`, rule: "points_add_up", row: "payment.points", about: pointsMember,
			repair: nil, // offered for the balance, which is what an untouched ledger would have wrong
		},

		{
			name: "shipping's state", service: "shipping", table: "shipment", where: order(d.card),
			change: `UPDATE shipment SET state = 'FAILED'`, rule: "shipment_state", row: "shipping.shipment", about: d.card,
		},
		{
			name: "shipping delivers what is on its way", service: "shipping", table: "shipment", where: order(d.shipped),
			change: `UPDATE shipment SET state = 'DELIVERED'`, rule: "shipment_state", row: "shipping.shipment", about: d.shipped,
		},
		{
			name: "a tracking number", service: "shipping", table: "shipment", where: order(d.card),
			change: `UPDATE shipment SET tracking_number = 'X'`, rule: "shipment_tracking", row: "shipping.shipment", about: d.card,
		},
		{
			name: "shipping never heard of an order", service: "shipping", table: "shipment", where: order(d.points), lost: []string{"call", subject(d.points)},
			change: `DELETE FROM shipment`, rule: "shipment_state", row: "shipping.shipment", about: d.points,
			repair: []string{"resend " + d.points + " OrderCompleted"},
		},

		{
			name: "mailer never heard of a cancel", service: "mailer", table: "mail", where: order(d.declined) + " AND kind = 'cancelled'", lost: []string{"call", subject(d.declined)},
			change: `DELETE FROM mail`, rule: "mail_asked", row: "mailer.mail", about: d.declined,
			repair: []string{"resend " + d.declined + " OrderCancelled"},
		},
		{
			name: "mailer told something else", service: "mailer", table: "mail", where: order(d.card) + " AND kind = 'delivered'",
			change: `INSERT INTO mail SELECT order_id, 'delivered', user_id, state, data, created_at, updated_at FROM mail WHERE ` +
				order(d.card) + " AND kind = 'completed'",
			rule: "mail_asked", row: "mailer.mail", about: d.card,
		},

		{
			name: "the gateway's line", service: "gateway", table: "order_line", where: order(d.card),
			change: `UPDATE order_line SET status = 'DELIVERED'`, rule: "events_agree", row: "gateway.order_line", about: d.card,
			repair: []string{"resend " + d.card + " OrderCreated"},
		},
		{
			name: "the gateway loses a line", service: "gateway", table: "order_line", where: order(d.card),
			change: `DELETE FROM order_line`, rule: "events_agree", row: "gateway.order_line", about: d.card,
		},
	}
}

// Each row that is tampered with is named, with its order, and nothing else is; then the printed repair, or
// putting the row back, makes the books agree again.
func TestTampering(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	d := s.live(t)
	s.clean(t)
	for _, x := range tampers(d) {
		s.tamper(t, x)
		if t.Failed() {
			return // what follows would find this one
		}
	}
}

func (s *shop) tamper(t *testing.T, x tamper) {
	t.Helper()
	restore := []func(){s.keep(t, x.service, x.table, x.where)}
	if len(x.lost) > 0 {
		restore = append(restore, s.keep(t, x.service, x.lost[0], x.lost[1]))
		s.exec(t, x.service, `DELETE FROM `+x.lost[0]+` WHERE `+x.lost[1])
	}
	if !strings.HasPrefix(x.change, "INSERT") {
		x.change += " WHERE " + x.where
	}
	s.exec(t, x.service, x.change)
	_, report := s.verify(t)
	if len(report.Differences) != 1 || len(report.Open) != 0 {
		t.Errorf("%s: want one difference, got %d:\n%s", x.name, len(report.Differences), sentences(report))
		return
	}
	got := report.Differences[0]
	about := fmt.Sprint(got.OrderID, got.ProductID, got.UserID, got.PolicyID)
	if got.Rule != x.rule || got.Row != x.row || about != x.about || !strings.Contains(got.Sentence, x.about) {
		t.Errorf("%s: found %s %s about %s: %s", x.name, got.Rule, got.Row, about, got.Sentence)
	}
	if got.OrderID != "" && len(got.Timeline) == 0 && x.rule != "order_known" {
		t.Errorf("%s: no timeline", x.name)
	}
	if len(got.Repair) == 0 && got.Advice == "" {
		t.Errorf("%s: nothing to do is said", x.name)
	}
	t.Logf("%s: %s", x.name, got.Sentence)
	if x.repair == nil {
		for _, put := range restore {
			put()
		}
	} else {
		s.repair(t, x, got)
	}
	s.clean(t)
}

// repair runs what verify printed.
func (s *shop) repair(t *testing.T, x tamper, d reconcile.Difference) {
	t.Helper()
	var want []string
	for _, command := range x.repair {
		want = append(want, "quadrille repair "+command)
	}
	if !slices.Equal(d.Repair, want) {
		t.Errorf("%s: the repair is %q, want %q", x.name, d.Repair, want)
	}
	for i, command := range d.Repair {
		if i > 0 {
			s.settled(t, x)
		}
		args := append(strings.Fields(command)[1:], "--reason", "test")
		if code, out, errors := s.quadrille(args...); code != 0 {
			t.Fatalf("%s: %s ends with %d: %s%s", x.name, command, code, out, errors)
		}
	}
}

// settled waits until the first command of a repair has taken its way through the services: the row is not
// as it was tampered with any more.
func (s *shop) settled(t *testing.T, x tamper) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		var state string
		err := s.databases[x.service].QueryRow(t.Context(), `SELECT state FROM `+x.table+` WHERE `+x.where).Scan(&state)
		if err == nil && state == "TAKEN" {
			err = errors.New("the reservation is still " + state)
		}
		return err
	})
}
