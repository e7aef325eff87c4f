package payment

// GrantPoints is POST /ops/v1/points/grants: points are given to a member.
type GrantPoints struct {
	// GrantID is made at the edge (UUIDv7).
	GrantID string
	UserID  string
	// Amount of points, at least 1.
	Amount int64
	// Reason is for the audit.
	Reason string
}

// Subject is the member: grants of one member take turns.
func (c GrantPoints) Subject() string { return c.UserID }

// Recount is POST /ops/v1/points/recount: a member's balance is set to the sum of the ledger, which it
// ought to be.
type Recount struct{ UserID string }

// Subject is the member.
func (c Recount) Subject() string { return c.UserID }

// Notify is a provider's webhook, or the poll that stands in for a lost one: what the provider says of the
// order's charge now, asked of the provider and not read off the webhook.
type Notify struct {
	OrderID string
	// Outcome is Captured, Declined or KeyVoided: what is not final changes nothing and is not told.
	Outcome ChargeOutcome
	// ChargeID where Captured, Reason where Declined.
	ChargeID string
	Reason   string
}

// Subject is the order.
func (c Notify) Subject() string { return c.OrderID }

// NotifyRefund is the reconciliation's word that a refund which is open here has been made: the provider
// was asked for it again and says so.
type NotifyRefund struct{ OrderID string }

// Subject is the order.
func (c NotifyRefund) Subject() string { return c.OrderID }

// BalanceView is what a grant is answered with.
type BalanceView struct {
	UserID  string `json:"userId"`
	Balance int64  `json:"balance"`
}
