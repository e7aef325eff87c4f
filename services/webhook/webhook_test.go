package webhook_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/webhook"
)

var (
	at    = time.Date(2026, 11, 21, 12, 0, 0, 31e6, time.UTC)
	meta  = flow.Meta{Now: at}
	rules = webhook.Rules{MaxEndpoints: 3, GiveUpAfter: 72 * time.Hour, Retention: 720 * time.Hour}
)

func record(t *testing.T, m proto.Message) flow.Record {
	t.Helper()
	payload, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return flow.Record{
		ID: "0199a1b2-0000-7000-8000-000000000001", Type: string(m.ProtoReflect().Descriptor().FullName()),
		SubjectID: "order-1", Time: at, Payload: payload,
	}
}

// What a receiver sees of an event: all of its fields in the API's spelling, and no token that could be paid with.
func TestBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event proto.Message
		want  string
	}{
		{&orderv1.OrderCreated{
			OrderId: "order-1", UserId: "kim", TotalAmount: 10050, CreatedAt: timestamppb.New(at),
			OrderItems: []*orderv1.OrderItem{{ProductId: "p", ProductName: `Mug "큰" <1>`, Quantity: 1, ProductPrice: 10050}},
			Checkout: &orderv1.Checkout{
				ItemsAmount: 10050, PaymentAmount: 9_007_199_254_740_993, Currency: "KRW", PaymentType: orderv1.PaymentType_PAYMENT_TYPE_CREDIT,
				PaymentToken: "tok_secret", CouponRefs: []string{"WELCOME"}, CouponFailurePolicy: 77,
			},
		}, `{"type":"quadrille.order.v1.OrderCreated","timestamp":"2026-11-21T12:00:00.031Z","data":{"orderId":"order-1","userId":"kim",` +
			`"orderItems":[{"productId":"p","productName":"Mug \"큰\" \u003c1\u003e","quantity":1,"productPrice":10050}],"totalAmount":10050,` +
			`"createdAt":"2026-11-21T12:00:00.031Z","checkout":{"itemsAmount":10050,"discountAmount":0,"deliveryFee":0,"pointAmount":0,` +
			`"paymentAmount":9007199254740993,"currency":"KRW","paymentType":"CREDIT","couponRefs":["WELCOME"],"couponFailurePolicy":"77",` +
			`"shippingAddressId":"","deadlineAt":null}}}`},
		{
			&orderv1.OrderCancelled{OrderId: "order-1", Reason: orderv1.CancelReason_CANCEL_REASON_OUT_OF_STOCK, HasCoupons: true},
			`{"type":"quadrille.order.v1.OrderCancelled","timestamp":"2026-11-21T12:00:00.031Z","data":{"orderId":"order-1","userId":"",` +
				`"reason":"OUT_OF_STOCK","undoFrom":"UNSPECIFIED","hasCoupons":true,"cancelledAt":null}}`,
		},
	} {
		body, err := webhook.Body(record(t, c.event))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(body)); diff != "" {
			t.Errorf("%T (-want +got):\n%s", c.event, diff)
		}
	}
}

