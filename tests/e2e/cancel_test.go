package e2e_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// A cancel that finds the charge in flight: whatever became of it, the money is where it was.
func cancelPending(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 900, 1)
	id := c.place(basket(product, 1, 900).with(fields{"paymentToken": "tok_slow"})).OrderID
	res := c.cancel(id)
	if res.Status != http.StatusAccepted {
		t.Fatal(res.Problem())
	}
	if o := decode[order](t, res.Body); o.Status != "CANCELLING" && o.Status != "CANCELLED" {
		t.Errorf("the cancel is answered with an order that is %s", o.Status)
	}
	o := c.settled(id)
	if o.Status != "CANCELLED" || o.why() != "CUSTOMER" {
		t.Errorf("%s %s, want CANCELLED CUSTOMER", o.Status, o.why())
	}
	got := story(c.timeline(id))
	for _, step := range []string{"PaymentCancelled<-OrderCancelled", "StockIncreased<-PaymentCancelled"} {
		if !slices.Contains(got, step) {
			t.Errorf("no %s in %v", step, got)
		}
	}
	if slices.Contains(got, "OrderCompleted<-PaymentCompleted") {
		t.Errorf("the order was completed and cancelled: %v", got)
	}
	s.awaitRefund(t, id)
	if left := s.left(t, product); left != 1 {
		t.Errorf("%d pieces are left, want 1", left)
	}
}

// A completed order is undone last step first, and every step says what it answers.
func cancelCompleted(t *testing.T, s *shop) {
	c, product, policy := s.customer(t), s.product(t, 8_000, 2), s.policy(t, 1_000, 5)
	c.issue(policy)
	o := c.buy(basket(product, 1, 8_000).with(fields{
		"discountPolicyId": policy, "discountAmount": 1_000, "paymentAmount": 7_000,
	}))
	if o.Status != "COMPLETED" || !slices.Contains(o.NextActions, "cancel") {
		t.Fatalf("%s %s with actions %v", o.Status, o.why(), o.NextActions)
	}
	c.until(o.OrderID, func(o order) bool { return o.Shipment != nil })
	for range 2 { // asked again: the same answer, and no event
		if res := c.cancel(o.OrderID); res.Status != http.StatusAccepted {
			t.Fatal(res.Problem())
		}
	}
	o = c.until(o.OrderID, func(o order) bool {
		return o.Status == "CANCELLED" && o.Undo != nil && o.Undo.Payment == "REFUNDED"
	})
	if o.why() != "CUSTOMER" {
		t.Errorf("reason %s, want CUSTOMER", o.why())
	}
	got := story(c.timeline(o.OrderID))
	want := []string{
		"OrderCreated", "StockDecreased<-OrderCreated", "CouponUsed<-StockDecreased",
		"PaymentCompleted<-CouponUsed", "OrderCompleted<-PaymentCompleted", "ShipmentPrepared<-OrderCompleted",
		"OrderCancelRequested<-OrderCreated", "ShipmentCancelled<-OrderCancelRequested", "OrderCancelled<-ShipmentCancelled",
		"PaymentCancelled<-OrderCancelled", "CouponUseCancelled<-PaymentCancelled", "StockIncreased<-CouponUseCancelled",
	}
	// The provider confirms the refund when it likes.
	undo := slices.DeleteFunc(slices.Clone(got), func(line string) bool { return line == "PaymentRefunded<-PaymentCancelled" })
	if diff := cmp.Diff(want, undo); diff != "" || len(undo) != len(got)-1 {
		t.Errorf("timeline (-want +got):\n%s\nwith %d events", diff, len(got))
	}
	if m := s.money(t, o.OrderID); m.Charged != 7_000 || m.Refunded != 7_000 {
		t.Errorf("the provider's books say %+v", m)
	}
	if left := s.left(t, product); left != 2 {
		t.Errorf("%d pieces are left, want 2", left)
	}
	if status := c.coupon(policy); status != "AVAILABLE" {
		t.Errorf("the coupon is %s, want AVAILABLE", status)
	}
}

func cancelDispatched(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 1_200, 1)
	o := c.buy(basket(product, 1, 1_200))
	c.until(o.OrderID, func(o order) bool { return o.Shipment != nil })
	s.ship(t, o.OrderID, "dispatched")
	o = c.until(o.OrderID, func(o order) bool { return o.Status == "SHIPPED" })
	if len(o.NextActions) != 0 {
		t.Errorf("a parcel on its way can be acted on: %v", o.NextActions)
	}
	res := c.cancel(o.OrderID)
	if p := res.Problem(); res.Status != http.StatusConflict || p.Code != "not_cancelable" {
		t.Errorf("cancel is answered %v, want 409 not_cancelable", p)
	}
	s.ship(t, o.OrderID, "delivered")
	c.until(o.OrderID, func(o order) bool { return o.Status == "DELIVERED" })
	var shipment map[string]any
	if err := c.Get(t.Context(), "/api/v1/orders/"+o.OrderID+"/shipment", &shipment); err != nil {
		t.Error(err)
	}
	if m := s.money(t, o.OrderID); m.Charged != 1_200 || m.Refunded != 0 {
		t.Errorf("the provider's books say %+v", m)
	}
}

// ship lets the simulated carrier move an order's parcel on, by its own API.
func (s *shop) ship(t *testing.T, orderID, to string) {
	t.Helper()
	carrier := rest.Client{BaseURL: s.Simulators.CarrierURL}
	var bookings struct {
		Data []struct {
			BookingID string `json:"bookingId"`
		} `json:"data"`
	}
	if err := carrier.Get(t.Context(), "/v1/bookings?reference="+orderID, &bookings); err != nil || len(bookings.Data) != 1 {
		t.Fatalf("the carrier has %d parcels of the order: %v", len(bookings.Data), err)
	}
	path := "/v1/bookings/" + bookings.Data[0].BookingID + "/advance"
	if err := carrier.Post(t.Context(), path, fields{"to": to}, nil); err != nil {
		t.Fatal(err)
	}
}
