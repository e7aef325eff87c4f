// Package provider is what payment needs from a payment provider, for cards and
// for bank transfers. Each provider has its adapter in a folder of its own.
//
// How a caller comes to a final answer, with one key for one attempt:
//
//	Charge → Outcome             final
//	Charge → ErrNotSent          charge again later, or give up: nothing happened
//	Charge → ErrUnknown          AskCharge:
//	    Captured, Declined, Voided    final
//	    Pending                       a transfer that nobody has paid yet
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
	"net/http"
	"time"

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

// ErrSignature says that a webhook is not the provider's, or is too old or too new.
var ErrSignature = errors.New("webhook signature")

// State is what a provider knows of a charge.
type State string

// The states of a charge.
const (
	Captured State = "CAPTURED"
	Declined State = "DECLINED"
	NotFound State = "NOT_FOUND" // only from AskCharge; not final
	Voided   State = "VOIDED"    // no charge was made with this key and none ever will be
	Pending  State = "PENDING"   // a transfer: the account is open, and nobody has paid
)

// Method is how the buyer pays.
type Method string

// The methods. A transfer's charge opens an account that the buyer pays into
// within its own time: it is Pending until then, VoidCharge closes it.
const (
	Card     Method = "CARD"
	Transfer Method = "TRANSFER"
)

// RefundState is what a provider knows of a refund.
type RefundState string

// The states of a refund.
const (
	Refunded       RefundState = "REFUNDED"
	Refused        RefundState = "REFUSED"   // for good: a person must pay it back
	RefundNotFound RefundState = "NOT_FOUND" // only from AskRefund; refund again with the same key
)

// Provider is a payment provider. Every call has the effect of one request (no
// repetition inside that could charge or refund again) and is bounded by the
// adapter's time-out. A request that is asked about or closed is given whole, as
// it was made: providers find it by its key, its order or its token.
type Provider interface {
	// Name is its word in configuration and in the path of its webhooks.
	Name() string
	// Charge takes money, once per key: the same request again has the first
	// one's outcome.
	Charge(ctx context.Context, r ChargeRequest) (Outcome, error)
	// AskCharge says what became of a key.
	AskCharge(ctx context.Context, r ChargeRequest) (Outcome, error)
	// VoidCharge closes a key: afterwards it is Voided, or it was Captured or
	// Declined before and stays so.
	VoidCharge(ctx context.Context, r ChargeRequest) (Outcome, error)
	// Refund gives money back, once per key.
	Refund(ctx context.Context, r RefundRequest) (RefundOutcome, error)
	// AskRefund says what became of a refund's key.
	AskRefund(ctx context.Context, r RefundRequest) (RefundOutcome, error)
	// VerifyWebhook checks that a webhook is the provider's own, from its headers
	// and its body as it came, and reads which charge it is about. Its error is
	// ErrSignature, or says what is not understood.
	VerifyWebhook(header http.Header, body []byte, now time.Time) (Notice, error)
	// List returns a page of the money that moved from a moment (inclusive) to
	// another (exclusive), after the cursor of the page before ("": from the
	// start).
	List(ctx context.Context, from, to time.Time, cursor string) (Page, error)
}

// Notice is what a webhook is about. It is a hint: what became of the charge is
// asked with AskCharge.
type Notice struct {
	// ID of the webhook; the same when it is sent again.
	ID string
	// OrderID is ours; "" where the webhook is about something else and is to be
	// acknowledged.
	OrderID string
}

// Kind of a movement.
type Kind string

// The kinds of movements.
const (
	Charged  Kind = "CHARGE"
	Returned Kind = "REFUND"
)

// Movement is one line of a provider's list.
type Movement struct {
	Kind     Kind
	ChargeID string
	// OrderID as the provider was told; not every provider is told ours.
	OrderID  string
	Amount   int64 // minor units, above 0
	Currency string
	At       time.Time
}

// Page of movements. Next is "" on the last one.
type Page struct {
	Movements []Movement
	Next      string
}

// ChargeRequest asks for money.
type ChargeRequest struct {
	Key      string // idempotency key of the attempt
	OrderID  string
	Method   Method // "": Card
	Token    string // payment method, from the provider; "" for a transfer
	Amount   int64  // minor units, above 0
	Currency string // ISO 4217
}

// Outcome of a charge. ChargeID is set when Captured; Reason (the provider's
// own word, like card_declined) when Declined; Account when Pending.
type Outcome struct {
	State    State
	ChargeID string
	Reason   string
	Account  Account
}

// Account is where a transfer is to be paid into.
type Account struct {
	Bank   string // the provider's code of the bank
	Number string
	Holder string
	// Until is the last moment; zero where the provider names none.
	Until time.Time
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
