package simulator

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// spoken is a provider that always answers the same.
type spoken struct {
	status int
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (s spoken) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(s.body)), Request: r}, nil
}

// FuzzAnswer: money was taken or given back only where the provider says so with a number to prove it; that it knows
// nothing of a key, only in its own words; and a 5xx says nothing at all.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"state":"captured","chargeId":"c"}`, `{"state":"captured"}`, `{"state":"declined","reason":"r"}`, `{"state":"voided"}`, `{"state":"refunded","refundId":"r"}`, `{"state":"refunded"}`, `{"state":"refused","reason":"r"}`,
		`{"error":{"code":"charge_not_found"}}`, `{"error":{"code":"refund_not_found"}}`, `{"state":"CAPTURED","chargeId":"c"}`, `{"state":1}`, `<html>`, ``, `null`, `[]`, `{"state":"captured","chargeId":"c"}x`,
	} {
		for _, status := range []int{200, 302, 402, 404, 409, 429, 500} {
			f.Add(status, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		c, err := New(remote.Config{BaseURL: "http://provider.example", Transport: spoken{status, body}, OpenAfter: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		for name, ask := range map[string]func() (provider.Outcome, error){
			"charge": func() (provider.Outcome, error) {
				return c.Charge(t.Context(), provider.ChargeRequest{Key: "k", Amount: 1})
			},
			"ask":  func() (provider.Outcome, error) { return c.AskCharge(t.Context(), provider.ChargeRequest{Key: "k"}) },
			"void": func() (provider.Outcome, error) { return c.VoidCharge(t.Context(), provider.ChargeRequest{Key: "k"}) },
		} {
			out, err := ask()
			clear := status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
			switch {
			case err != nil:
				classified(t, name, err)
			case !clear, out.State == provider.Captured && out.ChargeID == "", out.State == provider.NotFound && status != http.StatusNotFound,
				out.State != provider.Captured && out.State != provider.Declined && out.State != provider.Voided && out.State != provider.NotFound:
				t.Fatalf("%s: %d %q is %+v", name, status, body, out)
			}
		}
		for name, ask := range map[string]func() (provider.RefundOutcome, error){
			"refund": func() (provider.RefundOutcome, error) {
				return c.Refund(t.Context(), provider.RefundRequest{Key: "k", Amount: 1})
			},
			"ask refund": func() (provider.RefundOutcome, error) {
				return c.AskRefund(t.Context(), provider.RefundRequest{Key: "k"})
			},
		} {
			out, err := ask()
			switch {
			case err != nil:
				classified(t, name, err)
			case status >= 500, out.State == provider.Refunded && out.RefundID == "", out.State == provider.RefundNotFound && status != http.StatusNotFound,
				out.State != provider.Refunded && out.State != provider.Refused && out.State != provider.RefundNotFound:
				t.Fatalf("%s: %d %q is %+v", name, status, body, out)
			}
		}
	})
}

func classified(t *testing.T, name string, err error) {
	t.Helper()
	if !errors.Is(err, provider.ErrNotSent) && !errors.Is(err, provider.ErrUnknown) && !errors.Is(err, provider.ErrRejected) {
		t.Fatalf("%s: %v is no class of failure", name, err)
	}
}
