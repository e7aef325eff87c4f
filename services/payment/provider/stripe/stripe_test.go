package stripe_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	api "github.com/stripe/stripe-go/v84"

	"github.com/quadrille-io/quadrille/services/payment/provider"
	"github.com/quadrille-io/quadrille/services/payment/provider/stripe"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

func newOrder(token string) provider.ChargeRequest {
	return request(uuid.Must(uuid.NewV7()).String(), token)
}

func (s *shop) fault(f outage.Fault) {
	s.t.Helper()
	if err := s.fake.faults.Set(f); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) want(what string, got provider.Outcome, err error, state provider.State, reason string) {
	s.t.Helper()
	if err != nil || got.State != state || got.Reason != reason || (got.ChargeID != "") != (state == provider.Captured) {
		s.t.Errorf("%s: %+v, %v; want %s %q", what, got, err, state, reason)
	}
}

func (s *shop) charge(r provider.ChargeRequest, state provider.State, reason string) {
	s.t.Helper()
	got, err := s.Charge(s.t.Context(), r)
	s.want("charge", got, err, state, reason)
}

func (s *shop) ask(r provider.ChargeRequest, state provider.State, reason string) {
	s.t.Helper()
	got, err := s.AskCharge(s.t.Context(), r)
	s.want("ask", got, err, state, reason)
}

func (s *shop) void(r provider.ChargeRequest, state provider.State, reason string) {
	s.t.Helper()
	got, err := s.VoidCharge(s.t.Context(), r)
	s.want("void", got, err, state, reason)
}

func TestCharge(t *testing.T) {
	t.Parallel()
	s := open(t, 10*time.Second)
	good := newOrder("pm_card_visa")
	s.ask(good, provider.NotFound, "")
	s.charge(good, provider.Captured, "")
	s.charge(good, provider.Captured, "")
	s.ask(good, provider.Captured, "")
	s.void(good, provider.Captured, "")

	bad := newOrder("pm_declined")
	s.charge(bad, provider.Declined, "insufficient_funds")
	s.charge(bad, provider.Declined, "insufficient_funds")
	s.ask(bad, provider.Declined, "insufficient_funds")
	s.charge(newOrder("pm_missing"), provider.Declined, "resource_missing")

	s.charge(newOrder(""), provider.Declined, "payment_method_required")

	closed := newOrder("pm_card_visa")
	s.void(closed, provider.Voided, "")
	s.void(closed, provider.Voided, "")
	s.charge(closed, provider.Voided, "") // a paused worker
	s.ask(closed, provider.Voided, "")
	if s.fake.charged != 1 {
		t.Errorf("charged %d times, want once", s.fake.charged)
	}
}

// A key that Stripe has forgotten is found by its metadata, and is not made anew.
func TestForgottenKey(t *testing.T) {
	t.Parallel()
	s := open(t, 10*time.Second)
	old := request(aged(30*time.Hour), "pm_card_visa")
	s.ask(old, provider.NotFound, "")
	if n := len(s.fake.intents); n != 0 {
		t.Errorf("asking made %d PaymentIntents", n)
	}
	s.charge(old, provider.Captured, "")
	clear(s.fake.answers)
	s.ask(old, provider.Captured, "")
	s.void(old, provider.Captured, "")
	if n := len(s.fake.intents); n != 1 || s.fake.charged != 1 {
		t.Errorf("%d PaymentIntents, charged %d times", n, s.fake.charged)
	}
}

// Whichever answer is lost, with effect or without: asked for, the charge is found or can be closed, and is made once.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	s := open(t, 500*time.Millisecond)
	for _, applied := range []bool{true, false} {
		// The first request creates, the second one confirms.
		for percent, what := range map[int]string{100: "create", 50: "confirm"} {
			before := s.fake.charged
			r := newOrder("pm_card_visa")
			s.fault(outage.Fault{Mode: outage.Timeout, Applied: &applied, Percent: percent, DelayMS: 5000})
			if _, err := s.Charge(t.Context(), r); !errors.Is(err, provider.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%s, applied %v: %v", what, applied, err)
			}
			s.fault(outage.Fault{})
			if applied && what == "confirm" {
				s.ask(r, provider.Captured, "")
			} else {
				s.ask(r, provider.NotFound, "")
				s.void(r, provider.Voided, "")
				s.charge(r, provider.Voided, "")
				before--
			}
			if s.fake.charged != before+1 {
				t.Errorf("%s, applied %v: charged %d times", what, applied, s.fake.charged-before)
			}
		}
	}
}

