package service_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/order/service"
)

const seedBody = `{"userId": "m1", "items": [{"productId": "P", "quantity": 1, "productPrice": 10050}],
	"discountPolicyId": null, "discountAmount": null, "paymentAmount": 10050, "paymentType": "CREDIT"}`

// list puts products on the price list and waits until they are there.
func (s *system) list() {
	s.T.Helper()
	for _, p := range []*stockv1.ProductListed{
		{ProductId: "P", Name: "Lamp", Price: 10050, Currency: "KRW", OnSale: true},
		{ProductId: "Q", Name: "Chair", Price: 500, Currency: "KRW", OnSale: true},
		{ProductId: "OFF", Name: "Relic", Price: 500, Currency: "KRW"},
		{ProductId: "EUR", Name: "Import", Price: 500, Currency: "EUR", OnSale: true},
	} {
		p.ListedAt = timestamppb.Now()
		s.Publish(p.GetProductId(), p)
		body := fmt.Sprintf(`{"items": [{"productId": %q, "quantity": 1}]}`, p.GetProductId())
		testkit.Eventually(s.T, rig.Patience, func() error {
			if a := s.do("m1", "POST", "/api/v1/orders/preview", body); strings.Contains(a.Text, "unknown_product") {
				return fmt.Errorf("%s is not listed yet", p.GetProductId())
			}
			return nil
		})
	}
}

func (s *system) place(body string, headers ...string) string {
	s.T.Helper()
	a := s.do("m1", "POST", "/api/v1/orders", body, headers...)
	if a.Status != 202 && a.Status != 200 {
		s.T.Fatalf("%s", a)
	}
	return a.Field("orderId")
}

