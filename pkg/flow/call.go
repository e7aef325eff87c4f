package flow

import "time"

// Call is a call outside that a decision asks for: a charge, a booking, a mail. It is written in
// the decision's transaction and made later by a worker, so that no transaction ever waits for a
// provider, and a crash at any point leaves a row that says what may have been sent.
//
// There is one call of a kind per subject, for ever: (subject, kind) is the primary key, and the
// provider's idempotency key is derived from it.
type Call struct {
	Subject string
	// Kind names the adapter, for example "charge".
	Kind string
	// Body is marshalled to JSON for the worker.
	Body any
	// After delays the first try.
	After time.Duration
}

// Calls is embedded in the World of a service that calls outside.
type Calls struct {
	asked     []Call
	withdrawn []Withdrawal
}

// Withdrawal takes back a call that nobody wants any more. A worker may have sent it already or be
// about to: withdrawing saves work, it proves nothing, so whoever withdraws a charge voids its key too.
type Withdrawal struct {
	Subject string
	Kind    string
}

// Call asks for a call outside.
func (c *Calls) Call(call Call) { c.asked = append(c.asked, call) }

// Withdraw takes back a pending call.
func (c *Calls) Withdraw(subject, kind string) {
	c.withdrawn = append(c.withdrawn, Withdrawal{Subject: subject, Kind: kind})
}

// take empties the list: what one decision asked for, or what a whole batch did.
func (c *Calls) take() ([]Call, []Withdrawal) {
	asked, withdrawn := c.asked, c.withdrawn
	c.asked, c.withdrawn = nil, nil
	return asked, withdrawn
}

// caller is a World that embeds Calls.
type caller interface {
	take() ([]Call, []Withdrawal)
}

// drop forgets what a World was asked for.
func drop(w any) {
	if c, ok := w.(caller); ok {
		c.take()
	}
}
