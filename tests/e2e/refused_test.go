package e2e_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

func soldOut(t *testing.T, s *shop) {
	c := s.customer(t)
	o := c.buy(basket(local.SoldOut, 1, 1_000))
	if o.Status != "CANCELLED" || o.why() != "OUT_OF_STOCK" {
		t.Errorf("%s %s, want CANCELLED OUT_OF_STOCK", o.Status, o.why())
	}
	want := []string{"OrderCreated", "StockDecreaseFailed<-OrderCreated", "OrderCancelled<-StockDecreaseFailed"}
	if diff := cmp.Diff(want, story(c.timeline(o.OrderID))); diff != "" {
		t.Errorf("a refusal by stock costs two events and no undo (-want +got):\n%s", diff)
	}
}

// A member has two of what a member may have two of, and not a third one; another member does not mind.
func overLimit(t *testing.T, s *shop) {
	c := s.customer(t)
	first, second := c.buy(basket(local.Limited, 1, 5_000)), c.buy(basket(local.Limited, 1, 5_000))
	over := c.buy(basket(local.Limited, 1, 5_000))
	if first.Status != "COMPLETED" || second.Status != "COMPLETED" || over.Status != "CANCELLED" || over.why() != "OUT_OF_STOCK" {
		t.Errorf("%s, %s, then %s %s", first.Status, second.Status, over.Status, over.why())
	}
	if says := c.timeline(over.OrderID)[1].Summary; !strings.Contains(says, "the most for one member") {
		t.Errorf("it does not say why: %s", says)
	}
	if o := s.customer(t).buy(basket(local.Limited, 2, 5_000)); o.Status != "COMPLETED" {
		t.Errorf("another member's order is %s %s", o.Status, o.why())
	}
}

func declined(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 2_500, 3)
	o := c.buy(basket(product, 2, 2_500).with(fields{"paymentToken": "tok_decline"}))
	if o.Status != "CANCELLED" || o.why() != "PAYMENT_DECLINED" {
		t.Errorf("%s %s, want CANCELLED PAYMENT_DECLINED", o.Status, o.why())
	}
	want := []string{
		"OrderCreated", "StockDecreased<-OrderCreated", "PaymentFailed<-StockDecreased",
		"OrderCancelled<-PaymentFailed", "StockIncreased<-OrderCancelled",
	}
	if diff := cmp.Diff(want, story(c.timeline(o.OrderID))); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	if left := s.left(t, product); left != 3 {
		t.Errorf("%d pieces are left, want all 3 back", left)
	}
	if m := s.money(t, o.OrderID); m.Charged != 0 {
		t.Errorf("the provider's books say %+v", m)
	}
}

// The provider never answers, and has charged: payment asks, and does not charge again.
func unknownCharged(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 4_000, 1)
	o := c.buy(basket(product, 1, 4_000).with(fields{"paymentToken": "tok_unknown"}))
	if o.Status != "COMPLETED" {
		t.Errorf("%s %s, want COMPLETED", o.Status, o.why())
	}
	if m := s.money(t, o.OrderID); m.Charged != 4_000 || m.Charges != 1 || m.Refunded != 0 {
		t.Errorf("the provider's books say %+v, want one charge", m)
	}
}

// The provider never answers, and has not charged: payment closes the key, so that nobody ever will.
func unknownNotCharged(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 4_000, 1)
	o := c.buy(basket(product, 1, 4_000).with(fields{"paymentToken": "tok_unknown_failed"}))
	if o.Status != "CANCELLED" || o.why() != "PAYMENT_DECLINED" {
		t.Errorf("%s %s, want CANCELLED PAYMENT_DECLINED", o.Status, o.why())
	}
	if m := s.money(t, o.OrderID); m.Charged != 0 {
		t.Errorf("the provider's books say %+v", m)
	}
	if left := s.left(t, product); left != 1 {
		t.Errorf("%d pieces are left, want 1", left)
	}
}

func slowAndFlaky(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 700, 2)
	slow := c.place(basket(product, 1, 700).with(fields{"paymentToken": "tok_slow"}))
	flaky := c.place(basket(product, 1, 700).with(fields{"paymentToken": "tok_flaky"}))
	for _, id := range []string{slow.OrderID, flaky.OrderID} {
		if o := c.settled(id); o.Status != "COMPLETED" {
			t.Errorf("%s %s, want COMPLETED", o.Status, o.why())
		}
		if m := s.money(t, id); m.Charged != 700 || m.Charges != 1 {
			t.Errorf("the provider's books say %+v, want one charge", m)
		}
	}
}
