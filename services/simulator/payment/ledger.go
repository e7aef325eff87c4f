package payment

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/simulator/journal"
)

// The states of a charge.
const (
	Captured = "captured"
	Declined = "declined"
	Voided   = "voided"
	Pending  = "pending" // a transfer that nobody has paid
)

// The states of a refund.
const (
	Refunded = "refunded"
	Refused  = "refused"
)

var (
	errKeyReused = errors.New("the key was used with another body")
	errUnknown   = errors.New("not known here")
)

// Charge is what the provider knows of one idempotency key.
type Charge struct {
	Key       string `json:"key"`
	State     string `json:"state"`
	ChargeID  string `json:"chargeId,omitempty"` // of a captured one
	Reason    string `json:"reason,omitempty"`   // of a declined one
	Reference string `json:"reference,omitempty"`
	Token     string `json:"token,omitempty"`
	Amount    int64  `json:"amount,omitempty"` // minor units
	Currency  string `json:"currency,omitempty"`
	Refunded  int64  `json:"refunded,omitempty"` // minor units
	// Transfer: paid into Account, by the customer, at any time.
	Transfer  bool      `json:"transfer,omitempty"`
	Account   *Account  `json:"account,omitempty"`
	CreatedAt time.Time `json:"createdAt"` // of a captured one: when it was
}

// Account is where a transfer is paid into.
type Account struct {
	Bank   string    `json:"bank"`
	Number string    `json:"number"`
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

// Refund is what the provider knows of one refund's idempotency key.
type Refund struct {
	Key       string    `json:"key"`
	State     string    `json:"state"`
	RefundID  string    `json:"refundId,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	ChargeID  string    `json:"chargeId"`
	Amount    int64     `json:"amount"` // minor units
	Currency  string    `json:"currency,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

// entry is a journal line: one of the four.
type entry struct {
	Charge *Charge `json:"charge,omitempty"`
	Refund *Refund `json:"refund,omitempty"`
	// Webhook is to be sent, Told has been.
	Webhook *Webhook `json:"webhook,omitempty"`
	Told    string   `json:"told,omitempty"`
}

// ledger is the provider's book. Every decision is taken under mu and appended
// to the journal under mu; every answer waits for the journal outside it.
type ledger struct {
	journal *journal.Journal

	mu      sync.Mutex
	charges map[string]*Charge // by key
	byID    map[string]*Charge
	order   []*Charge // captured ones, in the order of their capture
	refunds map[string]*Refund
	moves   []Movement          // in the order of their making
	untold  map[string]*Webhook // by id
}

func openLedger(dir string) (*ledger, error) {
	l := &ledger{charges: map[string]*Charge{}, byID: map[string]*Charge{}, refunds: map[string]*Refund{}, untold: map[string]*Webhook{}}
	j, err := journal.Open(dir, l.replay)
	if err != nil {
		return nil, fmt.Errorf("open payment ledger: %w", err)
	}
	l.journal = j
	return l, nil
}

func (l *ledger) replay(line []byte) error {
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("decode ledger entry: %w", err)
	}
	l.apply(e)
	return nil
}

// apply changes the books; it must not decide anything, as replay runs it again.
func (l *ledger) apply(e entry) {
	if c := e.Charge; c != nil {
		l.charges[c.Key] = c
		if c.State == Captured {
			l.byID[c.ChargeID] = c
			l.order = append(l.order, c)
			l.moves = append(l.moves, Movement{
				Kind: "charge", ChargeID: c.ChargeID, Reference: c.Reference, Amount: c.Amount, Currency: c.Currency, At: c.CreatedAt,
			})
		}
	}
	if r := e.Refund; r != nil {
		l.refunds[r.Key] = r
		if r.State == Refunded {
			c := l.byID[r.ChargeID]
			c.Refunded += r.Amount
			l.moves = append(l.moves, Movement{
				Kind: "refund", ChargeID: c.ChargeID, Reference: c.Reference, Amount: r.Amount, Currency: c.Currency, At: r.CreatedAt,
			})
		}
	}
	if e.Webhook != nil {
		l.untold[e.Webhook.ID] = e.Webhook
	}
	delete(l.untold, e.Told)
}

// record applies and appends an entry; mu is held.
func (l *ledger) record(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode ledger entry: %w", err)
	}
	l.journal.Append(line)
	l.apply(e)
	return nil
}

// settle runs fn under the lock and returns when all it may have seen or
// written is on the disk.
func (l *ledger) settle(fn func() error) error {
	l.mu.Lock()
	err := fn()
	position := l.journal.End()
	l.mu.Unlock()
	if syncErr := l.journal.Sync(position); syncErr != nil {
		return fmt.Errorf("keep ledger: %w", syncErr)
	}
	return err
}

