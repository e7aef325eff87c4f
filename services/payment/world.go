// Package payment decides over money: it takes points and card together, once per order, and gives both
// back. Everything here is a pure function of the World and one input; no clock, no I/O.
package payment

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change.
//
// What Load brings, per input: for everything about an order its Payments row and the Points row of its
// member (of the event's user_id where there is no payment yet, else of the payment's); for a GrantPoints
// the Points row and the Ledger row of GrantKey. Points are locked last, in key order. Ledger entries
// of orders need not be loaded: the Payments row says what was booked.
type World struct {
	flow.Calls
	// Payments by order id.
	Payments flow.Rows[string, Payment]
	// Points by user id: the balance, which is the sum of the member's ledger.
	Points flow.Rows[string, Points]
	// Sums of the ledger by user id; Load brings them for a Recount, once the balance is locked. Save leaves
	// them alone.
	Sums flow.Rows[string, int64]
	// Ledger by LedgerKey or GrantKey. Entries are only ever added.
	Ledger flow.Rows[string, Entry]
}

// State is where an order's payment stands.
type State string

// A payment is opened by its first trigger and never opened again. Cancelled is also the tombstone of an
// order whose undo came first.
const (
	// Charging: the call "charge" is under way.
	Charging State = "CHARGING"
	// Asking: its outcome is unknown, "ask_charge" is under way.
	Asking State = "ASKING"
	// Voiding: the provider does not know the key; "void_charge" closes it for good.
	Voiding State = "VOIDING"
	// Closing: the order was cancelled with a charge in flight; "void_charge" says what became of it.
	Closing State = "CLOSING"
	// Awaiting: a transfer's account is open, and nobody has paid into it yet.
	Awaiting  State = "AWAITING"
	Completed State = "COMPLETED"
	Failed    State = "FAILED"
	// Cancelled: PaymentCancelled is out; see Refund for the card's part.
	Cancelled State = "CANCELLED"
)

// Open says whether the provider may still have something to say of the charge.
func (s State) Open() bool {
	return s == Charging || s == Asking || s == Voiding || s == Closing || s == Awaiting
}

// Refund is where the refund of a cancelled payment's charge stands.
type Refund string

// A refund of 0 is not made at all: NoRefund.
const (
	NoRefund      Refund = "NONE"
	RefundPending Refund = "PENDING" // the call "refund" is under way
	RefundAsking  Refund = "ASKING"  // its outcome is unknown, "ask_refund" is under way
	RefundDone    Refund = "DONE"
	// RefundRefused: a person has to act.
	RefundRefused Refund = "REFUSED"
)

// Payment is what payment did for one order. There is one row per order, for ever. Amounts are in the
// minor unit of Currency.
type Payment struct {
	OrderID string
	// PaymentID is a UUIDv7; "" in a tombstone.
	PaymentID string
	UserID    string
	State     State
	Refund    Refund

	// Amount to charge, or charged; 0: no provider call.
	Amount int64
	// Points reserved, or taken; 0 again once they are given back.
	Points int64
	// Discount that was counted.
	Discount      int64
	CouponCounted bool
	HasCoupons    bool
	Currency      string
	// PaymentType is the name of the orderv1.PaymentType: PAYMENT_TYPE_CREDIT, PAYMENT_TYPE_POINT, PAYMENT_TYPE_TRANSFER.
	PaymentType string
	// ChargeID is the provider's, once captured.
	ChargeID string
	// Token of the payment method, as the order named it; there are providers that find a charge by it.
	Token string
	// Account that a transfer is paid into; zero for anything else.
	Account Account
	// FailReason is the stable word of PaymentFailed.
	FailReason string

	// OpenedBy is the event that triggered the attempt, CancelledBy the OrderCancelled that found it in
	// flight, CancelEvent the PaymentCancelled: the causes of what their waits emit.
	OpenedBy    string
	CancelledBy string
	CancelEvent string

	CreatedAt time.Time
	UpdatedAt time.Time
}

// Account is where a transfer is to be paid into. It is the shop's own, opened for one order.
type Account struct {
	// Bank is the provider's code of the bank.
	Bank   string `json:"bank"`
	Number string `json:"number"`
	Holder string `json:"holder"`
	// Until is when the provider closes it by itself, later than the order does; zero if it does not say.
	Until time.Time `json:"until"`
}

// Points is a member's points account.
type Points struct {
	UserID string
	// Balance is never negative.
	Balance int64
}

// EntryKind is what a ledger entry books.
type EntryKind string

// An order takes once and gives back once.
const (
	EntryTaken   EntryKind = "TAKEN"
	EntryReturn  EntryKind = "RETURNED"
	EntryGranted EntryKind = "GRANTED"
)

// Entry is one line of a member's points ledger. The table's unique key is (OrderID, Kind) for an
// order's entries and the grant's id for a grant.
type Entry struct {
	UserID string
	Kind   EntryKind
	// OrderID is "" for a grant, GrantID for an order's entry.
	OrderID string
	GrantID string
	// Amount is negative for what was taken.
	Amount int64
	At     time.Time
}

// LedgerKey is the key of an order's entry.
func LedgerKey(orderID string, kind EntryKind) string { return orderID + "/" + string(kind) }

// GrantKey is the key of a grant's entry.
func GrantKey(grantID string) string { return "grant/" + grantID }
