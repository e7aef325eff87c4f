package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/engine"
)

// Operators says who hears of what needs a person.
type Operators struct {
	// Mail is the address list, Webhook a URL that gets a JSON POST; either may be empty.
	Mail    []string `env:"OPERATORS_MAIL"`
	Webhook string   `env:"OPERATORS_WEBHOOK" secret:"true"`
	// SMTP is host:port of the mail server; From the sender.
	SMTP string `env:"OPERATORS_SMTP"`
	From string `env:"OPERATORS_FROM" envDefault:"quadrille@localhost"`
	// Every is how often the lists are looked at; each group is told of once an hour.
	Every time.Duration `env:"OPERATORS_EVERY" envDefault:"30s"`
}

// Validate names what cannot be.
func (o *Operators) Validate() error {
	var errs []error
	for _, address := range o.Mail {
		if _, err := mail.ParseAddress(address); err != nil {
			errs = append(errs, errors.New("OPERATORS_MAIL: not a list of mail addresses"))
		}
	}
	if _, _, err := net.SplitHostPort(o.SMTP); len(o.Mail) > 0 && err != nil {
		errs = append(errs, errors.New("OPERATORS_SMTP: host:port is required to send to OPERATORS_MAIL"))
	}
	if u, err := url.Parse(o.Webhook); o.Webhook != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, errors.New("OPERATORS_WEBHOOK: not an http or https URL"))
	}
	if o.Every < 0 {
		errs = append(errs, errors.New("OPERATORS_EVERY: negative"))
	}
	return errors.Join(errs...)
}

// Notice is one group of things that need a person. It holds ids only, no personal data.
type Notice struct {
	// Group is told of once an hour: parked/<service>/<type>/<fingerprint>, refund/refused, ...
	Group string `json:"group"`
	// Text is one sentence; Subjects the orders, some of them where there are many.
	Text     string    `json:"text"`
	Subjects []string  `json:"subjects"`
	Count    int       `json:"count"`
	Since    time.Time `json:"since"`
}

// stuckAttempts is after how many tries of a call a person hears of it; with the engine's backoff that
// is a little over half a minute.
const stuckAttempts = 8

// namedSubjects is how many subjects a notice names.
const namedSubjects = 10

// tellOperators looks at the lists until ctx ends, and sends what was not sent within the hour.
func (h *Host[W]) tellOperators(ctx context.Context) error {
	channels := h.channels()
	if len(channels) == 0 {
		<-ctx.Done()
		return nil
	}
	every := h.Config.Operators.Every
	if every == 0 {
		every = 30 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		notices, err := h.notices(ctx)
		if err != nil && ctx.Err() == nil {
			h.Log.Warn("collect what needs a person", "error", err)
		}
		for _, c := range channels {
			if err := tell(ctx, h.Pool, c, h.Name, notices); err != nil && ctx.Err() == nil {
				h.Log.Error("operators were not told, trying again", "channel", c.name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (h *Host[W]) channels() []channel {
	var channels []channel
	o := h.Config.Operators
	if len(o.Mail) > 0 {
		channels = append(channels, channel{"mail", func(ctx context.Context, service string, notices []Notice) error {
			return sendMail(ctx, o, service, notices)
		}})
	}
	if o.Webhook != "" {
		client := &http.Client{Timeout: sendTimeout}
		channels = append(channels, channel{"webhook", func(ctx context.Context, service string, notices []Notice) error {
			return postWebhook(ctx, client, o.Webhook, service, notices)
		}})
	}
	return channels
}

// notices collects from all lists. One that fails does not hide the others.
func (h *Host[W]) notices(ctx context.Context) ([]Notice, error) {
	var all []Notice
	failures, err1 := h.Engine.Failures(ctx, listLimit)
	all = append(all, parkedNotices(failures)...)
	calls, err2 := h.Engine.StuckCalls(ctx, stuckAttempts, listLimit)
	all = append(all, callNotices(calls)...)
	if stopped := h.Engine.Stopped(); len(stopped) > 0 {
		all = append(all, Notice{
			Group: "stopped/" + h.Name, Count: len(stopped), Subjects: []string{}, Since: time.Now().UTC(),
			Text: "Partitions stand still because too many subjects were parked within a minute: it is probably the code, not the events. Look at `quadrille dlq list`, mend it, then resume.",
		})
	}
	var err3 error
	if h.parts.Notices != nil {
		var own []Notice
		own, err3 = h.parts.Notices(ctx, h.Pool)
		all = append(all, own...)
	}
	return all, errors.Join(err1, err2, err3)
}

// parkedNotices groups the parked subjects that are not tried again by themselves.
func parkedNotices(failures []engine.Failure) []Notice {
	groups := newGroups()
	for _, f := range failures {
		if f.NextRetryAt == nil {
			groups.add("parked/"+f.Group(), fmt.Sprintf(
				"%s cannot handle %s, and its tries are used up: what follows for these subjects waits. Look at `quadrille dlq list`; after the mending, `quadrille dlq replay`.",
				f.Service, f.EventType), f.Subject, f.FailedAt)
		}
	}
	return groups.list
}

func callNotices(calls []engine.StuckCall) []Notice {
	groups := newGroups()
	for _, c := range calls {
		groups.add("call/"+c.Service+"/"+c.Kind, fmt.Sprintf(
			"%s has tried the call %q at least %d times and knows no outcome. It goes on trying, under the same key; look at the provider.",
			c.Service, c.Kind, stuckAttempts), c.Subject, c.Since)
	}
	return groups.list
}

// groups gathers what belongs together, in the order of first sight (the lists are oldest first).
type groups struct{ list []Notice }

func newGroups() *groups { return &groups{} }

func (g *groups) add(group, text, subject string, since time.Time) {
	i := slices.IndexFunc(g.list, func(n Notice) bool { return n.Group == group })
	if i < 0 {
		g.list = append(g.list, Notice{Group: group, Text: text, Subjects: []string{}, Since: since})
		i = len(g.list) - 1
	}
	n := &g.list[i]
	n.Count++
	if len(n.Subjects) < namedSubjects {
		n.Subjects = append(n.Subjects, subject)
	}
}
