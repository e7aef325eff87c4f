// Package provider is what payment needs from a card payment provider. Each
// provider has its adapter in a folder of its own.
//
// How a caller comes to a final answer, with one key for one attempt:
//
//	Charge → Outcome             final
//	Charge → ErrNotSent          charge again later, or give up: nothing happened
//	Charge → ErrUnknown          AskCharge:
//	    Captured, Declined, Voided    final
//	    NotFound                      charge again with the same key, or
//	                                  VoidCharge: its answer is final, Captured too
//	    any error                     ask again later
//	Charge → ErrRejected         no charge was made by this request; needs a person
//
// NotFound is not final by itself: a request may still be under way, or a
// paused worker may wake up and send it. After Voided it can do no harm.
package provider

import (
	"context"
	"errors"

	"github.com/quadrille-io/quadrille/pkg/remote"
)

// Errors of every call; test with errors.Is. An error that is neither does not
// occur: what cannot be told is ErrUnknown.
var (
	// ErrNotSent: surely not received (no connection, circuit breaker open, rate
	// limited).
	ErrNotSent = remote.ErrNotSent
	// ErrUnknown: sent, and what became of it is not known (time-out, cut
	// connection, 5xx, an answer nobody understands).
	ErrUnknown = remote.ErrUnknown
	// ErrRejected: the provider understood the request and refuses it as a
	// request: wrong credentials, a key used with another body, a wrong URL. It
	// had no effect, and making it again will not help: our mistake, not the
	// buyer's.
	ErrRejected = errors.New("rejected by the provider")
)

// State is what a provider knows of a charge.
type State string

// The states of a charge.
const (
	Captured State = "CAPTURED"
	Declined State = "DECLINED"
	NotFound State = "NOT_FOUND" // only from AskCharge; not final
	Voided   State = "VOIDED"    // no charge was made with this key and none ever will be
)

// RefundState is what a provider knows of a refund.
type RefundState string

// The states of a refund.
const (
	Refunded       RefundState = "REFUNDED"
	Refused        RefundState = "REFUSED"   // for good: a person must pay it back
	RefundNotFound RefundState = "NOT_FOUND" // only from AskRefund; refund again with the same key
)

// Provider is a card payment provider. Every call is made once (no repetition
// inside) and is bounded by the adapter's time-out.
type Provider interface {
	// Charge takes money, once per key: the same request again has the first
	// one's outcome.
	Charge(ctx context.Context, r ChargeRequest) (Outcome, error)
	// AskCharge says what became of a key.
	AskCharge(ctx context.Context, key string) (Outcome, error)
	// VoidCharge closes a key: afterwards it is Voided, or it was Captured or
	// Declined before and stays so.
	VoidCharge(ctx context.Context, key string) (Outcome, error)
	// Refund gives money back, once per key.
	Refund(ctx context.Context, r RefundRequest) (RefundOutcome, error)
	// AskRefund says what became of a refund's key.
	AskRefund(ctx context.Context, key string) (RefundOutcome, error)
}

// ChargeRequest asks for money.
type ChargeRequest struct {
	Key      string // idempotency key of the attempt
	OrderID  string
	Token    string // payment method, from the provider
	Amount   int64  // minor units, above 0
	Currency string // ISO 4217
}

// Outcome of a charge. ChargeID is set when Captured; Reason (the provider's
// own word, like card_declined) when Declined.
type Outcome struct {
	State    State
	ChargeID string
	Reason   string
}

// RefundRequest asks to give money back.
type RefundRequest struct {
	Key      string // idempotency key of the refund
	ChargeID string // of the captured charge
	Amount   int64  // minor units, above 0
	Currency string // ISO 4217
}

// RefundOutcome of a refund. RefundID is set when Refunded; Reason when Refused.
type RefundOutcome struct {
	State    RefundState
	RefundID string
	Reason   string
}
