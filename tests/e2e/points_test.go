package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// grant gives a member points.
func (s *shop) grant(t *testing.T, member string, amount int64) {
	t.Helper()
	_, err := s.ops.Call(t.Context(), rest.Request{
		Method: http.MethodPost, Path: "/ops/v1/points/grants", Header: map[string]string{"Idempotency-Key": uuid.NewString()},
		Body: local.Grant{UserID: member, Amount: amount, Reason: "test"},
	}, nil)
	if err != nil {
		t.Fatalf("grant points: %v", err)
	}
}

// balance is what the member has, which must be what the ledger adds up to.
func (c customer) balance() int64 {
	c.t.Helper()
	var points struct {
		Balance int64 `json:"balance"`
		Data    []struct {
			Amount int64 `json:"amount"`
		} `json:"data"`
	}
	if err := c.Get(c.t.Context(), "/api/v1/points?limit=100", &points); err != nil {
		c.t.Fatal(err)
	}
	sum := int64(0)
	for _, entry := range points.Data {
		sum += entry.Amount
	}
	if sum != points.Balance {
		c.t.Errorf("the balance is %d, and the ledger adds up to %d", points.Balance, sum)
	}
	return points.Balance
}

// awaitRefund waits until the provider has given back what it charged.
func (s *shop) awaitRefund(t *testing.T, orderID string) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		if m := s.money(t, orderID); m.Refunded != m.Charged {
			return fmt.Errorf("the provider's books say %+v", m)
		}
		return nil
	})
}

func pointsWithCard(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 3_000, 2)
	s.grant(t, c.id, 5_000)
	body := basket(product, 1, 3_000).with(fields{"pointAmount": 1_000, "paymentAmount": 2_000})
	o := c.buy(body)
	if o.Status != "COMPLETED" || o.PointAmount != 1_000 || o.PaymentAmount != 2_000 {
		t.Errorf("%+v", o)
	}
	if got := c.balance(); got != 4_000 {
		t.Errorf("%d points are left, want 4,000", got)
	}
	if m := s.money(t, o.OrderID); m.Charged != 2_000 {
		t.Errorf("the provider's books say %+v", m)
	}
	// A card that is declined takes no points either.
	if o := c.buy(body.with(fields{"paymentToken": "tok_decline"})); o.Status != "CANCELLED" {
		t.Errorf("%+v", o)
	}
	if got := c.balance(); got != 4_000 {
		t.Errorf("%d points are left after a declined card, want 4,000", got)
	}
}

func pointsAlone(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 3_000, 1)
	s.grant(t, c.id, 3_000)
	o := c.buy(basket(product, 1, 3_000).with(fields{"pointAmount": 3_000, "paymentAmount": 0, "paymentType": "POINT"}))
	if o.Status != "COMPLETED" {
		t.Fatalf("%s %s, want COMPLETED", o.Status, o.why())
	}
	if m := s.money(t, o.OrderID); m.Charges != 0 {
		t.Errorf("the provider was called: %+v", m)
	}
	if got := c.balance(); got != 0 {
		t.Errorf("%d points are left, want none", got)
	}
	if res := c.cancel(o.OrderID); res.Status != http.StatusAccepted {
		t.Fatal(res.Problem())
	}
	c.until(o.OrderID, func(o order) bool { return o.Status == "CANCELLED" })
	if got := c.balance(); got != 3_000 {
		t.Errorf("%d points are back, want 3,000", got)
	}
}

func pointsTooMany(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 3_000, 1)
	s.grant(t, c.id, 999)
	o := c.buy(basket(product, 1, 3_000).with(fields{"pointAmount": 1_000, "paymentAmount": 2_000}))
	if o.Status != "CANCELLED" || o.why() != "PAYMENT_DECLINED" {
		t.Errorf("%s %s, want CANCELLED PAYMENT_DECLINED", o.Status, o.why())
	}
	if m := s.money(t, o.OrderID); m.Charges != 0 {
		t.Errorf("the card was charged all the same: %+v", m)
	}
	if points, left := c.balance(), s.left(t, product); points != 999 || left != 1 {
		t.Errorf("%d points and %d pieces are left, want 999 and 1", points, left)
	}
}
