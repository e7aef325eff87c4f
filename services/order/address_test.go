package order

import (
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
)

// Every state, for the owner, somebody else and an order that is not there.
func TestChangeAddressPolicy(t *testing.T) {
	t.Parallel()
	const fixed, unknown, missing = "409 address_fixed", "422 unknown_address", "404 not_found"
	for _, c := range []struct {
		status                     Status
		another, same, alien, none string
	}{
		{Pending, "", "", unknown, missing},
		{Completed, fixed, "", fixed, missing},
		{Shipped, fixed, "", fixed, missing},
		{Delivered, fixed, "", fixed, missing},
		{Cancelling, fixed, "", fixed, missing},
		{Cancelled, fixed, "", fixed, missing},
	} {
		o := Order{OrderID: "o", UserID: "u", Status: c.status, AddressID: "home"}
		u := Member{UserID: "u", AddressIDs: []string{"home", "work"}}
		for _, ask := range []struct {
			who     Member
			exists  bool
			address string
			want    string
		}{
			{u, true, "work", c.another},
			{u, true, "home", c.same},
			{u, true, "elsewhere", c.alien},
			{u, false, "work", c.none},
			{Member{UserID: "v", AddressIDs: []string{"home", "work"}}, true, "work", missing},
			{Member{UserID: "v", AddressIDs: []string{"home"}}, true, "home", missing},
		} {
			got := ""
			if refusal := ChangeAddressPolicy(o, ask.exists, ask.who, ask.address); refusal != nil {
				got = refusal.Error()[len("refused with "):][:len(ask.want)]
			}
			if got != ask.want {
				t.Errorf("%s, %s to %s (exists: %t): %q, want %q", c.status, ask.who.UserID, ask.address, ask.exists, got, ask.want)
			}
		}
	}
}

// A changed address is the one that the completed order goes to; what came too late changes nothing.
func TestChangeAddress(t *testing.T) {
	t.Parallel()
	w := shop()
	flowtest.Decide(t, Topology, w, placeTwo())
	change := func(user, address string, want int) View {
		t.Helper()
		out := flowtest.Decide(t, Topology, w, ChangeAddress{OrderID: "o", UserID: user, AddressID: address})
		got := out.Reply.Status
		if out.Reply.Refusal != nil {
			got = out.Reply.Refusal.Status
		}
		if got != want || len(out.Events) > 0 {
			t.Errorf("%s to %s: %d, want %d; %v", user, address, got, want, out.Events)
		}
		v, _ := out.Reply.Body.(View)
		return v
	}
	change("nowhere", "work", 404)
	change("stranger", "work", 404)
	change("u", "elsewhere", 422)
	if v := change("u", "work", 200); v.ShippingAddressID != "work" || v.Version != 1 {
		t.Errorf("%+v", v)
	}
	out := flowtest.Decide(t, Topology, w, &paymentv1.PaymentCompleted{OrderId: "o", PaymentAmount: 2000, Currency: "KRW"})
	if got := flowtest.Event[*orderv1.OrderCompleted](t, out).GetShippingAddressId(); got != "work" {
		t.Errorf("it goes to %s", got)
	}
	change("u", "home", 409)
	change("u", "work", 200)
}
