package payment

import (
	"fmt"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// MaxPoints is the most a member can have: far above any shop, far below an overflow.
const MaxPoints = 1_000_000_000_000

// takePoints reserves the payment's points; false: there are not enough.
func takePoints(w *World, p Payment, m flow.Meta) bool {
	if p.Points == 0 {
		return true
	}
	account, _ := w.Points.Get(p.UserID)
	if account.Balance < p.Points || p.Points < 0 {
		return false
	}
	account.UserID = p.UserID
	account.Balance -= p.Points
	w.Points.Put(p.UserID, account)
	w.Ledger.Put(LedgerKey(p.OrderID, EntryTaken), Entry{
		UserID: p.UserID, Kind: EntryTaken, OrderID: p.OrderID, Amount: -p.Points, At: m.Now,
	})
	return true
}

// returnPoints gives back what the payment holds, once: the row says 0 afterwards.
func returnPoints(w *World, p *Payment, m flow.Meta) {
	if p.Points == 0 {
		return
	}
	account, _ := w.Points.Get(p.UserID)
	account.UserID = p.UserID
	account.Balance += p.Points
	w.Points.Put(p.UserID, account)
	w.Ledger.Put(LedgerKey(p.OrderID, EntryReturn), Entry{
		UserID: p.UserID, Kind: EntryReturn, OrderID: p.OrderID, Amount: p.Points, At: m.Now,
	})
	p.Points = 0
}

// OnGrantPoints gives a member points, once per grant.
func OnGrantPoints(w *World, c GrantPoints, m flow.Meta) (flow.Reply, []flow.Event) {
	account, _ := w.Points.Get(c.UserID)
	if c.Amount < 1 || c.Amount > MaxPoints-account.Balance {
		return flow.Refuse(fault.Invalid(fault.FieldError{
			Pointer: "/amount", Code: fault.CodeInvalidField,
			Detail: fmt.Sprintf("must be at least 1, and a member can have no more than %d", int64(MaxPoints)),
		}))
	}
	if _, granted := w.Ledger.Get(GrantKey(c.GrantID)); !granted {
		account.UserID = c.UserID
		account.Balance += c.Amount
		w.Points.Put(c.UserID, account)
		w.Ledger.Put(GrantKey(c.GrantID), Entry{
			UserID: c.UserID, Kind: EntryGranted, GrantID: c.GrantID, Amount: c.Amount, At: m.Now,
		})
	}
	return flow.Reply{Status: 201, Body: BalanceView{UserID: c.UserID, Balance: account.Balance}}, nil
}

// OnRecount sets a member's balance to the sum of the ledger, which is never changed and so is right. A
// ledger that is below 0 is a person's to look at.
func OnRecount(w *World, c Recount, m flow.Meta) (flow.Reply, []flow.Event) {
	account, known := w.Points.Get(c.UserID)
	sum, entries := w.Sums.Get(c.UserID)
	for _, booked := range w.Ledger.Changed() {
		// What this batch has booked before was not there yet when the ledger was added up.
		if booked.New && booked.Row.UserID == c.UserID {
			sum += booked.Row.Amount
		}
	}
	switch {
	case !known && !entries:
		return flow.Refuse(fault.NotFound())
	case sum < 0:
		return flow.Refuse(fault.Conflict(fault.CodeConflict, "The ledger has more taken than there ever was."))
	}
	account.UserID, account.Balance = c.UserID, sum
	w.Points.Put(c.UserID, account)
	return flow.Reply{Status: 200, Body: BalanceView{UserID: c.UserID, Balance: sum}}, nil
}
