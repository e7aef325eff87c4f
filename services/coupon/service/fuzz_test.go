package service

import (
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// FuzzPolicy: a policy that is taken discounts no more than the items cost and nothing below zero, whatever they cost.
func FuzzPolicy(f *testing.F) {
	for _, body := range []string{
		`{"policyId":"P","name":"N","discount":{"amount":3000},"minimumAmount":100,"currency":"KRW","limit":1,"validFrom":"2026-01-01T00:00:00Z","validUntil":"2036-01-01T00:00:00Z","reason":"r"}`,
		`{"policyId":"P","name":"N","discount":{"percent":10,"maxAmount":500},"limit":1}`, `{"policyId":"P","name":"N","discount":{"percent":100},"limit":1}`,
		`{"policyId":"P","name":"N","discount":{"percent":101},"limit":1}`, `{"policyId":"P","name":"N","discount":{"amount":1000000000000},"limit":1000000000000}`,
		`{"policyId":"P","name":"N","discount":{"amount":1,"percent":1},"limit":0}`, `{"policyId":"P/Q","name":" ","discount":{},"limit":-1}`,
		`{"policyId":"P","name":"N","discount":{"amount":1},"limit":1,"validFrom":"2036-01-01T00:00:00Z","validUntil":"2026-01-01T00:00:00Z"}`,
		`{"policyId":"P","name":"N","discount":{"amount":1},"limit":1,"validFrom":"0000-01-01T00:00:00Z"}`, `{}`,
	} {
		f.Add([]byte(body), int64(10_050))
		f.Add([]byte(body), int64(1)<<62)
	}
	f.Fuzz(func(t *testing.T, body []byte, cost int64) {
		var r policyRequest
		if cost < 0 || rig.Refused(t, rig.Decode(body, &r)) {
			return
		}
		command, err := r.command("KRW")
		if rig.Refused(t, err) {
			return
		}
		var w coupon.World
		if reply := flowtest.Decide(t, coupon.Topology, &w, command).Reply; reply.Refusal != nil {
			rig.Refused(t, reply.Refusal)
			return
		}
		issue := coupon.Issue{PolicyID: command.PolicyID, UserID: "m", CouponID: "c"}
		for range 2 { // a second one is the first one's coupon
			if reply := flowtest.Decide(t, coupon.Topology, &w, issue).Reply; reply.Refusal != nil {
				rig.Refused(t, reply.Refusal)
				return
			}
		}
		if p, _ := w.Policies.Get(command.PolicyID); p.Issued != 1 || p.Issued > p.Limit || strings.ContainsAny(p.PolicyID, "/ \x00") {
			t.Fatalf("a policy of %+v", p)
		}
		checkout := &orderv1.Checkout{CouponRefs: []string{command.PolicyID}, ItemsAmount: cost, Currency: "KRW"}
		discount, reason := coupon.Quote(&w, "m", checkout, flowtest.Now.Add(time.Second))
		if discount < 0 || discount > cost || reason != 0 && discount != 0 {
			t.Fatalf("%s is worth %d of %d, %s", body, discount, cost, reason)
		}
	})
}

// FuzzQuote: references that are taken are texts that can be asked for.
func FuzzQuote(f *testing.F) {
	f.Add([]byte(`{"userId":"m","couponRefs":["W"],"itemsAmount":1,"currency":"KRW"}`))
	f.Add([]byte(`{"couponRefs":[""],"itemsAmount":-1,"currency":"won"}`))
	f.Add([]byte(`{"couponRefs":null,"itemsAmount":9223372036854775807,"currency":"KRW"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r quoteRequest
		if rig.Refused(t, rig.Decode(body, &r)) || rig.Refused(t, r.check()) {
			return
		}
		if *r.ItemsAmount < 0 || len(*r.Currency) != 3 || len(r.CouponRefs) > 100 {
			t.Fatalf("taken: %s", body)
		}
		for _, ref := range r.CouponRefs {
			if ref == "" || strings.ContainsRune(ref, 0) {
				t.Fatalf("a reference of %q", ref)
			}
		}
	})
}
