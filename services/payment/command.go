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

// BalanceView is what a grant is answered with.
type BalanceView struct {
	UserID  string `json:"userId"`
	Balance int64  `json:"balance"`
}