// Closing and charging at once: one of the two wins, and both say so.
func TestVoidAgainstCharge(t *testing.T) {
	t.Parallel()
	s := open(t, 10*time.Second)
	for range 20 {
		r := newOrder("pm_card_visa")
		var charged, voided provider.Outcome
		var err1, err2 error
		var both sync.WaitGroup
		both.Go(func() { charged, err1 = s.Charge(t.Context(), r) })
		both.Go(func() { voided, err2 = s.VoidCharge(t.Context(), r) })
		both.Wait()
		if err1 != nil || err2 != nil || charged.State != voided.State {
			t.Fatalf("charge: %+v, %v; void: %+v, %v", charged, err1, voided, err2)
		}
	}
}

func TestWrongAmountIsNeverPaid(t *testing.T) {
	t.Parallel()
	s := open(t, 10*time.Second)
	s.fake.takes = 100
	if got, err := s.Charge(t.Context(), newOrder("pm_card_visa")); !errors.Is(err, provider.ErrRejected) {
		t.Errorf("another amount was taken for %+v, %v", got, err)
	}
	transfer := newOrder("")
	transfer.Method = provider.Transfer
	s.charge(transfer, provider.Declined, "unsupported_method")
}

func TestOutages(t *testing.T) {
	t.Parallel()
	s := open(t, 10*time.Second)
	for _, mode := range []outage.Mode{outage.Down, outage.Cut} {
		s.fault(outage.Fault{Mode: mode})
		if _, err := s.Charge(t.Context(), newOrder("pm_card_visa")); !errors.Is(err, provider.ErrUnknown) {
			t.Errorf("%s: %v", mode, err)
		}
	}
	nobody, err := stripe.New(stripe.Config{SecretKey: "sk_test_123", URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.Charge(t.Context(), newOrder("pm_card_visa")); !errors.Is(err, provider.ErrNotSent) || errors.Is(err, provider.ErrUnknown) {
		t.Errorf("nobody listens: %v, want ErrNotSent", err)
	}
	if _, err := stripe.New(stripe.Config{}); err == nil {
		t.Error("a client without a key")
	}
}

func TestRefund(t *testing.T) {
	t.Parallel()
	s := open(t, 10*time.Second)
	ask := func(key, charge string) provider.RefundRequest {
		return provider.RefundRequest{Key: key, ChargeID: charge, Amount: amount, Currency: "KRW"}
	}
	want := func(what string, got provider.RefundOutcome, err error, state provider.RefundState, reason string) {
		t.Helper()
		if err != nil || got.State != state || got.Reason != reason || (got.RefundID != "") != (state == provider.Refunded) {
			t.Errorf("%s: %+v, %v; want %s %q", what, got, err, state, reason)
		}
	}
	r := ask("refund-1", "pi_1")
	got, err := s.AskRefund(t.Context(), r)
	want("before", got, err, provider.RefundNotFound, "")
	for range 2 {
		got, err = s.Refund(t.Context(), r)
		want("refund", got, err, provider.Refunded, "")
	}
	got, err = s.AskRefund(t.Context(), r)
	want("asked", got, err, provider.Refunded, "")
	got, err = s.Refund(t.Context(), ask("another", "pi_1"))
	want("refunded by somebody else", got, err, provider.Refunded, "")
	much := ask("refund-2", "pi_2")
	much.Amount++
	got, err = s.Refund(t.Context(), much)
	want("too much", got, err, provider.Refused, "amount_too_large")
	s.fake.refundAs = "failed"
	got, err = s.Refund(t.Context(), ask("refund-3", "pi_3"))
	want("failed", got, err, provider.Refused, "lost_or_stolen_card")
	s.fake.refundAs = "pending"
	if got, err := s.Refund(t.Context(), ask("refund-4", "pi_4")); !errors.Is(err, provider.ErrUnknown) {
		t.Errorf("pending: %+v, %v; want ErrUnknown", got, err)
	}
}

// The list has every charge that was captured and every refund, over several pages.
func TestList(t *testing.T) {
	t.Parallel()
	s := open(t, time.Minute)
	orders := map[string]bool{}
	for range 150 {
		r := newOrder("pm_card_visa")
		s.charge(r, provider.Captured, "")
		orders[r.OrderID] = true
	}
	s.charge(newOrder("pm_declined"), provider.Declined, "insufficient_funds")
	if _, err := s.Refund(t.Context(), provider.RefundRequest{Key: "r", ChargeID: "pi_7", Amount: amount, Currency: "KRW"}); err != nil {
		t.Fatal(err)
	}
	refunds, pages := 0, 0
	for cursor := ""; pages == 0 || cursor != ""; pages++ {
		page, err := s.List(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour), cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Movements {
			if m.Amount != amount || m.Currency != "KRW" || m.ChargeID == "" {
				t.Errorf("%+v", m)
			}
			if m.Kind == provider.Returned {
				refunds++
				continue
			}
			delete(orders, m.OrderID)
		}
		cursor = page.Next
	}
	if len(orders) != 0 || refunds != 1 || pages != 3 {
		t.Errorf("%d orders are not listed, %d refunds are, on %d pages", len(orders), refunds, pages)
	}
}

// Only what Stripe has signed within five minutes either way is believed to be its own.
func TestWebhook(t *testing.T) {
	t.Parallel()
	s := open(t, time.Second)
	order := newOrder("").OrderID
	body := []byte(`{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"metadata":{"order_id":"` + order + `"}}}}`)
	now := time.Now()
	signed := func(at time.Time, secret string, payload []byte) http.Header {
		p := api.GenerateTestSignedPayload(&api.UnsignedPayload{Payload: payload, Secret: secret, Timestamp: at})
		return http.Header{"Stripe-Signature": {p.Header}}
	}
	for _, at := range []time.Time{now, now.Add(-299 * time.Second), now.Add(298 * time.Second)} {
		got, err := s.VerifyWebhook(signed(at, webhookSecret, body), body, now)
		if err != nil || got.ID != "evt_1" || got.OrderID != order {
			t.Errorf("signed %s from now: %+v, %v", at.Sub(now), got, err)
		}
	}
	other := []byte(`{"id":"evt_2","type":"customer.created","data":{"object":{}}}`)
	if got, err := s.VerifyWebhook(signed(now, "whsec_old", other), other, now); err != nil || got.OrderID != "" {
		t.Errorf("about something else: %+v, %v", got, err)
	}
	good := signed(now, webhookSecret, body)
	twice := http.Header{"Stripe-Signature": {good["Stripe-Signature"][0], good["Stripe-Signature"][0]}}
	for what, c := range map[string]struct {
		header http.Header
		body   []byte
	}{
		"old":             {signed(now.Add(-301*time.Second), webhookSecret, body), body},
		"from the future": {signed(now.Add(302*time.Second), webhookSecret, body), body},
		"another secret":  {signed(now, "whsec_other", body), body},
		"another body":    {good, append([]byte{' '}, body...)},
		"unsigned":        {http.Header{}, body},
		"signed twice":    {twice, body},
		"without a time":  {http.Header{"Stripe-Signature": {"v1=00"}}, body},
		"no number":       {http.Header{"Stripe-Signature": {"t=-1,v1=00"}}, body},
	} {
		if got, err := s.VerifyWebhook(c.header, c.body, now); !errors.Is(err, provider.ErrSignature) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}