// Every event there is can be sent, has its subject's id first, and is the same bytes every time.
func TestEveryTypeHasABody(t *testing.T) {
	t.Parallel()
	types := webhook.Types()
	for _, name := range []string{"quadrille.order.v1.OrderCompleted", "quadrille.stock.v1.ProductPriceChanged", "quadrille.shipping.v1.ShipmentDelivered"} {
		if !slices.Contains(types, name) {
			t.Errorf("%s is not a type", name)
		}
	}
	for _, name := range types {
		if strings.HasPrefix(name, "quadrille.member.") || strings.HasSuffix(name, ".OrderItem") || strings.HasSuffix(name, ".Checkout") || strings.HasSuffix(name, ".Shortage") {
			t.Errorf("%s is a type", name)
		}
		r := flow.Record{ID: "e", Type: name, SubjectID: "s", Time: at}
		first, err := webhook.Body(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, _ := webhook.Body(r)
		var body struct {
			Type string
			Data map[string]any
		}
		if err := json.Unmarshal(first, &body); err != nil || body.Type != name || string(again) != string(first) {
			t.Errorf("%s: %s: %v", name, first, err)
		}
		if body.Data["orderId"] == nil && body.Data["productId"] == nil {
			t.Errorf("%s says nothing of whom it is about: %s", name, first)
		}
	}
}

func world(endpoints ...webhook.Endpoint) *webhook.World {
	w := &webhook.World{Rules: rules, More: map[string]bool{}}
	for _, e := range endpoints {
		w.Endpoints.Loaded(e.ID, e)
	}
	return w
}

func TestOnFact(t *testing.T) {
	t.Parallel()
	completed := record(t, &orderv1.OrderCompleted{OrderId: "order-1"})
	w := world(
		webhook.Endpoint{ID: "a", State: webhook.Enabled, Events: []string{completed.Type}},
		webhook.Endpoint{ID: "b", State: webhook.Enabled, Events: []string{webhook.AllEvents}},
		webhook.Endpoint{ID: "c", State: webhook.Disabled, Events: []string{webhook.AllEvents}},
		webhook.Endpoint{ID: "d", State: webhook.Enabled, Events: []string{"quadrille.stock.v1.StockDecreased"}},
	)
	if events := webhook.OnFact(w, completed, meta); events != nil {
		t.Errorf("emitted %v", events)
	}
	var keys []string
	for key, d := range w.Deliveries.All() {
		keys = append(keys, key)
		if d.DueAt != at || d.GiveUpAt != at.Add(72*time.Hour) || d.Progress != webhook.Pending {
			t.Errorf("delivery %+v", d)
		}
	}
	if want := []string{"a/" + completed.ID, "b/" + completed.ID}; !slices.Equal(keys, want) || w.Facts.Len() != 1 {
		t.Errorf("deliveries %v of %d facts", keys, w.Facts.Len())
	}
	nobody := world(webhook.Endpoint{ID: "d", State: webhook.Enabled, Events: []string{"quadrille.stock.v1.StockDecreased"}})
	webhook.OnFact(nobody, completed, meta)
	if nobody.Facts.Len()+nobody.Deliveries.Len() != 0 {
		t.Error("recorded what nobody wants")
	}
}

// An event that somebody wants and this release cannot read is parked, not dropped; one that nobody wants is neither.
func TestUnknownEvents(t *testing.T) {
	t.Parallel()
	all := webhook.Endpoint{ID: "a", State: webhook.Enabled, Events: []string{webhook.AllEvents}}
	for name, r := range map[string]flow.Record{
		"unknown type":   {ID: "e", Type: "quadrille.order.v1.OrderForgotten", Time: at},
		"broken payload": {ID: "e", Type: "quadrille.order.v1.OrderCompleted", Time: at, Payload: []byte{0xff}},
	} {
		if _, err := webhook.Topology.Decide(world(all), flow.Input{Kind: flow.KindEvent, Subject: "s", Msg: r, Meta: meta}); err == nil {
			t.Errorf("%s was taken", name)
		}
		if _, err := webhook.Topology.Decide(world(), flow.Input{Kind: flow.KindEvent, Subject: "s", Msg: r, Meta: meta}); err != nil {
			t.Errorf("%s, wanted by nobody: %v", name, err)
		}
	}
}

// Only what an endpoint says it wants is recorded for it, and from when on that has no gap is kept with every change.
func TestOnUpdate(t *testing.T) {
	t.Parallel()
	before := at.Add(-time.Hour)
	base := webhook.Endpoint{
		ID: "a", URL: "https://a.example", Events: []string{"x"}, State: webhook.Enabled, SubscribedAt: before, FailingSince: before, CreatedAt: before,
	}
	off := base
	off.State, off.Reason, off.DisabledAt = webhook.Disabled, webhook.Failing, before
	text := func(s string) *string { return &s }
	flag := func(b bool) *bool { return &b }
	for name, c := range map[string]struct {
		from   webhook.Endpoint
		change webhook.Update
		want   func(*webhook.Endpoint)
	}{
		"nothing":     {base, webhook.Update{}, func(*webhook.Endpoint) {}},
		"description": {base, webhook.Update{Description: text("d")}, func(e *webhook.Endpoint) { e.Description = "d" }},
		"url":         {base, webhook.Update{URL: text("https://b.example")}, func(e *webhook.Endpoint) { e.URL, e.FailingSince = "https://b.example", time.Time{} }},
		"same url":    {base, webhook.Update{URL: text("https://a.example")}, func(*webhook.Endpoint) {}},
		"events":      {base, webhook.Update{Events: []string{"y"}}, func(e *webhook.Endpoint) { e.Events, e.SubscribedAt = []string{"y"}, at }},
		"same events": {base, webhook.Update{Events: []string{"x"}}, func(*webhook.Endpoint) {}},
		"disable":     {base, webhook.Update{Enabled: flag(false)}, func(e *webhook.Endpoint) { e.State, e.Reason, e.DisabledAt = webhook.Disabled, webhook.ByOperator, at }},
		"enable": {off, webhook.Update{Enabled: flag(true)}, func(e *webhook.Endpoint) {
			e.State, e.Reason, e.DisabledAt, e.FailingSince, e.SubscribedAt = webhook.Enabled, "", time.Time{}, time.Time{}, at
		}},
		"enabled again": {base, webhook.Update{Enabled: flag(true)}, func(*webhook.Endpoint) {}},
		"disable twice": {off, webhook.Update{Enabled: flag(false)}, func(*webhook.Endpoint) {}},
	} {
		w, want := world(c.from), c.from
		c.change.ID, want.UpdatedAt = "a", at
		c.want(&want)
		reply, _ := webhook.OnUpdate(w, c.change, meta)
		got, _ := w.Endpoints.Get("a")
		if diff := cmp.Diff(want, got); reply.Status != 200 || diff != "" {
			t.Errorf("%s: %d (-want +got):\n%s", name, reply.Status, diff)
		}
	}
}

// Commands about an endpoint that is not there are 404; what needs one that works is 409 while it is disabled.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	off := webhook.Endpoint{ID: "a", State: webhook.Disabled}
	for _, c := range []struct {
		command flow.Command
		status  int
	}{
		{webhook.Update{ID: "a"}, 200},
		{webhook.Rotate{ID: "a"}, 200},
		{webhook.Delete{ID: "a"}, 204},
		{webhook.Resend{ID: "a"}, 409},
		{webhook.Recover{ID: "a"}, 409},
		{webhook.Test{ID: "a"}, 409},
	} {
		for status, w := range map[int]*webhook.World{404: world(), c.status: world(off)} {
			out, err := webhook.Topology.Decide(w, flow.Input{Kind: flow.KindCommand, Subject: "a", Msg: c.command, Meta: meta})
			if err != nil || out.Reply.Status != status {
				t.Errorf("%T: %+v, %v, want %d", c.command, out.Reply, err, status)
			}
		}
	}
}

