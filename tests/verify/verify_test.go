package verify_test

import (
	"context"
	"strings"
	"testing"
)

// A day of orders of every kind leaves nothing behind, and verify says so; what does not agree it explains
// to a person; and what it could not read it never calls well.
func TestVerify(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	d := s.live(t)
	report := s.clean(t)
	if c := report.Checked; c.Orders != 11 || c.InFlight != 0 || c.Products != 3 || c.Policies != 1 || c.Coupons != 1 || c.Members != 3 {
		t.Errorf("checked %+v", c)
	}
	run := func(want int, args ...string) string {
		t.Helper()
		code, out, errors := s.quadrille(append([]string{"verify", "--wait", look.String()}, args...)...)
		if code != want {
			t.Errorf("verify %v ends with %d, want %d:\n%s%s", args, code, want, out, errors)
		}
		return out + errors
	}
	const well = "nothing lost, nothing twice, nobody stuck"
	if out := run(0); !strings.Contains(out, well) || !strings.Contains(out, "11 orders (0 of them under way), 3 products, 3 members") {
		t.Errorf("verify says:\n%s", out)
	}

	put := s.keep(t, "stock", "reservation", "order_id = '"+d.returned+"'")
	s.exec(t, "stock", `UPDATE reservation SET state = 'TAKEN' WHERE order_id = $1`, d.returned)
	out := run(1)
	for _, part := range []string{
		"stock_reservation  stock.reservation", "stock still holds 4 pieces of " + d.other, "which was cancelled (CUSTOMER)",
		"StockIncreased", "OrderCreated", // the timeline
		"repair:  quadrille repair resend " + d.returned + " CouponUseCancelled",
		"repair:  quadrille repair recount product " + d.other,
	} {
		if !strings.Contains(out, part) {
			t.Errorf("verify does not say %q:\n%s", part, out)
		}
	}
	if out := run(1, "--order", d.returned); !strings.Contains(out, "checked 1 orders") || strings.Contains(out, well) {
		t.Errorf("verify of that order says:\n%s", out)
	}
	if out := run(0, "--order", d.card); !strings.Contains(out, well) {
		t.Errorf("verify of another order says:\n%s", out)
	}
	put()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check(t, s.StopService(ctx, "coupon"))
	if out := run(2); strings.Contains(out, well) || !strings.Contains(out, "coupon: book queues: could not be read") {
		t.Errorf("with coupon away verify says:\n%s", out)
	}
	check(t, s.StartService(ctx, "coupon"))
	s.clean(t)
}

// Operators alone read books and mend.
func TestBooksAreTheOperators(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	customer := s.as(t, memberID(1))
	for _, path := range []string{"/ops/v1/books/order/orders", "/ops/v1/books/gateway/orders", "/ops/v1/books/payment/members"} {
		if err := customer.Get(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), "403 forbidden") {
			t.Errorf("a customer's GET %s: %v", path, err)
		}
		if err := s.ops.Get(t.Context(), path, nil); err != nil {
			t.Errorf("the operator's GET %s: %v", path, err)
		}
		behind := customer // the services do not hide behind the gateway
		behind.BaseURL = s.URL(strings.Split(path, "/")[4])
		if err := behind.Get(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), "403 forbidden") {
			t.Errorf("a customer's GET %s of the service itself: %v", path, err)
		}
	}
	for path, body := range map[string]fields{
		"/ops/v1/events/resend":                  {"subject": "x", "types": []string{"OrderCreated"}},
		"/ops/v1/products/P/recount":             {},
		"/ops/v1/coupon-policies/SPRING/recount": {},
		"/ops/v1/points/recount":                 {"userId": memberID(1), "reason": "test"},
	} {
		if err := customer.Post(t.Context(), path, body, nil); err == nil || !strings.Contains(err.Error(), "403 forbidden") {
			t.Errorf("a customer's POST %s: %v", path, err)
		}
		if err := s.ops.Post(t.Context(), path, body, nil); err == nil || !strings.Contains(err.Error(), "404 not_found") {
			t.Errorf("the operator's POST %s for what is not there: %v", path, err)
		}
	}
	for path, want := range map[string]string{
		"/ops/v1/books/nobody/orders":              "404",
		"/ops/v1/books/order/secrets":              "404",
		"/ops/v1/books/order/orders?limit=0":       "400",
		"/ops/v1/books/order/orders?limit=1001":    "400",
		"/ops/v1/books/order/orders?id=a%00b":      "400",
		"/ops/v1/books/stock/../../v1/audit":       "404",
		"/ops/v1/books/stock/..%2f..%2fv1%2faudit": "404",
	} {
		if err := s.ops.Get(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), want+" ") {
			t.Errorf("GET %s: %v, want %s", path, err, want)
		}
	}
}
