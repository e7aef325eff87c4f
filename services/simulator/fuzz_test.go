package simulator_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/quadrille-io/quadrille/services/simulator/carrier"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// FuzzOutside: the simulated provider and carrier answer whatever they are sent in JSON, never with a failure of their
// own, and the same request under the same key with the same answer.
func FuzzOutside(f *testing.F) {
	for _, call := range [][3]string{
		{"POST", "/v1/charges", `{"amount":1,"currency":"KRW","token":"tok_ok","reference":"o"}`},
		{"POST", "/v1/charges", `{"amount":-1,"currency":"KRW","token":"tok_decline"}`},
		{"POST", "/v1/charges", `{"amount":1}{}`},
		{"POST", "/v1/refunds", `{"chargeId":"c","amount":9223372036854775807,"currency":"KRW"}`},
		{"POST", "/v1/voids", `{"key":"k"}`},
		{"GET", "/v1/charges?since=x&limit=1", ""},
		{"GET", "/v1/charges/by-key/%00", ""},
		{"GET", "/v1/summary?reference=a", ""},
		{"POST", "/v1/bookings", `{"reference":"o","address":{"name":"n","phone":"1","line1":"l","city":"c","postalCode":"00000","country":"KR"},"items":[{"productId":"p","name":"P","quantity":1}]}`},
		{"POST", "/v1/bookings/x/cancel", ""},
		{"POST", "/v1/bookings/x/advance", `{"to":"lost"}`},
		{"GET", "/v1/bookings?limit=0", ""},
		{"POST", "/faults", `{"mode":"x"}`},
	} {
		f.Add(call[0], call[1], "key", []byte(call[2]))
	}
	f.Add("POST", "/v1/charges", "", []byte("null"))
	pay, err1 := payment.New(payment.Config{Dir: f.TempDir(), SlowDelay: 1, HangTime: 1})
	post, err2 := carrier.New(carrier.Config{Dir: f.TempDir(), DispatchDelay: -1, HangTime: 1})
	if err1 != nil || err2 != nil {
		f.Fatal(err1, err2)
	}
	f.Cleanup(func() { _, _ = pay.Close(), post.Close() })
	handlers := []http.Handler{pay.Handler(), post.Handler()}
	f.Fuzz(func(t *testing.T, method, target, key string, body []byte) {
		if method != http.MethodGet && method != http.MethodPost || bytes.Contains(body, []byte("tok_")) && !bytes.Contains(body, []byte("tok_ok")) {
			return // those tokens hang or fail on purpose
		}
		for _, h := range handlers {
			var first string
			for again := range 2 {
				r, err := http.NewRequestWithContext(t.Context(), method, "http://outside.example"+target, bytes.NewReader(body))
				if err != nil || r.URL.Host != "outside.example" || r.URL.Path == "/faults" {
					return
				}
				r.Header.Set("Idempotency-Key", key)
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				kind := rec.Header().Get("Content-Type")
				if rec.Code >= 500 || kind == "application/json" && !json.Valid(rec.Body.Bytes()) {
					t.Fatalf("%s %s %q: answered %d %s", method, target, body, rec.Code, rec.Body)
				}
				if answer := rec.Body.String(); again == 0 {
					first = answer
				} else if method == http.MethodPost && answer != first {
					t.Fatalf("%s %q: answered %s, then %s", target, body, first, answer)
				}
			}
		}
	})
}
