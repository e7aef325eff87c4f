package service

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/mailer/internal/store"
)

const (
	// waitingFor is how long a mail may be under way before a person hears of it.
	waitingFor = 10 * time.Minute
	// heardFor is how long a refused mail is worth telling: nobody is going to send it any more.
	heardFor = 24 * time.Hour
	// ever is longer than any mail waits.
	ever = 100 * 365 * 24 * time.Hour
)

// notices lists mails that were refused for good, and those that the mail server has not taken for long.
func notices(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
	var all []host.Notice
	for _, n := range []struct {
		state       mailer.State
		least, most time.Duration
		group, text string
	}{
		{mailer.Undeliverable, 0, heardFor, "mail/refused", "The mail server refused these customers' mails for good."},
		{mailer.Bounced, 0, heardFor, "mail/bounced", "These customers' mails came back; where there is no such mailbox, nothing more is sent to it until the customer changes the address."},
		{mailer.Waiting, waitingFor, ever, "mail/waiting", "The mail server has not taken these mails for 10 minutes; they are tried on."},
	} {
		t, err := store.InTrouble(ctx, pool, n.state, n.least, n.most)
		if err != nil {
			return nil, err
		}
		if t.Count > 0 {
			all = append(all, host.Notice{Group: n.group, Text: n.text, Subjects: t.Orders, Count: t.Count, Since: t.Since})
		}
	}
	return all, nil
}