// charge decides a charge once per key: the first decision stands for every
// later request with the key. A voided key answers voided whatever the body.
// fresh says that this very request was the one that decided.
func (l *ledger) charge(ask Charge, decline string) (answer Charge, fresh bool, err error) {
	err = l.settle(func() error {
		if known, ok := l.charges[ask.Key]; ok {
			answer = *known
			return sameCharge(known, &ask)
		}
		ask.State, ask.Reason, ask.CreatedAt = Captured, decline, time.Now().UTC()
		switch {
		case decline != "":
			ask.State = Declined
		case ask.Transfer:
			ask.State, ask.Account = Pending, newAccount(ask.CreatedAt)
		default:
			ask.ChargeID = newChargeID()
		}
		answer, fresh = ask, true
		return l.record(entry{Charge: &ask})
	})
	return answer, fresh, err
}

// decided says whether the key has an answer, without waiting for the disk: it
// is not to be answered from.
func (l *ledger) decided(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.charges[key] != nil
}

func sameCharge(known, ask *Charge) error {
	if known.State == Voided || known.Amount == ask.Amount && known.Currency == ask.Currency &&
		known.Token == ask.Token && known.Reference == ask.Reference && known.Transfer == ask.Transfer {
		return nil
	}
	return errKeyReused
}

func newChargeID() string { return "ch_" + uuid.Must(uuid.NewV7()).String() }

// void closes a key nobody has used, or a transfer nobody has paid: from then on
// a charge with it, or a deposit, is refused.
// Against a charge that runs at the same time whoever takes the lock first
// wins, and both callers hear the same answer.
func (l *ledger) void(key string) (answer Charge, err error) {
	err = l.settle(func() error {
		if known, ok := l.charges[key]; ok && known.State != Pending {
			answer = *known
			return nil
		}
		answer = Charge{Key: key, State: Voided, CreatedAt: time.Now().UTC()}
		kept := answer
		return l.record(entry{Charge: &kept})
	})
	return answer, err
}

// refund decides a refund once per key.
func (l *ledger) refund(ask Refund) (answer Refund, err error) {
	err = l.settle(func() error {
		if known, ok := l.refunds[ask.Key]; ok {
			answer = *known
			if known.ChargeID != ask.ChargeID || known.Amount != ask.Amount || known.Currency != ask.Currency {
				return errKeyReused
			}
			return nil
		}
		ask.State, ask.CreatedAt = Refunded, time.Now().UTC()
		if ask.Reason = l.refusal(&ask); ask.Reason != "" {
			ask.State = Refused
		} else {
			ask.RefundID = "re_" + uuid.Must(uuid.NewV7()).String()
		}
		answer = ask
		return l.record(entry{Refund: &ask})
	})
	return answer, err
}

// refusal says why a refund is not possible, or "".
func (l *ledger) refusal(r *Refund) string {
	c, ok := l.byID[r.ChargeID]
	switch {
	case !ok:
		return "charge_not_found"
	case c.Token == TokenRefundRefused:
		return "refund_refused"
	case r.Currency != "" && r.Currency != c.Currency:
		return "currency_mismatch"
	case r.Amount > c.Amount-c.Refunded:
		return "amount_exceeds_charge"
	default:
		return ""
	}
}

// chargeByKey returns errUnknown for a key nobody has used.
func (l *ledger) chargeByKey(key string) (answer Charge, err error) {
	err = l.settle(func() error {
		known, ok := l.charges[key]
		if !ok {
			return errUnknown
		}
		answer = *known
		return nil
	})
	return answer, err
}

// refundByKey returns errUnknown for a key nobody has used.
func (l *ledger) refundByKey(key string) (answer Refund, err error) {
	err = l.settle(func() error {
		known, ok := l.refunds[key]
		if !ok {
			return errUnknown
		}
		answer = *known
		return nil
	})
	return answer, err
}

// captured lists up to limit captured charges made at since or later, oldest
// first, after the one with the given id (from the start if "").
func (l *ledger) captured(since time.Time, after string, limit int) (list []Charge, more bool, err error) {
	err = l.settle(func() error {
		skipping := after != ""
		for _, c := range l.order {
			if skipping {
				skipping = c.ChargeID != after
				continue
			}
			if c.CreatedAt.Before(since) {
				continue
			}
			if len(list) == limit {
				more = true
				return nil
			}
			list = append(list, *c)
		}
		return nil
	})
	return list, more, err
}
