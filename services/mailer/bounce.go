package mailer

import (
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// Bounce says that a mail came back: the provider had taken it, and could not deliver it.
type Bounce struct {
	OrderID string
	Kind    Kind
	// Code is why, RFC 3463: "5.1.1".
	Code string
}

// Subject is the order.
func (b Bounce) Subject() string { return b.OrderID }

// DeadAddress is a contact that mails must not go to any more. It is the address that the member had since then: one
// that was changed meanwhile is not meant.
type DeadAddress struct {
	UserID string
	Since  time.Time
	Code   string
}

// Hard says of a code ("550 5.1.1", "5.1.1", "550") that there is no such mailbox, so that every other mail would come
// back as well. A mailbox that is full, or a mail that is not liked, says nothing of the next one. The enhanced status
// counts where there is one (RFC 3463); without it, 550 is said of mailboxes that are not there (RFC 5321, 4.2.3).
func Hard(code string) bool {
	basic, status, both := strings.Cut(code, " ")
	if !both && strings.Contains(code, ".") {
		basic, status = "", code
	}
	switch {
	case status == "5.1.7", status == "5.1.8": // the sender's
		return false
	case status != "":
		return strings.HasPrefix(status, "5.1.") || status == "5.2.1"
	default:
		return basic == "550" || basic == "551" || basic == "553"
	}
}

// OnBounce notes that a mail came back. The webhook may be faster than the answer to the mail itself: a mail that came
// back was taken, whatever we know of it. It is answered 204 also where nothing changes, or the provider would send it
// for ever.
func OnBounce(w *World, b Bounce, m flow.Meta) (flow.Reply, []flow.Event) {
	key := MailKey(b.OrderID, b.Kind)
	row, known := w.Mails.Get(key)
	if !known {
		return flow.Refuse(fault.NotFound())
	}
	if row.State == Waiting || row.State == Sent {
		row.State, row.Code, row.UpdatedAt = Bounced, b.Code, m.Now
		w.Mails.Put(key, row)
		w.dead(row)
	}
	return flow.Reply{Status: 204}, nil
}

// dead remembers that the address that a mail went to is one that none should go to. Of a mail that is not answered
// yet it is not known which that was: its answer says so.
func (w *World) dead(row Mail) {
	if Hard(row.Code) && !row.AddressSince.IsZero() {
		w.Dead = append(w.Dead, DeadAddress{UserID: row.UserID, Since: row.AddressSince, Code: row.Code})
	}
}

// OnMailed notes what became of a mail.
func OnMailed(w *World, a Mailed, m flow.Meta) []flow.Event {
	key := MailKey(a.OrderID, a.Kind)
	row, _ := w.Mails.Get(key)
	switch {
	case row.State == Bounced && row.AddressSince.IsZero() && a.Outcome == IsSent:
		// It came back before its answer came: now we know from where.
		row.AddressSince = a.AddressSince
		w.Mails.Put(key, row)
		w.dead(row)
		return nil
	case row.State != Waiting:
		return nil
	}
	row.State, row.Code, row.AddressSince, row.UpdatedAt = Sent, a.Code, a.AddressSince, m.Now
	switch a.Outcome {
	case IsUndeliverable:
		row.State = Undeliverable
		if a.Receiver {
			w.dead(row)
		}
	case IsSkipped:
		row.State = Skipped
	}
	w.Mails.Put(key, row)
	return nil
}