// awaitStatus waits until the order shows the status, and returns it.
func (s *system) awaitStatus(id string, want order.Status) order.View {
	s.T.Helper()
	var v order.View
	testkit.Eventually(s.T, rig.Patience, func() error {
		a := s.do("m1", "GET", "/api/v1/orders/"+id, "")
		if a.Decode(s.T, &v); v.Status != want {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	return v
}

func decreased(id string) *stockv1.StockDecreased {
	return &stockv1.StockDecreased{OrderId: id, UserId: "m1"}
}

func paid(id string) *paymentv1.PaymentCompleted {
	return &paymentv1.PaymentCompleted{OrderId: id, UserId: "m1", PaymentAmount: 10050, Currency: "KRW"}
}

// The seeds' own request goes all the way, and shows each step.
func TestOrderGoesForward(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	a := s.do("m1", "POST", "/api/v1/orders", seedBody)
	if a.Status != 202 || a.Field("status") != "PENDING" || a.Field("progress") != "STOCK" {
		t.Fatalf("%s", a)
	}
	id := a.Field("orderId")
	if a.Header.Get("Location") != "/api/v1/orders/"+id {
		t.Errorf("Location %q", a.Header.Get("Location"))
	}
	if got := s.do("m1", "GET", "/api/v1/orders/"+id, ""); got.Status != 200 {
		t.Errorf("read at once: %d", got.Status)
	}
	created := s.await(id, "OrderCreated")
	checkout := created.Message.(*orderv1.OrderCreated).GetCheckout()
	if checkout.GetPaymentAmount() != 10050 || checkout.GetShippingAddressId() != "home-1" || created.Sequence != 1 {
		t.Errorf("%v", created)
	}
	s.Publish(id, decreased(id))
	s.Publish(id, paid(id))
	completed := s.await(id, "OrderCompleted")
	if completed.Correlation != created.ID || completed.Sequence != 2 {
		t.Errorf("%+v", completed.Envelope)
	}
	s.Publish(id, &shippingv1.ShipmentPrepared{OrderId: id, Carrier: "sim", TrackingNumber: "T1"},
		&shippingv1.ShipmentDispatched{OrderId: id, Carrier: "sim", TrackingNumber: "T1"},
		&shippingv1.ShipmentDelivered{OrderId: id, Carrier: "sim", TrackingNumber: "T1"})
	v := s.awaitStatus(id, order.Delivered)
	if v.Version != 7 || v.Shipment == nil || v.Shipment.TrackingNumber != "T1" || v.Shipment.Status != "DELIVERED" {
		t.Errorf("%+v %+v", v, v.Shipment)
	}
	got := s.do("m1", "GET", "/api/v1/orders/"+id, "", "If-None-Match", `"7-home-1"`)
	if got.Status != 304 {
		t.Errorf("with the ETag: %d", got.Status)
	}
}

// Cancelled by the customer, an order is undone step by step, and the late payment changes nothing.
func TestCancelPending(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	id := s.place(seedBody)
	if a := s.do("m2", "POST", "/api/v1/orders/"+id+"/cancel", ""); a.Status != 404 {
		t.Errorf("somebody else: %d", a.Status)
	}
	a := s.do("m1", "POST", "/api/v1/orders/"+id+"/cancel", `{"reason": "changed my mind"}`)
	if a.Status != 202 || a.Field("status") != "CANCELLING" || a.Field("reason") != "CUSTOMER" {
		t.Fatalf("%s", a)
	}
	if again := s.do("m1", "POST", "/api/v1/orders/"+id+"/cancel", ""); again.Status != 202 {
		t.Errorf("again: %d", again.Status)
	}
	cancelled := s.await(id, "OrderCancelled").Message.(*orderv1.OrderCancelled)
	if cancelled.GetUndoFrom() != orderv1.UndoFrom_UNDO_FROM_PAYMENT {
		t.Errorf("%v", cancelled)
	}
	s.Publish(id, paid(id), &paymentv1.PaymentCancelled{OrderId: id, PaymentAmount: 10050}, &paymentv1.PaymentRefunded{OrderId: id})
	s.Publish(id, &stockv1.StockIncreased{OrderId: id})
	v := s.awaitStatus(id, order.Cancelled)
	if v.Undo == nil || v.Undo.Stock != order.UndoDone {
		t.Errorf("%+v", v.Undo)
	}
	s.CaughtUp()
	if n := s.Emitted(id); n != 2 {
		t.Errorf("order emitted %d events", n)
	}
}

// A completed order asks shipping first; once dispatched it is too late.
func TestCancelCompleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	id := s.place(seedBody)
	s.Publish(id, decreased(id))
	s.Publish(id, paid(id))
	s.awaitStatus(id, order.Completed)
	if a := s.do("m1", "POST", "/api/v1/orders/"+id+"/cancel", ""); a.Status != 202 || a.Field("status") != "COMPLETED" {
		t.Fatalf("%s", a)
	}
	s.await(id, "OrderCancelRequested")
	s.Publish(id, &shippingv1.ShipmentDispatched{OrderId: id}, &shippingv1.ShipmentCancelRefused{OrderId: id})
	s.awaitStatus(id, order.Shipped)
	if a := s.do("m1", "POST", "/api/v1/orders/"+id+"/cancel", ""); a.Status != 409 || a.Field("code") != "not_cancelable" {
		t.Errorf("%s", a)
	}
}

// Prefer: wait is answered when the order is settled, at once for an old key, and with 202 when the
// time is over.
func TestPreferWait(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			a := s.Call(s.Token("m1"), "POST", "/api/v1/orders", seedBody, "Prefer", "wait=20", "Idempotency-Key", fmt.Sprint("wait-", i))
			if a.Status != 200 || a.Field("status") != "CANCELLED" || a.Field("reason") != "OUT_OF_STOCK" ||
				a.Header.Get("Preference-Applied") != "wait=20" || a.Header.Get("Location") != "/api/v1/orders/"+a.Field("orderId") {
				t.Errorf("%s", a)
			}
		})
	}
	seen := map[string]bool{}
	testkit.Eventually(t, rig.Patience, func() error {
		for _, e := range s.Events(rig.Named("OrderCreated")) {
			if id := e.Subject; !seen[id] {
				seen[id] = true
				s.Publish(id, &stockv1.StockDecreaseFailed{OrderId: id})
			}
		}
		if len(seen) < 20 {
			return fmt.Errorf("%d orders", len(seen))
		}
		return nil
	})
	wg.Wait()
	replay := s.do("m1", "POST", "/api/v1/orders", seedBody, "Prefer", "wait=20", "Idempotency-Key", "wait-0")
	if replay.Status != 200 || replay.Header.Get("Idempotency-Replayed") != "true" || replay.Field("status") != "CANCELLED" {
		t.Errorf("%s", replay)
	}
	began := time.Now()
	late := s.do("m1", "POST", "/api/v1/orders", seedBody, "Prefer", "wait=1", "Idempotency-Key", "late")
	if late.Status != 202 || late.Field("status") != "PENDING" || time.Since(began) < time.Second {
		t.Errorf("after %s: %s", time.Since(began), late)
	}
	if a := s.do("m1", "GET", "/api/v1/orders/"+late.Field("orderId"), "", "Prefer", "wait=1"); a.Status != 200 || a.Field("status") != "PENDING" {
		t.Errorf("%s", a)
	}
}

