package carrier

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/simulator/journal"
)

// The states of a booking.
const (
	Booked     = "booked"
	Refused    = "refused"
	Voided     = "voided"
	Cancelled  = "cancelled"
	Dispatched = "dispatched"
	InVan      = "out_for_delivery"
	Delivered  = "delivered"
	Lost       = "lost"
	Returned   = "returned"
)

var (
	errKeyReused = errors.New("the key was used with another body")
	errUnknown   = errors.New("not known here")
	errTooLate   = errors.New("the parcel's state does not allow that any more")
)

// entry is a journal line: one of the three.
type entry struct {
	Book *bookEntry `json:"book,omitempty"`
	Move *moveEntry `json:"move,omitempty"`
	Told string     `json:"told,omitempty"` // id of a webhook the merchant has taken
}

type bookEntry struct {
	Booking     Booking `json:"booking"`
	Fingerprint string  `json:"fingerprint,omitempty"` // of the request's body
	FinalCancel bool    `json:"refusesCancel,omitempty"`
}

type moveEntry struct {
	BookingID string    `json:"bookingId"`
	State     string    `json:"state"`
	At        time.Time `json:"at"`
	WebhookID string    `json:"webhookId,omitempty"` // if the merchant is told
}

// parcel is a booking and what the carrier keeps to itself.
type parcel struct {
	Booking
	fingerprint string
	finalCancel bool // it refuses every cancel
}

// register is the carrier's book. Every decision is taken under mu and appended
// to the journal under mu; every answer waits for the journal outside it.
type register struct {
	journal *journal.Journal

	mu      sync.Mutex
	byKey   map[string]*parcel
	byID    map[string]*parcel
	order   []*parcel          // booked ones, oldest first
	leaving schedule[*parcel]  // when they leave by themselves
	untold  map[string]Webhook // by id; nobody has taken them yet

	// moved and notice are called under mu when a departure was scheduled and
	// when a webhook came up. They must not block; nil during the replay.
	moved  func()
	notice func(Webhook)
}

func openRegister(dir string) (*register, error) {
	r := &register{byKey: map[string]*parcel{}, byID: map[string]*parcel{}, untold: map[string]Webhook{}}
	j, err := journal.Open(dir, r.replay)
	if err != nil {
		return nil, fmt.Errorf("open carrier register: %w", err)
	}
	r.journal = j
	return r, nil
}

func (r *register) replay(line []byte) error {
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("decode register entry: %w", err)
	}
	return r.apply(e)
}

// apply changes the books; it must not decide anything, as replay runs it again.
func (r *register) apply(e entry) error {
	if e.Book != nil {
		r.applyBook(e.Book)
	}
	if e.Move != nil {
		return r.applyMove(e.Move)
	}
	delete(r.untold, e.Told)
	return nil
}

func (r *register) applyBook(b *bookEntry) {
	p := &parcel{Booking: b.Booking, fingerprint: b.Fingerprint, finalCancel: b.FinalCancel}
	r.byKey[p.Key] = p
	if p.State != Booked {
		return
	}
	r.byID[p.BookingID] = p
	r.order = append(r.order, p)
	if p.DispatchAt == nil {
		return
	}
	r.leaving.add(*p.DispatchAt, p)
	if r.moved != nil {
		r.moved()
	}
}

func (r *register) applyMove(m *moveEntry) error {
	p := r.byID[m.BookingID]
	if p == nil {
		return fmt.Errorf("move of an unknown booking %s", m.BookingID)
	}
	p.State, p.UpdatedAt = m.State, m.At
	if m.WebhookID == "" {
		return nil
	}
	// Copies of the booking are read outside the lock: what they have of the history is never changed.
	p.History = append(p.History[:len(p.History):len(p.History)], Passed{m.State, m.At})
	w := Webhook{ID: m.WebhookID, BookingID: p.BookingID, Reference: p.Reference, Status: m.State, OccurredAt: m.At}
	r.untold[w.ID] = w
	if r.notice != nil {
		r.notice(w)
	}
	return nil
}

// record applies and appends an entry; mu is held.
func (r *register) record(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode register entry: %w", err)
	}
	r.journal.Append(line)
	return r.apply(e)
}

// settle runs fn under the lock and returns when all it may have seen or
// written is on the disk.
func (r *register) settle(fn func() error) error {
	r.mu.Lock()
	err := fn()
	position := r.journal.End()
	r.mu.Unlock()
	if syncErr := r.journal.Sync(position); syncErr != nil {
		return fmt.Errorf("keep register: %w", syncErr)
	}
	return err
}

// order is a request to book, as the register sees it.
type order struct {
	key, reference, fingerprint string
	refusal                     string
	finalCancel                 bool
	delay                       time.Duration // until it leaves by itself; negative: never
}

