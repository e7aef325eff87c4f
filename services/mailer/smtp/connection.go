package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
	wire "github.com/wneessen/go-mail/smtp"
)

// partingTime is how long a good-bye may take: all mails have their answer by then.
const partingTime = time.Second

// connection is one to the mail server, proven and ready for mails.
type connection struct {
	line    *line
	client  *mail.Client
	session *wire.Client
	limit   int
	// used counts the mails that were tried over it.
	used int
}

// connect dials, protects the connection and proves who we are.
func (s *Sender) connect(ctx context.Context) (*connection, error) {
	l := &line{}
	client, err := s.client(l)
	if err != nil {
		return nil, err
	}
	// The library looks at the context only while it dials, and leaves the
	// connection open when the greeting fails: closing is ours.
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		l.close()
		return nil, err
	}
	return &connection{line: l, client: client, session: session, limit: s.cfg.PerConnection}, nil
}

// ending is why a connection carries no more mails.
type ending struct {
	err error
	// goOn: what is left may be sent over another one at once.
	goOn bool
}

var errWorn = errors.New("the connection has carried its share")

// send sends mails until one of them ends the connection, and says how many have had their answer.
//
// A connection that has carried mails before may have been closed by the server meanwhile: it idled, or had its
// share (421). That says nothing about the mail, which is sent over another connection at once, as long as nothing
// of it went out. From the first byte of its content on we do not know what the server has, and leave it to
// whoever owns the mail to send it again.
func (c *connection) send(ctx context.Context, messages []*mail.Msg) (answered int, end *ending) {
	stop := context.AfterFunc(ctx, c.line.close)
	defer func() {
		if !stop() && end == nil {
			end = &ending{err: context.Cause(ctx)}
		}
	}()
	for i, m := range messages {
		if c.used >= c.limit {
			return i, &ending{errWorn, true}
		}
		worn := c.used > 0
		c.used++
		err := c.client.SendWithSMTPClient(c.session, m)
		switch failure := asFailure(err); {
		case err == nil:
		case m.IsDelivered(): // and the RSET after it failed
			return i + 1, &ending{err, true}
		case worn && (failure.code == 421 || failure.code == 0 && failure.before):
			return i, &ending{err, true}
		case failure.code == 0: // nobody answers any more
			return i, &ending{err, false}
		case failure.code == 421: // and closes
			return i + 1, &ending{err, false}
		case failure.reason == mail.ErrSMTPData:
			// The library leaves the mail's transaction open: the next mail's MAIL FROM would be out of order
			// (503).
			return i + 1, &ending{err, true}
		}
	}
	return len(messages), nil
}

type failure struct {
	reason mail.SendErrReason
	code   int  // of the answer; 0: there was none
	before bool // nothing of the mail's content had gone out
}

func asFailure(err error) failure {
	var sent *mail.SendError
	if !errors.As(err, &sent) {
		return failure{}
	}
	f := failure{reason: sent.Reason, code: sent.ErrorCode()}
	switch sent.Reason {
	case mail.ErrConnCheck, mail.ErrSMTPMailFrom, mail.ErrSMTPRcptTo, mail.ErrSMTPData:
		f.before = true
	}
	return f
}

// part says good-bye. Nothing depends on it.
func (c *connection) part() {
	if c.session.UpdateDeadline(partingTime) == nil {
		_ = c.client.CloseWithSMTPClient(c.session) // QUIT is a courtesy: all mails have their answer
	}
	c.line.close()
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