// Sixty parallel requests under one key, and sixty identical ones without, are one order each.
func TestSentTwice(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	for name, headers := range map[string][]string{"one key": {"Idempotency-Key", "k1"}, "double click": nil} {
		var mu sync.Mutex
		ids, replayed := map[string]int{}, 0
		var wg sync.WaitGroup
		token := s.Token("m1")
		for range 60 {
			wg.Go(func() {
				a := s.Call(token, "POST", "/api/v1/orders", seedBody, headers...)
				if a.Status != 202 {
					t.Errorf("%s: %s", name, a)
				}
				mu.Lock()
				defer mu.Unlock()
				ids[a.Field("orderId")]++
				if a.Header.Get("Idempotency-Replayed") == "true" {
					replayed++
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 {
			t.Errorf("%s: %d orders", name, len(ids))
		}
		if want := map[string]int{"one key": 59, "double click": 0}[name]; replayed != want {
			t.Errorf("%s: %d replayed", name, replayed)
		}
	}
	// Another key is another order; the same key with another body is refused.
	first := s.place(seedBody, "Idempotency-Key", "k2")
	if again := s.place(seedBody, "Idempotency-Key", "k3"); again == first {
		t.Error("two keys gave one order")
	}
	same := strings.ReplaceAll(seedBody, `"userId": "m1", `, ``)
	if again := s.place(same, "Idempotency-Key", "k2"); again != first {
		t.Error("the same order in other words gave another one")
	}
	other := strings.ReplaceAll(seedBody, "10050", "500")
	other = strings.ReplaceAll(other, `"P"`, `"Q"`)
	if a := s.do("m1", "POST", "/api/v1/orders", other, "Idempotency-Key", "k2"); a.Status != 422 || a.Field("code") != "idempotency_key_reused" {
		t.Errorf("%s", a)
	}
}

// A double click on an order that was cancelled meanwhile is a new order.
func TestDoubleClickAfterCancel(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	first := s.place(seedBody)
	if again := s.place(seedBody); again != first {
		t.Error("a double click became two orders")
	}
	s.do("m1", "POST", "/api/v1/orders/"+first+"/cancel", "")
	if again := s.place(seedBody); again == first {
		t.Error("the cancelled order was answered")
	}
}

// An order that waits too long is cancelled; one that may go on without its coupon does so first.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *service.Config) {
		c.CouponTimeout, c.PendingTimeout = 300*time.Millisecond, 2*time.Second
	})
	s.list()
	body := `{"items": [{"productId": "P", "quantity": 1}], "paymentAmount": 10000, "discountPolicyId": "WELCOME",
		"discountAmount": 50, "couponFailurePolicy": "PAY_FULL_PRICE", "paymentType": "CREDIT"}`
	id := s.place(body)
	created := s.await(id, "OrderCreated")
	s.Publish(id, decreased(id))
	waived := s.await(id, "OrderCouponWaived")
	if waived.Causation == created.ID || waived.Causation == "" {
		t.Errorf("caused by %q", waived.Causation)
	}
	timedOut := s.await(id, "OrderCancelled")
	if timedOut.Causation != created.ID || timedOut.Message.(*orderv1.OrderCancelled).GetReason() != orderv1.CancelReason_CANCEL_REASON_TIMED_OUT {
		t.Errorf("%+v", timedOut)
	}
	s.Publish(id, &couponv1.CouponUseFailed{OrderId: id})
	s.CaughtUp()
	if n := s.Emitted(id); n != 3 {
		t.Errorf("order emitted %d events", n)
	}
}

// Two replicas on one database: identical requests to both are one order, and who waits at one is
// answered although the other has dealt with the events.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	var cfg service.Config
	s := start(t, func(c *service.Config) { cfg = *c })
	s.list()
	urls := []string{s.URL}
	s.serve(cfg)
	urls = append(urls, s.URL)
	token := s.Token("m1")
	both := func(method, path, body string, headers ...string) (answers []rig.Answer) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				a := s.CallAt(urls[i%2], token, method, path, body, headers...)
				mu.Lock()
				defer mu.Unlock()
				answers = append(answers, a)
			})
		}
		wg.Wait()
		return answers
	}
	ids := map[string]int{}
	for _, a := range both("POST", "/api/v1/orders", seedBody) {
		ids[a.Field("orderId")]++
	}
	if len(ids) != 1 {
		t.Fatalf("one request in 40 copies became %v", ids)
	}
	for id := range ids {
		s.Publish(id, &stockv1.StockDecreaseFailed{OrderId: id})
		for _, a := range both("GET", "/api/v1/orders/"+id, "", "Prefer", "wait=20") {
			if a.Status != 200 || a.Field("status") != "CANCELLED" {
				t.Errorf("%s", a)
			}
		}
	}
	s.stop() // the first replica goes; the second takes over its partitions
	next := s.place(seedBody)
	s.Publish(next, decreased(next))
	s.Publish(next, paid(next))
	s.awaitStatus(next, order.Completed)
}
