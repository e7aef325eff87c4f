// Package smtp sends mails. It sends each once and says whether sending it
// again can help; the worker that owns the mail's row repeats it.
//
// A mail whose acknowledgement is lost is sent again, so it may arrive twice.
// Its Message-ID is then the same, by which most mail programs show it once.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
)

// The two classes of failure; test with errors.Is. The error's text never
// quotes the server, who likes to name the receiver.
var (
	// ErrPermanent: this mail will never be taken (5xx, no valid address).
	ErrPermanent = errors.New("mail refused")
	// ErrTransient: not taken now, or not known (4xx, no connection, time-out, our
	// own credentials); send it again later.
	ErrTransient = errors.New("mail not taken")
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
	// Timeout of one connection with one mail; default 10 s.
	Timeout time.Duration
}

// Sender sends mails. Its methods may be called from many goroutines.
type Sender struct {
	cfg    Config
	domain string
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

// New checks the configuration; it does not connect.
func New(cfg Config) (*Sender, error) {
	if cfg.Security == "" {
		cfg.Security = StartTLS
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
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
	}
	s := &Sender{cfg: cfg, domain: from.Address[strings.LastIndexByte(from.Address, '@')+1:]}
	if _, err := s.client(nil); err != nil {
		return nil, fmt.Errorf("configure mail: %w", err)
	}
	return s, nil
}

// Send sends one mail. A nil error means the server has taken it over.
func (s *Sender) Send(ctx context.Context, m Message) error {
	return s.SendAll(ctx, []Message{m})[0]
}

// SendAll sends mails over one connection and returns each one's error, in
// order. One refused mail does not stop the others; a broken connection leaves
// the rest with ErrTransient.
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
	msg.Subject(m.Subject)
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// deliver sends over one connection, one mail after the other. Its error is the
// connection's; each mail's own is kept in the mail.
func (s *Sender) deliver(ctx context.Context, messages []*mail.Msg) error {
	line := &line{}
	client, err := s.client(line)
	if err != nil {
		return err
	}
	// The library looks at the context only while it dials, and leaves the
	// connection open when the greeting fails: closing is ours.
	stop := context.AfterFunc(ctx, line.close)
	defer line.close()
	defer stop()

	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	for _, msg := range messages {
		if msg == nil {
			continue
		}
		if err := client.SendWithSMTPClient(session, msg); err != nil && !answered(msg) {
			return err // nobody answers any more
		}
	}
	_ = client.CloseWithSMTPClient(session) // QUIT is a courtesy: all mails have their answer
	return nil
}

// answered says whether the server gave a verdict on the mail.
func answered(msg *mail.Msg) bool {
	var sendErr *mail.SendError
	return msg.IsDelivered() || errors.As(msg.SendError(), &sendErr) && sendErr.ErrorCode() != 0
}

// verdict classifies one mail. A mail that was taken stays taken, also if the
// connection broke right after.
func verdict(msg *mail.Msg, connErr error) error {
	if msg.IsDelivered() {
		return nil
	}
	var sendErr *mail.SendError
	if errors.As(msg.SendError(), &sendErr) && sendErr.ErrorCode() != 0 {
		code := sendErr.ErrorCode()
		if code >= 500 && !ours(code) {
			return fmt.Errorf("send mail: %w: answered %d %s", ErrPermanent, code, sendErr.EnhancedStatusCode())
		}
		return fmt.Errorf("send mail: %w: answered %d %s", ErrTransient, code, sendErr.EnhancedStatusCode())
	}
	return fmt.Errorf("send mail: %w: %s", ErrTransient, reason(connErr))
}

// ours are the 5xx that say something about our credentials and nothing about
// the mail: 502 and 530 want a password, 534, 535 and 538 do not like it.
func ours(code int) bool {
	return code == 502 || code == 530 || code == 534 || code == 535 || code == 538
}

// reason describes a broken connection without quoting the server.
func reason(err error) string {
	var netErr *net.OpError
	var timeout net.Error
	switch {
	case err == nil:
		return "no answer"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.As(err, &netErr):
		return netErr.Op + " failed"
	default:
		return "the connection was refused or broke"
	}
}

// line is the connection in use, so that it can be closed from outside.
type line struct {
	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

func (l *line) set(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	if l.closed { // the context ended while we dialled
		_ = conn.Close()
	}
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		_ = l.conn.Close() // closed twice is as good as once
	}
}

// client makes a library client that dials into l.
func (s *Sender) client(l *line) (*mail.Client, error) {
	tlsConfig := s.cfg.TLS.Clone()
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if tlsConfig.ServerName == "" {
		tlsConfig.ServerName = s.cfg.Host
	}
	options := []mail.Option{
		mail.WithPort(s.cfg.Port), mail.WithTimeout(s.cfg.Timeout), mail.WithTLSConfig(tlsConfig),
		mail.WithDialContextFunc(s.dialer(l, tlsConfig)), mail.WithoutNoop(),
	}
	switch s.cfg.Security {
	case StartTLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case TLS:
		options = append(options, mail.WithSSL())
	default:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if s.cfg.Helo != "" {
		options = append(options, mail.WithHELO(s.cfg.Helo))
	}
	if s.cfg.Username != "" {
		// Not AutoDiscover: it does not see that our dialer has made TLS and refuses
		// PLAIN. In clear none of these is ever reached, see New.
		options = append(options, mail.WithUsername(s.cfg.Username), mail.WithPassword(s.cfg.Password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	return mail.NewClient(s.cfg.Host, options...)
}

func (s *Sender) dialer(l *line, tlsConfig *tls.Config) mail.DialContextFunc {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		address := net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port))
		var d net.Dialer
		dial := d.DialContext
		if s.cfg.Security == TLS {
			dial = (&tls.Dialer{NetDialer: &d, Config: tlsConfig}).DialContext
		}
		conn, err := dial(ctx, network, address)
		if err == nil {
			l.set(conn)
		}
		return conn, err
	}
}
