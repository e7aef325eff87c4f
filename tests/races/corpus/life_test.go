package corpus_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// lives are the orders: completed and delivered, declined, cancelled and refunded, paid with coupon and points, for a
// mailbox that bounces, to where nobody delivers, to where the carrier does not answer.
func (w town) lives(t *testing.T) {
	t.Helper()
	var ends []func()
	order := func(member string, change map[string]any, end string, then func(c rest.Client, id string)) {
		body := basket(local.Product, 10_050)
		for name, value := range change {
			body[name] = value
		}
		c := w.client(t, member)
		id := place(t, c, body)
		ends = append(ends, func() {
			settled(t, c, id, end)
			if then != nil {
				then(c, id)
			}
		})
	}
	cancel := func(c rest.Client, id string) {
		if err := c.Post(t.Context(), "/api/v1/orders/"+id+"/cancel", map[string]string{"reason": "because of the finch"}, nil); err != nil {
			t.Error(err)
		}
		settled(t, c, id, "CANCELLED")
	}
	ops := w.client(t, local.Operator, web.RoleOperator)
	grant := local.Grant{UserID: "bird-a", Amount: 1_000, Reason: "the operator names a nuthatch"}
	if err := ops.Post(t.Context(), "/ops/v1/points/grants", grant, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.client(t, "bird-a").Post(t.Context(), "/api/v1/coupon-policies/"+local.Welcome+"/issue", nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"bird-a", "bird-b", "bird-d"} {
		order(member, nil, "COMPLETED", w.delivered(t))
		order(member, map[string]any{"paymentToken": "tok_k7f3_nobodys"}, "CANCELLED", nil)
		order(member, nil, "COMPLETED", cancel)
	}
	order("bird-a", map[string]any{"discountPolicyId": local.Welcome, "discountAmount": 3_000, "pointAmount": 1_000, "paymentAmount": 6_050}, "COMPLETED", cancel)
	order("bird-a", map[string]any{"paymentToken": "tok_unknown"}, "COMPLETED", nil)
	order("bird-c", nil, "CANCELLED", nil)
	for _, end := range ends {
		end()
	}
	w.mailed(t)
}

// delivered lets the carrier bring the parcel.
func (w town) delivered(t *testing.T) func(c rest.Client, id string) {
	return func(c rest.Client, id string) {
		var booking string
		testkit.Eventually(t, patience, func() error {
			list, err := w.Simulators.Carrier.Bookings(id)
			if err != nil || len(list) != 1 || list[0].BookingID == "" {
				return fmt.Errorf("the carrier has %d bookings: %w", len(list), err)
			}
			booking = list[0].BookingID
			return nil
		})
		advance := rest.Client{BaseURL: w.Simulators.CarrierURL}
		for _, to := range []string{"dispatched", "delivered"} {
			if err := advance.Post(t.Context(), "/v1/bookings/"+booking+"/advance", map[string]string{"to": to}, nil); err != nil {
				t.Error(err)
			}
		}
		settled(t, c, id, "DELIVERED")
	}
}

func settled(t *testing.T, c rest.Client, id, status string) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		var o struct {
			Status   string `json:"status"`
			Progress string `json:"progress"`
		}
		if err := c.Get(t.Context(), "/api/v1/orders/"+id, &o); err != nil {
			return err
		}
		// What is completed goes on by itself: the status is at least the one asked for.
		if line := []string{"COMPLETED", "SHIPPED", "DELIVERED"}; o.Status != status && (!slices.Contains(line, status) ||
			slices.Index(line, o.Status) < slices.Index(line, status)) {
			return fmt.Errorf("the order is %s at %s, waiting for %s", o.Status, o.Progress, status)
		}
		return nil
	})
}

// mailed waits until the member has been told of a delivery: the data is where it is needed.
func (w town) mailed(t *testing.T) {
	t.Helper()
	inbox := rest.Client{BaseURL: w.Simulators.InboxURL}
	testkit.Eventually(t, patience, func() error {
		got, err := inbox.Do(t.Context(), rest.Request{Method: http.MethodGet, Path: "/messages?limit=100&to=" + url.QueryEscape("canary-k7f3@feathers.example")})
		if err != nil {
			return err
		}
		if text := string(got.Body); strings.Count(text, `"messageId"`)+strings.Count(text, `"subject"`) < 4 || !strings.Contains(text, "Zephyrine Canaryfeather") {
			return fmt.Errorf("the inbox has %.300s", text)
		}
		return nil
	})
}

