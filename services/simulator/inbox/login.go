package inbox

import (
	"crypto/subtle"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// prove compares in constant time.
func (s *session) prove(username, password string) error {
	good := subtle.ConstantTimeCompare([]byte(username), []byte(s.cfg.Username)) &
		subtle.ConstantTimeCompare([]byte(password), []byte(s.cfg.Password))
	if good != 1 {
		return smtp.ErrAuthFailed
	}
	s.known = true
	return nil
}

// login is the server's side of LOGIN, which asks for one after the other. It is older than any document about it,
// and some providers offer nothing else.
type login struct {
	check    func(username, password string) error
	username string
	asked    int
}

// Next implements sasl.Server.
func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	if l.asked == 0 && response == nil {
		l.asked = 1
		return []byte("Username:"), false, nil
	}
	l.asked++
	switch l.asked {
	case 1, 2:
		// The name came by itself, or upon our asking.
		l.username, l.asked = string(response), 2
		return []byte("Password:"), false, nil
	case 3:
		return nil, true, l.check(l.username, string(response))
	default:
		return nil, false, sasl.ErrUnexpectedClientResponse
	}
}
