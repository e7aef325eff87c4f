package stripe_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"

	"github.com/quadrille-io/quadrille/services/payment/provider"
	"github.com/quadrille-io/quadrille/services/payment/provider/stripe"
)

// heard notes what was asked and how it was answered.
type heard struct {
	next http.RoundTripper
	mu   sync.Mutex
	said []string
}

// RoundTrip implements http.RoundTripper.
func (h *heard) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(r)
	if err == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		path := r.URL.Path
		if i := strings.Index(path, "/pi_"); i > 0 {
			path = path[:i] + "/{id}" + strings.TrimLeft(path[i+4:], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
		}
		h.said = append(h.said, r.Method+" "+path+" "+resp.Status[:3])
	}
	return resp, err
}

// Every request of the adapter is one that Stripe's published API takes: its own mock, which holds requests against the
// API's description, answers each with 200. The mock remembers nothing, so what the answers mean is shown elsewhere.
func TestRequestsAreStripes(t *testing.T) {
	t.Parallel()
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		t.Fatal(err)
	}
	stub, err := server.NewStubServer(fixtures, spec, false, false)
	if err != nil {
		t.Fatal(err)
	}
	mock := httptest.NewServer(http.HandlerFunc(stub.HandleRequest))
	defer mock.Close()
	log := &heard{next: http.DefaultTransport}
	c, err := stripe.New(stripe.Config{SecretKey: "sk_test_123", URL: mock.URL, Timeout: time.Minute, Transport: log})
	if err != nil {
		t.Fatal(err)
	}
	young := request(uuid.Must(uuid.NewV7()).String(), "pm_card_visa")
	old := request(aged(48*time.Hour), "pm_card_visa")
	refund := provider.RefundRequest{Key: "refund-1", ChargeID: "pi_123", Amount: 100, Currency: "KRW"}
	for _, call := range []func() error{
		func() error { _, err := c.Charge(t.Context(), young); return err },
		func() error { _, err := c.AskCharge(t.Context(), young); return err },
		func() error { _, err := c.AskCharge(t.Context(), old); return err },
		func() error { _, err := c.VoidCharge(t.Context(), young); return err },
		func() error { _, err := c.Refund(t.Context(), refund); return err },
		func() error { _, err := c.AskRefund(t.Context(), refund); return err },
		func() error { _, err := c.List(t.Context(), time.Now().Add(-time.Hour), time.Now(), ""); return err },
		func() error {
			_, err := c.List(t.Context(), time.Now().Add(-time.Hour), time.Now(), "refunds/")
			return err
		},
	} {
		// The fixtures are of other amounts than asked for, which the adapter must not take.
		if err := call(); errors.Is(err, provider.ErrNotSent) {
			t.Error(err)
		}
	}
	want := []string{
		"POST /v1/payment_intents", "POST /v1/payment_intents/{id}/confirm",
		"POST /v1/payment_intents", "GET /v1/payment_intents/{id}",
		"GET /v1/payment_intents/search", "GET /v1/payment_intents/{id}",
		"POST /v1/payment_intents", "GET /v1/payment_intents/{id}", "POST /v1/payment_intents/{id}/cancel",
		"POST /v1/refunds", "GET /v1/refunds", "GET /v1/charges", "GET /v1/refunds",
	}
	if got, want := strings.Join(log.said, "\n"), strings.Join(want, " 200\n")+" 200"; got != want {
		t.Errorf("asked and answered:\n%s\nwant:\n%s", got, want)
	}
}