// book decides a booking once per key: the first decision stands. A voided key
// answers voided whatever the body. fresh says that this very request decided.
func (r *register) book(o order) (answer Booking, fresh bool, err error) {
	err = r.settle(func() error {
		if known, ok := r.byKey[o.key]; ok {
			answer = known.Booking
			if known.State != Voided && known.fingerprint != o.fingerprint {
				return errKeyReused
			}
			return nil
		}
		answer, fresh = newBooking(o), true
		return r.record(entry{Book: &bookEntry{Booking: answer, Fingerprint: o.fingerprint, FinalCancel: o.finalCancel}})
	})
	return answer, fresh, err
}

// decided says whether the key has an answer, without waiting for the disk: it
// is not to be answered from.
func (r *register) decided(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byKey[key] != nil
}

// void closes a key nobody has used; a used one answers its booking.
func (r *register) void(key string) (answer Booking, err error) {
	err = r.settle(func() error {
		if known, ok := r.byKey[key]; ok {
			answer = known.Booking
			return nil
		}
		now := time.Now().UTC()
		answer = Booking{Key: key, State: Voided, CreatedAt: now, UpdatedAt: now}
		return r.record(entry{Book: &bookEntry{Booking: answer}})
	})
	return answer, err
}

// find returns errUnknown for what the map does not hold.
func (r *register) find(in map[string]*parcel, id string) (answer Booking, err error) {
	err = r.settle(func() error {
		p, ok := in[id]
		if !ok {
			return errUnknown
		}
		answer = p.Booking
		return nil
	})
	return answer, err
}

// list returns the booked parcels of a reference (of all if ""), newest first.
func (r *register) list(reference string, limit int) (answer []Booking, more bool, err error) {
	err = r.settle(func() error {
		for i := len(r.order) - 1; i >= 0; i-- {
			p := r.order[i]
			if reference != "" && p.Reference != reference {
				continue
			}
			if len(answer) == limit {
				more = true
				return nil
			}
			answer = append(answer, p.Booking)
		}
		return nil
	})
	return answer, more, err
}

// cancel takes a parcel back that has not left; errTooLate with the booking as
// it stands if it has. Cancelling twice is the same as once.
func (r *register) cancel(id string) (answer Booking, err error) {
	err = r.settle(func() error {
		p, ok := r.byID[id]
		switch {
		case !ok:
			return errUnknown
		case p.State == Cancelled:
			answer = p.Booking
			return nil
		case p.State == Booked && p.finalCancel:
			// It is already in the van, whatever the books said: so it leaves now,
			// and the refusal shows a parcel on its way.
			if err := r.move(p, Dispatched); err != nil {
				return err
			}
			answer = p.Booking
			return errTooLate
		case p.State != Booked:
			answer = p.Booking
			return errTooLate
		}
		err := r.move(p, Cancelled)
		answer = p.Booking
		return err
	})
	return answer, err
}

// advance brings a parcel to dispatched, out for delivery, delivered, lost or
// returned, by way of dispatched, each with its webhook. The state it has
// already is no error.
func (r *register) advance(id, to string) (answer Booking, err error) {
	err = r.settle(func() error {
		p, ok := r.byID[id]
		if !ok {
			return errUnknown
		}
		if p.State == Booked {
			if err := r.move(p, Dispatched); err != nil {
				return err
			}
		}
		if p.State == Dispatched && to != Dispatched || p.State == InVan && to != Dispatched && to != InVan {
			if err := r.move(p, to); err != nil {
				return err
			}
		}
		answer = p.Booking
		if p.State != to {
			return errTooLate
		}
		return nil
	})
	return answer, err
}

// move records a change of state; mu is held.
func (r *register) move(p *parcel, state string) error {
	m := &moveEntry{BookingID: p.BookingID, State: state, At: time.Now().UTC()}
	if state != Cancelled { // the merchant has asked for that one and is answered
		m.WebhookID = "wh_" + uuid.Must(uuid.NewV7()).String()
	}
	return r.record(entry{Move: m})
}

// dispatchDue lets the parcels leave whose time has come and returns when the
// next one's does (zero time if none waits).
func (r *register) dispatchDue(now time.Time) (next time.Time, err error) {
	err = r.settle(func() error {
		for p, due := r.leaving.take(now); due; p, due = r.leaving.take(now) {
			if p.State != Booked { // it left or was cancelled meanwhile
				continue
			}
			if err := r.move(p, Dispatched); err != nil {
				return err
			}
		}
		next = r.leaving.next()
		return nil
	})
	return next, err
}

// attend sets the callbacks and calls notice for every webhook that is left
// from an earlier life.
func (r *register) attend(moved func(), notice func(Webhook)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved, r.notice = moved, notice
	for _, w := range r.untold {
		notice(w)
	}
}

// told closes a webhook.
func (r *register) told(id string) error {
	return r.settle(func() error { return r.record(entry{Told: id}) })
}

// untoldCount is the number of webhooks nobody has taken yet.
func (r *register) untoldCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.untold)
}
