package simulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

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

// FuzzWebhook: only who has a secret is believed, only within the tolerance, and only what is understood.
func FuzzWebhook(f *testing.F) {
	const body = `{"id":"w","type":"charge.captured","key":"k","chargeId":"c","reference":"o","createdAt":"2026-01-01T00:00:00Z"}`
	f.Add("1767225600", "v1=00", []byte(body))
	f.Add("1767225600", "v1="+strings.Repeat("0", 64), []byte(strings.Replace(body, `"o"`, `""`, 1)))
	f.Add("1767225300", "v0=a,v1=b", []byte(body))
	f.Add("1767225901", "", []byte(body))
	f.Add("+1767225600", "v1", []byte(`{"id":1}`))
	f.Add("99999999999999999999", ",,,", []byte(`{}`))
	f.Add("", "v1=zz", []byte(nil))
	now := time.Unix(1767225600, 0)
	c, err := New(remote.Config{BaseURL: "http://provider.example", Transport: spoken{}}, "next", "secret")
	if err != nil {
		f.Fatal(err)
	}
	deaf, err := New(remote.Config{BaseURL: "http://provider.example", Transport: spoken{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, timestamp, signature string, body []byte) {
		header := http.Header{headerTimestamp: {timestamp}, headerSignature: {signature}}
		if n, err := c.VerifyWebhook(header, body, now); err == nil || !errors.Is(err, provider.ErrSignature) {
			t.Fatalf("believed without a secret: %+v %v", n, err)
		}
		mac := hmac.New(sha256.New, []byte("secret"))
		mac.Write([]byte(timestamp + "."))
		mac.Write(body)
		header.Set(headerSignature, signature+",v1="+hex.EncodeToString(mac.Sum(nil)))
		if n, err := deaf.VerifyWebhook(header, body, now); !errors.Is(err, provider.ErrSignature) {
			t.Fatalf("believed by who has no secret: %+v %v", n, err)
		}
		n, err := c.VerifyWebhook(header, body, now)
		seconds, bad := strconv.ParseInt(timestamp, 10, 64)
		intime := bad == nil && seconds >= now.Unix()-300 && seconds <= now.Unix()+300
		switch {
		case err == nil && (!intime || !json.Valid(body) || n.ID == "" || n.OrderID == ""):
			t.Fatalf("%q %q is believed as %+v", timestamp, body, n)
		case errors.Is(err, provider.ErrSignature) && intime && strings.Trim(timestamp, "0123456789") == "" && len(timestamp) <= 12:
			t.Fatalf("a good signature is refused: %v", err)
		}
		header.Set(headerTimestamp, timestamp+"0")
		if n, err := c.VerifyWebhook(header, body, now); err == nil {
			t.Fatalf("believed at another time: %+v", n)
		}
	})
}
