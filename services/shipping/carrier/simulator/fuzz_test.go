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
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
)

// spoken is a carrier that always answers the same.
type spoken struct {
	status int
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (s spoken) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(s.body)), Request: r}, nil
}

func hearing(t testing.TB, transport http.RoundTripper) *Client {
	t.Helper()
	c, err := New(Config{
		Remote:         remote.Config{BaseURL: "http://carrier.example", Transport: transport, OpenAfter: 1 << 30},
		WebhookSecrets: []string{"next", "secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// FuzzAnswer: of what a carrier answers only clear words are an outcome; what cannot be told is unknown, and is asked
// for. A 5xx is never an outcome, and a parcel that goes somewhere has a number to ask for it.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"state":"booked","bookingId":"b","trackingNumber":"t"}`, `{"state":"booked"}`, `{"state":"voided"}`, `{"state":"refused","reason":"r"}`, `{"state":"dispatched","bookingId":""}`,
		`{"error":{"code":"booking_not_found"}}`, `{"error":{"code":"x"}}`, `{"state":"BOOKED","bookingId":"b"}`, `{"state":1}`, `<html>`, ``, `null`, `[]`, `{"state":"lost","bookingId":"b"}{}`,
	} {
		for _, status := range []int{200, 302, 404, 409, 429, 500} {
			f.Add(status, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		c := hearing(t, spoken{status, body})
		for name, ask := range map[string]func() (carrier.Booking, error){
			"book": func() (carrier.Booking, error) {
				return c.Book(t.Context(), carrier.BookRequest{Key: "k", OrderID: "o"})
			},
			"ask":    func() (carrier.Booking, error) { return c.AskBooking(t.Context(), "k") },
			"void":   func() (carrier.Booking, error) { return c.VoidBooking(t.Context(), "k") },
			"cancel": func() (carrier.Booking, error) { return c.Cancel(t.Context(), "b") },
			"status": func() (carrier.Booking, error) { return c.Status(t.Context(), "b") },
		} {
			b, err := ask()
			if err != nil {
				if !errors.Is(err, carrier.ErrNotSent) && !errors.Is(err, carrier.ErrUnknown) && !errors.Is(err, carrier.ErrRejected) {
					t.Fatalf("%s: %v is no class of failure", name, err)
				}
				continue
			}
			said := strings.Contains(strings.ToLower(string(body)), strings.ToLower(string(b.State))) || b.State == carrier.NotFound && status == http.StatusNotFound || bytes.ContainsRune(body, '\\')
			if status >= 500 || status == 429 || status == 408 || !said {
				t.Fatalf("%s: %d %q is %+v", name, status, body, b)
			}
			if b.BookingID == "" && b.State != carrier.NotFound && b.State != carrier.Voided && b.State != carrier.Refused {
				t.Fatalf("%s: %d %q is %s without the number of a booking", name, status, body, b.State)
			}
		}
	})
}

// FuzzWebhook: only who has a secret is believed, only within the tolerance, and only what is understood.
func FuzzWebhook(f *testing.F) {
	const body = `{"id":"w","bookingId":"b","reference":"o","status":"dispatched","occurredAt":"2026-01-01T00:00:00Z"}`
	for _, status := range []string{"booked", "delivered", "lost", "", "DISPATCHED"} {
		f.Add("1767225600", "v1=00", []byte(strings.Replace(body, "dispatched", status, 1)))
	}
	f.Add("1767225600", "v1="+strings.Repeat("0", 64), []byte(body))
	f.Add("1767225300", "v0=a,v1=b", []byte(body))
	f.Add("1767225901", "", []byte(body))
	f.Add("+1767225600", "v1", []byte(`{"id":1}`))
	f.Add("99999999999999999999", ",,,", []byte(`{}`))
	f.Add("", "v1=zz", []byte(nil))
	now := time.Unix(1767225600, 0)
	f.Fuzz(func(t *testing.T, timestamp, signature string, body []byte) {
		c := hearing(t, spoken{})
		header := http.Header{headerTimestamp: {timestamp}, headerSignature: {signature}}
		if e, err := c.VerifyWebhook(header, body, now); err == nil || !errors.Is(err, carrier.ErrSignature) {
			t.Fatalf("believed without a secret: %+v %v", e, err)
		}
		mac := hmac.New(sha256.New, []byte("secret"))
		mac.Write([]byte(timestamp + "."))
		mac.Write(body)
		header.Set(headerSignature, signature+",v1="+hex.EncodeToString(mac.Sum(nil)))
		e, err := c.VerifyWebhook(header, body, now)
		seconds, bad := strconv.ParseInt(timestamp, 10, 64)
		intime := bad == nil && seconds >= now.Unix()-300 && seconds <= now.Unix()+300
		switch {
		case err == nil && (!intime || !json.Valid(body) || e.ID == "" || e.BookingID == "" || !e.State.OnItsWay()):
			t.Fatalf("%q %q is believed as %+v", timestamp, body, e)
		case errors.Is(err, carrier.ErrSignature) && intime && strings.Trim(timestamp, "0123456789") == "" && len(timestamp) <= 12:
			t.Fatalf("a good signature is refused: %v", err)
		}
		header.Set(headerTimestamp, timestamp+"0")
		if e, err := c.VerifyWebhook(header, body, now); err == nil {
			t.Fatalf("believed at another time: %+v", e)
		}
	})
}
