package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/mailer/internal/store"
	"github.com/quadrille-io/quadrille/services/mailer/letter"
	"github.com/quadrille-io/quadrille/services/mailer/smtp"
)

const (
	// company is how long a mail waits for others, to share the look-up of contacts.
	company = 10 * time.Millisecond
	// together is the most mails that one goroutine sends: it has to end within the time of one call.
	together = 25
)

// courier makes the calls of mails. The engine makes many calls at once; the courier gathers them, so
// that a busy moment costs a few queries and a few of the sender's connections, and not one of each per order.
type courier struct {
	pool   *pgxpool.Pool
	writer *letter.Writer
	sender *smtp.Sender
	log    *slog.Logger
	// secrets that a mail provider's webhooks are signed with.
	secrets [][]byte

	mu      sync.Mutex
	waiting []*errand
}

// errand is one mail on its way. done takes what became of it.
type errand struct {
	mail  mailer.MailCall
	since time.Time // of the address that it goes to
	done  chan result
}

func (e *errand) tell(outcome mailer.Outcome) {
	e.done <- result{Mailed: mailer.Mailed{OrderID: e.mail.OrderID, Kind: e.mail.Kind, Outcome: outcome, AddressSince: e.since}}
}

// refused tells of a mail that will never be taken.
func (e *errand) refused(err error) {
	m := mailer.Mailed{OrderID: e.mail.OrderID, Kind: e.mail.Kind, Outcome: mailer.IsUndeliverable, AddressSince: e.since}
	var refusal *smtp.Refusal
	if errors.As(err, &refusal) {
		m.Code, m.Receiver = strings.TrimSpace(fmt.Sprint(refusal.Code, " ", refusal.Status)), refusal.Receiver
	}
	e.done <- result{Mailed: m}
}

// result is what became of a mail, or that it has to be sent again.
type result struct {
	mailer.Mailed
	err error
}

func (c *courier) callers() map[string]engine.Caller {
	callers := map[string]engine.Caller{}
	for _, kind := range mailer.Kinds() {
		callers[mailer.CallOf(kind)] = c.call
	}
	return callers
}

// call sends one mail and says what became of it. A failure that may pass is an error: the engine makes
// the call again. So a mail whose acknowledgement is lost is sent again, with the same Message-ID.
func (c *courier) call(ctx context.Context, call engine.Call) (flow.Command, error) {
	var mail mailer.MailCall
	if err := json.Unmarshal(call.Body, &mail); err != nil {
		return nil, fmt.Errorf("decode the call %q: %w", call.Kind, err)
	}
	e := &errand{mail: mail, done: make(chan result, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, e)
	first := len(c.waiting) == 1
	c.mu.Unlock()
	if first {
		// The first of a group waits for the others and sends for all. Its successor begins a new group
		// and does not wait for this one to be done.
		c.deliver(ctx, c.gather(ctx))
	}
	select {
	case r := <-e.done:
		if r.err != nil {
			return nil, r.err
		}
		return r.Mailed, nil
	case <-ctx.Done():
		// Whoever sends for the group may still be at it; the mail is sent again under the same key.
		return nil, fmt.Errorf("wait for a mail to be sent: %w", context.Cause(ctx))
	}
}

func (c *courier) gather(ctx context.Context) []*errand {
	timer := time.NewTimer(company)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	group := c.waiting
	c.waiting = nil
	return group
}

// deliver sends a group: all contacts by one query, then parts of it side by side.
func (c *courier) deliver(ctx context.Context, group []*errand) {
	members := make([]string, len(group))
	for i, e := range group {
		members[i] = e.mail.UserID
	}
	contacts, err := store.Contacts(ctx, c.pool, members)
	if err != nil {
		for _, e := range group {
			e.done <- result{err: err}
		}
		return
	}
	var addressed []*errand
	var messages []smtp.Message
	for _, e := range group {
		contact, known := contacts[e.mail.UserID]
		if !known {
			e.tell(mailer.IsSkipped)
			continue
		}
		e.since = contact.Since
		m, err := c.message(e.mail, contact)
		if err != nil {
			e.done <- result{err: err}
			continue
		}
		addressed, messages = append(addressed, e), append(messages, m)
	}
	var parts sync.WaitGroup
	errands := slices.Collect(slices.Chunk(addressed, together))
	for i, part := range slices.Collect(slices.Chunk(messages, together)) {
		parts.Go(func() { c.send(ctx, errands[i], part) })
	}
	parts.Wait()
}

func (c *courier) message(mail mailer.MailCall, contact store.Contact) (smtp.Message, error) {
	l, err := c.writer.Write(mail, contact.Name, contact.Language)
	if err != nil {
		return smtp.Message{}, err
	}
	to := netmail.Address{Name: contact.Name, Address: contact.Email}
	return smtp.Message{Key: mail.MessageKey, To: to.String(), Subject: l.Subject, Text: l.Text, HTML: l.HTML}, nil
}

// send sends a part of a group.
func (c *courier) send(ctx context.Context, errands []*errand, messages []smtp.Message) {
	for i, err := range c.sender.SendAll(ctx, messages) {
		e := errands[i]
		switch {
		case err == nil:
			e.tell(mailer.IsSent)
		case errors.Is(err, smtp.ErrPermanent):
			c.log.Warn("mail refused for good", "order", e.mail.OrderID, "kind", e.mail.Kind, "error", err)
			e.refused(err)
		default:
			e.done <- result{err: err}
		}
	}
}
