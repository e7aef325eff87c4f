// Package smtp sends mails. It sends each once and says whether sending it
// again can help; the worker that owns the mail's row repeats it.
//
// A mail whose acknowledgement is lost is sent again, so it may arrive twice.
// Its Message-ID is then the same, by which most mail programs show it once.
// No order of commands avoids that: the server has the mail from the final dot
// on, and its answer may be lost after it.
//
// Connections are kept for a while and carry many mails each, so that a busy
// shop does not shake hands, prove itself and say good-bye per mail.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	netmail "net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"
)

// Security is how the connection is protected.
type Security string

// The ways to protect a connection.
const (
	None     Security = "none"     // for a server on the same machine
	StartTLS Security = "starttls" // required, never silently left out
	TLS      Security = "tls"      // from the first byte
)

// Config of a Sender.
type Config struct {
	Host string
	Port int
	// Security defaults to StartTLS.
	Security Security
	// RootCAs and the like; default: the system's, verifying Host.
	TLS *tls.Config
	// Username and Password, if the server wants them; never sent in clear.
	Username, Password string
	// From is the sender: "Shop <shop@example.com>".
	From string
	// Helo is the name this client gives itself; default: the machine's.
	Helo string
	// Timeout of the handshake, and then of each mail; default 10 s.
	Timeout time.Duration
	// Connections is the most that are open at once; default 8. Who needs one more
	// waits.
	Connections int
	// PerConnection is how many mails one carries before another takes over; default
	// 100. Servers have such limits of their own and answer 421 beyond.
	PerConnection int
	// Idle is how long one is kept when there is nothing to send; default 15 s.
	Idle time.Duration
}

// Sender sends mails. Its methods may be called from many goroutines.
type Sender struct {
	cfg    Config
	domain string
	pool   pool
}

// Message is one mail.
type Message struct {
	// Key makes the Message-ID: the same for the same mail, letters, digits, dot,
	// underscore and hyphen only.
	Key     string
	To      string // one address, with or without name
	Subject string
	Text    string
	HTML    string // may be empty
}

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

func (c Config) withDefaults() Config {
	if c.Security == "" {
		c.Security = StartTLS
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Connections == 0 {
		c.Connections = 8
	}
	if c.PerConnection == 0 {
		c.PerConnection = 100
	}
	if c.Idle == 0 {
		c.Idle = 15 * time.Second
	}
	return c
}

// New checks the configuration; it does not connect.
func New(cfg Config) (*Sender, error) {
	cfg = cfg.withDefaults()
	from, err := netmail.ParseAddress(cfg.From)
	switch {
	case err != nil:
		return nil, fmt.Errorf("configure mail: sender: %w", err)
	case cfg.Host == "" || cfg.Port <= 0 || cfg.Port > 65535:
		return nil, errors.New("configure mail: host and port are required")
	case cfg.Security != None && cfg.Security != StartTLS && cfg.Security != TLS:
		return nil, fmt.Errorf("configure mail: security must be none, starttls or tls, not %q", cfg.Security)
	case cfg.Username != "" && cfg.Security == None:
		return nil, errors.New("configure mail: a password needs starttls or tls")
	case cfg.Connections < 1 || cfg.PerConnection < 1 || cfg.Idle < 0 || cfg.Timeout < 0:
		return nil, errors.New("configure mail: limits and times must be positive")
	}
	s := &Sender{cfg: cfg, pool: pool{slots: make(chan struct{}, cfg.Connections)}, domain: from.Address[strings.LastIndexByte(from.Address, '@')+1:]}
	if _, err := s.client(nil); err != nil {
		return nil, fmt.Errorf("configure mail: %w", err)
	}
	return s, nil
}

// Send sends one mail. A nil error means the server has taken it over.
func (s *Sender) Send(ctx context.Context, m Message) error {
	return s.SendAll(ctx, []Message{m})[0]
}

// SendAll sends mails one after the other, over one connection where the server
// lets it, and returns each one's error, in order. One refused mail does not stop
// the others; a broken connection leaves the rest with ErrTransient.
func (s *Sender) SendAll(ctx context.Context, messages []Message) []error {
	errs := make([]error, len(messages))
	var ready []*mail.Msg
	for i, m := range messages {
		msg, err := s.compose(m)
		if err != nil {
			errs[i] = err
			ready = append(ready, nil)
			continue
		}
		ready = append(ready, msg)
	}
	connErr := s.deliver(ctx, ready)
	for i, msg := range ready {
		if msg != nil {
			errs[i] = verdict(msg, connErr)
		}
	}
	return errs
}

// compose refuses what can never be sent.
func (s *Sender) compose(m Message) (*mail.Msg, error) {
	if !keyForm.MatchString(m.Key) {
		return nil, fmt.Errorf("compose mail: %w: key is no word of a Message-ID", ErrPermanent)
	}
	to, err := netmail.ParseAddress(m.To)
	if err != nil {
		return nil, fmt.Errorf("compose mail: %w: no valid address", ErrPermanent)
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.ToMailAddress(to)
	if err := msg.From(s.cfg.From); err != nil {
		return nil, fmt.Errorf("compose mail: sender: %w", err)
	}
	msg.SetMessageIDWithValue(m.Key + "@" + s.domain)
	msg.SetDate()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notices, please
	msg.Subject(oneLine(m.Subject))
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// oneLine takes line breaks and other control characters out of a subject. The library encodes them, so that
// they end no header; but what a mail program makes of the decoded ones is its own affair.
func oneLine(subject string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, subject)
}