// rubbish says the canaries in every place of a request where a client might by mistake.
func (w town) rubbish(t *testing.T) {
	t.Helper()
	for canary := range canaries {
		escaped := url.QueryEscape(canary)
		for _, service := range local.Services() {
			for _, r := range []rest.Request{
				{Method: "GET", Path: "/" + url.PathEscape(canary)},
				{Method: "GET", Path: "/api/v1/products?query=" + escaped},
				{Method: "GET", Path: "/api/v1/orders/" + url.PathEscape(canary)},
				{Method: "GET", Path: "/api/v1/orders?startingAfter=" + escaped},
				{Method: "GET", Path: "/ops/v1/orders?query=" + escaped},
				{Method: "POST", Path: "/api/v1/orders", Body: map[string]any{canary: canary, "items": canary}},
				{Method: "POST", Path: "/api/v1/orders", Body: []byte(`{"` + canary)},
				{Method: "POST", Path: "/api/v1/orders/preview", Body: map[string]any{"paymentType": canary, "items": []any{map[string]any{"productId": canary, "quantity": 1}}}},
				{Method: "POST", Path: "/webhooks/shipping/simulator", Body: []byte(canary)},
				{Method: "POST", Path: "/webhooks/payments/simulator", Body: []byte(canary)},
				{Method: "POST", Path: "/webhooks/mail/bounces", Body: []byte(canary)},
				{Method: "POST", Path: "/api/v1/members", Body: map[string]any{"email": canary, "password": canary, canary: canary}},
				{Method: "POST", Path: "/api/v1/sessions", Body: map[string]any{"email": canary, "password": canary}},
				{Method: "PATCH", Path: "/api/v1/members/me/addresses/" + url.PathEscape(canary), Body: map[string]any{"phone": canary, "country": canary}},
				{Method: "PUT", Path: "/api/v1/cart/items/" + url.PathEscape(canary), Body: map[string]any{"quantity": canary}},
				{Method: "PATCH", Path: "/api/v1/orders/" + url.PathEscape(canary), Body: map[string]any{"shippingAddressId": canary}},
				{Method: "POST", Path: "/ops/v1/payments/reconciliations", Body: map[string]any{"day": canary, "reason": "the operator names a nuthatch"}},
				{Method: "POST", Path: "/ops/v1/failures/replay", Body: map[string]any{"filter": map[string]string{"subject": "none"}, "reason": "the operator names a nuthatch"}},
				{Method: "POST", Path: "/ops/v1/subscriptions/order/resume", Body: map[string]any{"reason": "the operator names a nuthatch"}},
			} {
				r.Header = map[string]string{"User-Agent": canary, "Referer": canary, "Baggage": "name=" + escaped, "Tracestate": "a=" + escaped, "X-Request-Id": canary + "@"}
				c := w.client(t, local.Operator, web.RoleOperator)
				c.BaseURL = w.URL(service)
				if _, err := c.Do(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// parks lets an event stand in an order's way that nobody can read, and an operator ask for its replay, with a reason.
func (w town) parks(t *testing.T) {
	t.Helper()
	id := place(t, w.client(t, "bird-a"), basket(local.Product, 10_050))
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	unreadable := &kgo.Record{
		Topic: w.cfg.TopicPrefix + "stock.v1", Key: []byte(id), Value: []byte("\xff"),
		Headers: []kgo.RecordHeader{{Key: "ce_type", Value: []byte("quadrille.stock.v1.StockDecreased")}},
	}
	if err := client.ProduceSync(t.Context(), unreadable).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ops := w.client(t, local.Operator, web.RoleOperator)
	testkit.Eventually(t, patience, func() error {
		var replayed struct {
			Data []struct {
				Service, Outcome string
			} `json:"data"`
		}
		err := ops.Post(t.Context(), "/ops/v1/failures/replay", map[string]any{
			"filter": map[string]string{"subject": id}, "reason": "the operator names a nuthatch",
		}, &replayed)
		if err != nil {
			return err
		}
		if len(replayed.Data) < 3 { // order, coupon and payment listen to stock
			return fmt.Errorf("parked: %+v", replayed.Data)
		}
		return nil
	})
}
