package payment

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/answer"
)

// accountOpenFor is how long the provider itself waits for a transfer.
const accountOpenFor = 24 * time.Hour

var errClosed = errors.New("the account is closed")

func newAccount(now time.Time) *Account {
	return &Account{
		Bank: "20", Number: fmt.Sprintf("X%013d", rand.Int64N(1e13)), Holder: "Quadrille", Until: now.Add(accountOpenFor),
	}
}

// Movement is one line of the provider's list of money that moved.
type Movement struct {
	Kind      string    `json:"kind"` // charge or refund
	ChargeID  string    `json:"chargeId"`
	Reference string    `json:"reference,omitempty"`
	Amount    int64     `json:"amount"` // minor units
	Currency  string    `json:"currency"`
	At        time.Time `json:"at"`
}

// Deposit pays a transfer, as the customer does. It fails where there is none
// under that key, or it is closed.
func (s *Server) Deposit(key string) (Charge, error) {
	charge, fresh, err := s.ledger.deposit(key)
	if err == nil && fresh {
		s.tell(charge)
	}
	return charge, err
}

// tell has the merchant told of a captured charge.
func (s *Server) tell(c Charge) {
	if s.herald != nil {
		s.herald.tell(c)
	}
}

func (s *Server) postDeposit(w http.ResponseWriter, r *http.Request) {
	charge, err := s.Deposit(r.PathValue("key"))
	if errors.Is(err, errClosed) {
		answer.Refuse(w, http.StatusConflict, "account_closed", err.Error())
		return
	}
	write(w, charge, err, "charge_not_found")
}

// deposit pays a pending transfer, once: against a void at the same time whoever
// takes the lock first wins.
func (l *ledger) deposit(key string) (paid Charge, fresh bool, err error) {
	err = l.settle(func() error {
		known, ok := l.charges[key]
		switch {
		case !ok || !known.Transfer && known.State != Voided:
			return errUnknown
		case known.State == Voided:
			return errClosed
		case known.State == Captured:
			paid = *known
			return nil
		}
		paid, fresh = *known, true
		paid.State, paid.ChargeID, paid.CreatedAt = Captured, newChargeID(), time.Now().UTC()
		kept := paid
		return l.record(entry{Charge: &kept})
	})
	return paid, fresh, err
}

// listMovements pages by position: lines are only ever added.
func (s *Server) listMovements(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, err1 := time.Parse(time.RFC3339, q.Get("from"))
	to, err2 := time.Parse(time.RFC3339, q.Get("to"))
	after, err3 := strconv.Atoi("0" + q.Get("after"))
	limit, err4 := strconv.Atoi(q.Get("limit"))
	if errors.Join(err1, err2, err3, err4) != nil || limit < 1 || limit > 1000 {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "from and to must be RFC 3339 times, limit 1 to 1000")
		return
	}
	page := struct {
		Data []Movement `json:"data"`
		Next string     `json:"next"`
	}{Data: []Movement{}}
	err := s.ledger.settle(func() error {
		for at := after; at < len(s.ledger.moves); at++ {
			m := s.ledger.moves[at]
			if m.At.Before(from) || !m.At.Before(to) {
				continue
			}
			if len(page.Data) == limit {
				page.Next = strconv.Itoa(at)
				return nil
			}
			page.Data = append(page.Data, m)
		}
		return nil
	})
	write(w, page, err, "")
}
