package e2e_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// TestShop runs everything that leaves the services as they are against one system: each part has
// members and products of its own, so they run side by side.
func TestShop(t *testing.T) {
	t.Parallel()
	s := open(t, quickly)
	parts := map[string]func(*testing.T, *shop){
		"seed order":               seedOrder,
		"sold out":                 soldOut,
		"over a member's limit":    overLimit,
		"declined":                 declined,
		"unknown outcome, charged": unknownCharged,
		"unknown outcome, not":     unknownNotCharged,
		"slow and flaky provider":  slowAndFlaky,
		"flash sale":               flashSale,
		"cancel while pending":     cancelPending,
		"cancel when completed":    cancelCompleted,
		"cancel when dispatched":   cancelDispatched,
		"points with card":         pointsWithCard,
		"points alone":             pointsAlone,
		"points too many":          pointsTooMany,
		"paid by transfer":         paidByTransfer,
		"unpaid transfer":          unpaidTransfer,
		"coupon":                   couponUsed,
		"coupon given back":        couponGivenBack,
		"coupon refused":           couponRefused,
		"coupon policies":          couponPolicies,
		"idempotency key":          idempotencyKey,
		"double click":             doubleClick,
		"somebody else's":          somebodyElses,
		"refusals":                 refusals,
		"roles":                    roles,
		"prefer wait":              preferWait,
		"live timeline":            liveTimeline,
		"mails":                    mails,
		"preview":                  preview,
		"cart":                     cartOrdered,
	}
	t.Run("parts", func(t *testing.T) {
		for name, part := range parts {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				part(t, s)
			})
		}
	})
	t.Run("seen by a subscriber", func(t *testing.T) { subscriber(t, s) })
	t.Run("by the declared choreography", func(t *testing.T) { conforms(t, s) })
}

// seedBody is the request of the API's description, as it stands there.
const seedBody = `{
  "userId": "test1234",
  "items": [ { "productId": "PRD_240701120000001_0001_101", "quantity": 1, "productPrice": 10050 } ],
  "discountPolicyId": null, "discountAmount": null, "deliveryFee": 0,
  "paymentAmount": 10050, "paymentType": "CREDIT"
}`

func seedOrder(t *testing.T, s *shop) {
	c := s.member(t, local.Customer)
	begin := time.Now()
	res := c.post([]byte(seedBody), nil)
	if res.Status != http.StatusAccepted {
		t.Fatal(res.Problem())
	}
	placed := decode[order](t, res.Body)
	if got, want := res.Header.Get("Location"), "/api/v1/orders/"+placed.OrderID; got != want {
		t.Errorf("Location is %q, want %q", got, want)
	}
	if placed.Status != "PENDING" || placed.Progress != "STOCK" {
		t.Errorf("the order is answered as %s, waiting for %s", placed.Status, placed.Progress)
	}
	o := c.settled(placed.OrderID)
	took := time.Since(begin)
	if o.Status != "COMPLETED" || took > 5*time.Second {
		t.Errorf("%s after %s, want COMPLETED within 5 s", o.Status, took)
	}
	t.Logf("COMPLETED after %s", took.Round(time.Millisecond))
	if m := s.money(t, o.OrderID); m.Charged != 10_050 || m.Charges != 1 || m.Refunded != 0 {
		t.Errorf("the provider's books say %+v", m)
	}
	c.until(o.OrderID, func(o order) bool { return o.Shipment != nil })
	want := []string{
		"OrderCreated", "StockDecreased<-OrderCreated", "PaymentCompleted<-StockDecreased",
		"OrderCompleted<-PaymentCompleted", "ShipmentPrepared<-OrderCompleted",
	}
	events := c.timeline(o.OrderID)
	if diff := cmp.Diff(want, story(events)); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	if slices.ContainsFunc(events, func(e event) bool { return e.Ignored != nil || e.Summary == "" }) {
		t.Errorf("an event is ignored or says nothing: %+v", events)
	}
}
