package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/services/reconcile"
)

// lost is work that a service never did, or whose traces it lost: several rows of one database, as they
// would stand had an event not been acted upon. The printed repair makes up for it.
type lost struct {
	name, service string
	undo          []string // SQL that takes the work back
	rule, row     string
	about         string
	repair        string
}

func losses(d *day) []lost {
	order := " WHERE order_id = '" + d.returned + "'"
	return []lost{
		{
			name: "stock never gave back", service: "stock",
			undo: []string{
				`UPDATE reservation SET state = 'TAKEN'` + order,
				`UPDATE product SET quantity = quantity - 4 WHERE product_id = '` + d.other + `'`,
			},
			rule: "stock_reservation", row: "stock.reservation", about: d.returned, repair: "resend " + d.returned + " CouponUseCancelled",
		},
		{
			name: "coupon never gave back", service: "coupon",
			undo: []string{
				`UPDATE coupon_use SET state = 'USED'` + order,
				`INSERT INTO coupon_spent SELECT coupon_ids[1], order_id, updated_at FROM coupon_use` + order,
			},
			rule: "coupon_use", row: "coupon.coupon_use", about: d.returned, repair: "resend " + d.returned + " PaymentCancelled",
		},
		{
			name: "payment never gave back", service: "payment",
			undo: []string{
				`UPDATE payment SET state = 'COMPLETED', refund = 'NONE', points = 700, cancelled_by = '', cancel_event = ''` + order,
				`DELETE FROM ledger` + order + ` AND kind = 'RETURNED'`,
				`UPDATE points SET balance = balance - 700 WHERE user_id = '` + returnedMember + `'`,
				`DELETE FROM call WHERE subject = '` + d.returned + `' AND kind = 'refund'`,
			},
			rule: "payment_state", row: "payment.payment", about: d.returned, repair: "resend " + d.returned + " OrderCancelled",
		},
		{
			name: "coupon never heard that it did not count", service: "coupon",
			undo: []string{`DELETE FROM coupon_use WHERE order_id = '` + d.full + `'`},
			rule: "coupon_use", row: "coupon.coupon_use", about: d.full, repair: "resend " + d.full + " PaymentCompleted",
		},
		{
			name: "order stands still in its undo", service: "order",
			undo: []string{`UPDATE orders SET status = 'CANCELLING', progress = 'UNDO_STOCK', undo_stock = 'PENDING', updated_at = updated_at - interval '1 hour'` + order},
			rule: "order_stuck", row: "order.orders", about: d.returned, repair: "resend " + d.returned + " StockIncreased",
		},
	}
}

// What a service never did is found, and the event that is published again makes it do so: once, and
// nobody else a second time.
func TestLostWork(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	d := s.live(t)
	before := s.clean(t)
	for _, x := range losses(d) {
		for _, sql := range x.undo {
			s.exec(t, x.service, sql)
		}
		_, report := s.verify(t)
		i := slices.IndexFunc(report.Differences, func(d0 reconcile.Difference) bool { return d0.Row == x.row })
		if i < 0 || len(report.Differences) > 1 {
			t.Fatalf("%s: found\n%s", x.name, sentences(report))
		}
		got := report.Differences[i]
		if got.Rule != x.rule || got.OrderID != x.about || !slices.Equal(got.Repair, []string{"quadrille repair " + x.repair}) {
			t.Errorf("%s: found %s about %s, repair %q: %s", x.name, got.Rule, got.OrderID, got.Repair, got.Sentence)
		}
		if code, out, errors := s.quadrille(strings.Fields(got.Repair[0])[1:]...); code != 0 {
			t.Fatalf("%s: %s ends with %d: %s%s", x.name, got.Repair[0], code, out, errors)
		}
		s.clean(t)
	}
	s.conforms(t)
	after := s.clean(t)
	if before.Checked.Points != after.Checked.Points || before.Checked.Money["KRW"] != after.Checked.Money["KRW"] {
		t.Errorf("the sums were %+v, and are %+v", before.Checked, after.Checked)
	}
	if m, err := s.Simulators.Payment.Summary(d.returned); err != nil || len(m.References) != 1 || m.References[0].Refunded != 3000 || m.References[0].Charges != 1 {
		t.Errorf("the provider's books say %+v %v", m, err)
	}
}
