package toss_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// Errors behind which the charge may have been made, or still be, are no outcome.
func TestUnclearAnswers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]error{
		`400 {"code":"PROVIDER_ERROR"}`:                provider.ErrUnknown,
		`409 {"code":"IDEMPOTENT_REQUEST_PROCESSING"}`: provider.ErrUnknown,
		`400 {}`:                           provider.ErrUnknown,
		`500 {"code":"REJECT_CARD"}`:       provider.ErrUnknown,
		`429 {}`:                           provider.ErrNotSent,
		`200 <html>`:                       provider.ErrUnknown,
		`200 {"status":"SOMETHING_NEW"}`:   provider.ErrUnknown,
		`403 {"code":"FORBIDDEN_REQUEST"}`: provider.ErrRejected,
		`200 {"status":"DONE","currency":"KRW","totalAmount":15000.5,"paymentKey":"p"}`: provider.ErrUnknown,
		`200 {"status":"DONE","currency":"KRW","totalAmount":14000,"paymentKey":"p"}`:   provider.ErrRejected,
		`200 {"status":"DONE","currency":"USD","totalAmount":15000,"paymentKey":"p"}`:   provider.ErrRejected,
		`200 {"status":"PARTIAL_CANCELED"}`:                                             provider.ErrRejected,
		`200 {"status":"DONE","currency":"KRW","totalAmount":15000.0,"paymentKey":"p"}`: nil,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var status int
			_, _ = fmt.Sscan(body, &status)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body[4:]))
		}))
		r := provider.ChargeRequest{Key: "k", OrderID: uuid.NewString(), Token: "p:w12345", Amount: amount, Currency: "KRW"}
		if _, err := client(t, server.URL, secretKey, 5*time.Second).Charge(t.Context(), r); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
		server.Close()
	}
}
