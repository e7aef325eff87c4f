package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	api "github.com/stripe/stripe-go/v84"

	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// sentKey finds in a call's context whether one of its requests got hold of a
// connection.
type sentKey struct{}

func withSent(ctx context.Context) context.Context {
	return context.WithValue(ctx, sentKey{}, new(atomic.Bool))
}

// traced notes that a request may have been sent; see pkg/remote for why GotConn
// is the moment.
type traced struct{ next http.RoundTripper }

// unsent is the error of a request that surely did not arrive.
type unsent struct{ error }

// Unwrap gives the transport's own error.
func (u unsent) Unwrap() error { return u.error }

// RoundTrip implements http.RoundTripper.
func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	resp, err := t.next.RoundTrip(r.WithContext(ctx))
	if err != nil && !sent.Load() {
		return nil, unsent{err}
	}
	return resp, err
}

// classify says what an error of Stripe's library means for the request.
func classify(what string, err error) error {
	var said *api.Error
	if !errors.As(err, &said) {
		class := provider.ErrUnknown
		if errors.As(err, new(unsent)) {
			class = provider.ErrNotSent
		}
		return fmt.Errorf("%s: %w: %w", what, class, err)
	}
	class := provider.ErrRejected
	switch status := said.HTTPStatusCode; {
	case status == http.StatusTooManyRequests:
		class = provider.ErrNotSent
	case status >= 500, status == http.StatusConflict, status == http.StatusRequestTimeout, said.Type == api.ErrorTypeAPI:
		class = provider.ErrUnknown // 409: the same key is being worked on
	}
	// Not the message: it may quote what the buyer typed.
	return fmt.Errorf("%s: %w: answered %d %s %s", what, class, said.HTTPStatusCode, said.Type, said.Code)
}

// hopeless are refusals of the request that no other request of this order could
// avoid: the buyer's payment method or the order's amount is what is refused.
var hopeless = map[api.ErrorCode]bool{
	api.ErrorCodeResourceMissing: true, api.ErrorCodeAmountTooSmall: true, api.ErrorCodeAmountTooLarge: true,
	api.ErrorCodePaymentMethodUnexpectedState: true, api.ErrorCodePaymentMethodInvalidParameter: true,
}

// declined reads an error that answers a charge: a card that was declined is an
// outcome.
func declined(what string, err error) (provider.Outcome, error) {
	var said *api.Error
	if errors.As(err, &said) && (said.Type == api.ErrorTypeCard || said.HTTPStatusCode == http.StatusPaymentRequired ||
		said.HTTPStatusCode == http.StatusBadRequest && hopeless[said.Code]) {
		return provider.Outcome{State: provider.Declined, Reason: word(said)}, nil
	}
	return provider.Outcome{}, classify(what, err)
}

// word is Stripe's own for why a card was declined.
func word(e *api.Error) string {
	if e.DeclineCode != "" {
		return string(e.DeclineCode)
	}
	return string(e.Code)
}