// What is being sent at the moment is not sent a second time beside it: a resend waits for the claim.
func TestResendWaitsForTheClaim(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claimed, due time.Time
	}{
		"nobody":     {time.Time{}, at},
		"until then": {at.Add(20 * time.Second), at.Add(20 * time.Second)},
		"is over":    {at.Add(-time.Second), at},
	} {
		w := world(webhook.Endpoint{ID: "a", State: webhook.Enabled})
		w.Facts.Loaded("e", webhook.Fact{EventID: "e"})
		w.Deliveries.Loaded("a/e", webhook.Delivery{EndpointID: "a", EventID: "e", Progress: webhook.GivenUp, ClaimedUntil: c.claimed})
		webhook.OnResend(w, webhook.Resend{ID: "a", EventID: "e"}, meta)
		if d, _ := w.Deliveries.Get("a/e"); d.DueAt != c.due || d.Progress != webhook.Pending || d.GiveUpAt != at.Add(72*time.Hour) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// A recovery takes what was given up since then, of this endpoint alone, and says when there may be something missing.
func TestOnRecover(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		subscribed, since time.Time
		queued            int
		complete          bool
		recorded          time.Time
	}{
		"all of it":           {at.Add(-5 * day), at.Add(-4 * day), 3, true, at.Add(-5 * day)},
		"since yesterday":     {at.Add(-5 * day), at.Add(-1 * day), 2, true, at.Add(-5 * day)},
		"before it was there": {at.Add(-2 * day), at.Add(-4 * day), 3, false, at.Add(-2 * day)},
		"before it was kept":  {at.Add(-90 * day), at.Add(-60 * day), 3, false, at.Add(-30 * day)},
	} {
		w := world(webhook.Endpoint{ID: "a", State: webhook.Enabled, SubscribedAt: c.subscribed})
		for i, d := range []webhook.Delivery{
			{EndpointID: "a", Progress: webhook.GivenUp, CreatedAt: at.Add(-3 * day)},
			{EndpointID: "a", Progress: webhook.GivenUp, CreatedAt: at.Add(-1 * day)},
			{EndpointID: "a", Progress: webhook.GivenUp, CreatedAt: at},
			{EndpointID: "a", Progress: webhook.Delivered, CreatedAt: at},
			{EndpointID: "b", Progress: webhook.GivenUp, CreatedAt: at},
		} {
			d.EventID = fmt.Sprint(i)
			w.Deliveries.Loaded(webhook.DeliveryKey(d.EndpointID, d.EventID), d)
		}
		reply, _ := webhook.OnRecover(w, webhook.Recover{ID: "a", Since: c.since}, meta)
		want := webhook.Recovered{Queued: c.queued, Complete: c.complete, RecordedSince: c.recorded}
		if diff := cmp.Diff(want, reply.Body); diff != "" || len(w.Deliveries.Changed()) != c.queued {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
