package inbox

import (
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// session takes the mails of one SMTP connection.
type session struct {
	server *Server
	conn   *smtp.Conn
	cfg    Config
	known  bool // has shown the password, or need not
	from   string
	to     []string
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	if s.cfg.Username == "" {
		return nil
	}
	return s.cfg.Mechanisms
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if !slices.Contains(s.AuthMechanisms(), mechanism) {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	if mechanism == sasl.Login {
		return &login{check: s.prove}, nil
	}
	return sasl.NewPlainServer(func(_, username, password string) error { return s.prove(username, password) }), nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	// Who was connected before the fault began does not get past it either.
	if s.server.faults.Fault().Mode == outage.Down && s.server.faults.Meet().Mode == outage.Down {
		_ = s.conn.Conn().Close() // ours to cut
		return smtp.ErrServerClosed
	}
	if !s.known {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch name := strings.ToLower(to); {
	case strings.HasPrefix(name, "bounce"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox"}
	case strings.HasPrefix(name, "greylist") && s.server.strange(name):
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Greylisted, try again later"}
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session. The answer goes out once the mail is on the
// disk.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err // the connection's, or smtp's own refusal of what is too long
	}
	if mode := s.server.faults.Fault().Mode; mode == outage.TempFail || mode == outage.PermFail {
		switch s.server.faults.Meet().Mode {
		case outage.TempFail:
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Try again later"}
		case outage.PermFail:
			return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 3, 0}, Message: "Refused"}
		default: // spared
		}
	}
	m, err := parse(raw)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "The message cannot be read"}
	}
	if m.From == "" {
		m.From = s.from
	}
	m.To = s.to
	if err := s.server.box.put(m, raw); err != nil {
		slog.Error("inbox cannot store a mail", "error", err)
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "The mail cannot be stored"}
	}
	return nil
}
