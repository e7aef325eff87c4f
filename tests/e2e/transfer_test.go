package e2e_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// account waits until the buyer is told where to pay the order's transfer into.
func (c customer) account(id string) (number string) {
	c.t.Helper()
	testkit.Eventually(c.t, patience, func() error {
		var p struct {
			Status   string `json:"status"`
			Transfer *struct {
				AccountNumber string `json:"accountNumber"`
			} `json:"transfer"`
		}
		if err := c.Get(c.t.Context(), "/api/v1/orders/"+id+"/payment", &p); err != nil {
			return err
		}
		if p.Status != "AWAITING_TRANSFER" || p.Transfer == nil {
			return fmt.Errorf("the payment is %s, into %v", p.Status, p.Transfer)
		}
		number = p.Transfer.AccountNumber
		return nil
	})
	return number
}

// paidByTransfer: the order waits for the buyer, the provider tells of the money with a webhook through the gateway,
// and the order goes on.
func paidByTransfer(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 3_000, 2)
	o := c.place(basket(product, 1, 3_000).with(fields{"paymentType": "TRANSFER"}))
	if c.account(o.OrderID) == "" {
		t.Error("there is no account to pay into")
	}
	// Payment may have read of the pieces before order has.
	if got := c.until(o.OrderID, func(o order) bool { return o.Progress == "PAYMENT" }); got.Status != "PENDING" {
		t.Errorf("before it is paid the order is %s", got.Status)
	}
	if _, err := s.Simulators.Payment.Deposit("charge-" + o.OrderID); err != nil {
		t.Fatal(err)
	}
	if got := c.settled(o.OrderID); got.Status != "COMPLETED" {
		t.Errorf("paid, the order is %s: %s", got.Status, got.why())
	}
	if m := s.money(t, o.OrderID); m.Charged != 3_000 || m.Charges != 1 {
		t.Errorf("the provider's books say %+v", m)
	}
	if events := story(c.timeline(o.OrderID)); !slices.Contains(events, "PaymentCompleted<-StockDecreased") {
		t.Errorf("the timeline tells %q", events)
	}
}

// unpaidTransfer: cancelled, nothing can be paid any more, and the piece is back.
func unpaidTransfer(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 3_000, 2)
	o := c.place(basket(product, 1, 3_000).with(fields{"paymentType": "TRANSFER"}))
	c.account(o.OrderID)
	if res := c.cancel(o.OrderID); res.Status != 202 {
		t.Fatal(res.Problem())
	}
	if got := c.settled(o.OrderID); got.Status != "CANCELLED" {
		t.Errorf("the order is %s", got.Status)
	}
	if _, err := s.Simulators.Payment.Deposit("charge-" + o.OrderID); err == nil {
		t.Error("a closed account was paid into")
	}
	if left := s.left(t, product); left != 2 {
		t.Errorf("%d pieces are left, want 2", left)
	}
}
