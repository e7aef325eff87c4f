package payment

// The kinds of outside call. Each is asked for at most once per order; the worker makes it again, under
// the same key, until it has an outcome.
const (
	CallCharge    = "charge"
	CallAskCharge = "ask_charge"
	CallVoid      = "void_charge"
	CallRefund    = "refund"
	CallAskRefund = "ask_refund"
)

// ChargeCall is the body of "charge". The caller answers Charged: Captured or Declined as the provider
// says, Unknown when the request was sent and its outcome is not known. Surely not sent is no answer:
// the call is made again.
type ChargeCall struct {
	// Key is the provider's idempotency key, safe in a path.
	Key     string `json:"key"`
	OrderID string `json:"orderId"`
	// Token of the payment method; "": the member's default one.
	Token    string `json:"token"`
	UserID   string `json:"userId"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	// Transfer: an account is opened that the buyer pays into; the outcome is then Pending.
	Transfer bool `json:"transfer,omitempty"`
}

// KeyCall is the body of "ask_charge" and "void_charge". The caller of ask_charge answers ChargeAsked:
// Captured, Declined, Voided, Pending or NotFound. The caller of void_charge closes the key at the provider and
// answers ChargeVoided: Voided, or what had become of the key before, Captured or Declined. Neither has
// an unknown outcome: the call is made again until the provider answers.
//
// Beside the key it has all that the charge was asked for with: there are providers that find a charge by
// its token or its order and not by its key.
type KeyCall struct {
	Key      string `json:"key"`
	OrderID  string `json:"orderId"`
	Token    string `json:"token,omitempty"`
	Amount   int64  `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
	Transfer bool   `json:"transfer,omitempty"`
}

// RefundCall is the body of "refund" and "ask_refund".
//
// The caller of refund answers Refunded: Done, Refused, or Unknown when it was sent and the outcome is
// not known. The caller of ask_refund asks about the key and answers RefundAsked with Done or Refused;
// where the provider does not know the key it refunds again, under that key, within the same call. So
// a refund is never sent a second time without having asked, and it is tried until it is settled.
type RefundCall struct {
	// Key is the refund's own idempotency key, safe in a path.
	Key      string `json:"key"`
	OrderID  string `json:"orderId"`
	ChargeID string `json:"chargeId"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// ChargeOutcome is what became of a charge.
type ChargeOutcome string

// Captured, Declined and KeyVoided are final. ChargeNotFound is not: a paused worker may still send. Nor is
// ChargePending, of a transfer: its account is open until it is paid or closed.
const (
	Captured        ChargeOutcome = "CAPTURED"
	Declined        ChargeOutcome = "DECLINED"
	KeyVoided       ChargeOutcome = "VOIDED"
	ChargePending   ChargeOutcome = "PENDING"
	ChargeNotFound  ChargeOutcome = "NOT_FOUND" // only in ChargeAsked
	ChargeIsUnknown ChargeOutcome = "UNKNOWN"   // only in Charged
)

// Charged is the outcome of "charge".
type Charged struct {
	OrderID string
	Outcome ChargeOutcome
	// ChargeID where Captured.
	ChargeID string
	// Reason where Declined: the provider's own code.
	Reason string
	// Account where Pending.
	Account Account
}

// Subject is the order.
func (a Charged) Subject() string { return a.OrderID }

// ChargeAsked is the outcome of "ask_charge".
type ChargeAsked struct {
	OrderID  string
	Outcome  ChargeOutcome
	ChargeID string
	Reason   string
	Account  Account
}

// Subject is the order.
func (a ChargeAsked) Subject() string { return a.OrderID }

// ChargeVoided is the outcome of "void_charge": the key is closed, or it had been used before.
type ChargeVoided struct {
	OrderID  string
	Outcome  ChargeOutcome
	ChargeID string
	Reason   string
	Account  Account
}

// Subject is the order.
func (a ChargeVoided) Subject() string { return a.OrderID }

// RefundOutcome is what became of a refund.
type RefundOutcome string

// RefundIsDone and RefundIsRefused are final.
const (
	RefundIsDone    RefundOutcome = "DONE"
	RefundIsRefused RefundOutcome = "REFUSED"
	RefundIsUnknown RefundOutcome = "UNKNOWN" // only in Refunded
)

// Refunded is the outcome of "refund".
type Refunded struct {
	OrderID string
	Outcome RefundOutcome
	// Reason where refused: the provider's own code.
	Reason string
}

// Subject is the order.
func (a Refunded) Subject() string { return a.OrderID }

// RefundAsked is the outcome of "ask_refund".
type RefundAsked struct {
	OrderID string
	Outcome RefundOutcome
	Reason  string
}

// Subject is the order.
func (a RefundAsked) Subject() string { return a.OrderID }
