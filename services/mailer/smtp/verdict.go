package smtp

import (
	"errors"
	"fmt"
	"net"

	"github.com/wneessen/go-mail"
)

// The two classes of failure; test with errors.Is. The error's text never
// quotes the server, who likes to name the receiver.
var (
	// ErrPermanent: this mail will never be taken (5xx, no valid address).
	ErrPermanent = errors.New("mail refused")
	// ErrTransient: not taken now, or not known (4xx, no connection, time-out, our
	// own credentials, our own address); send it again later.
	ErrTransient = errors.New("mail not taken")
)

// Refusal is a server's word that it will never take a mail: an ErrPermanent.
type Refusal struct {
	// Code is the answer's, 500 to 599 (RFC 5321).
	Code int
	// Status is the enhanced one (RFC 3463), "5.1.1"; "" if the server has none.
	Status string
	// Receiver: it was said of the receiver's address, before the mail was seen.
	Receiver bool
}

// Error implements error.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%v: answered %d %s", ErrPermanent, r.Code, r.Status)
}

// Unwrap makes it an ErrPermanent.
func (r *Refusal) Unwrap() error { return ErrPermanent }

// verdict classifies one mail. A mail that was taken stays taken, also if the
// connection broke right after.
func verdict(msg *mail.Msg, connErr error) error {
	if msg.IsDelivered() {
		return nil
	}
	var failure *mail.SendError
	if !errors.As(msg.SendError(), &failure) || failure.ErrorCode() == 0 {
		return fmt.Errorf("send mail: %w: %s", ErrTransient, reason(connErr))
	}
	code, status := failure.ErrorCode(), failure.EnhancedStatusCode()
	if code < 500 || ours(code) || failure.Reason == mail.ErrSMTPMailFrom {
		return fmt.Errorf("send mail: %w: answered %d %s", ErrTransient, code, status)
	}
	return fmt.Errorf("send mail: %w", &Refusal{Code: code, Status: status, Receiver: failure.Reason == mail.ErrSMTPRcptTo})
}

// ours are the 5xx that say something about this client and nothing about the
// mail: 500, 502, 503 and 504 do not like its commands, 530 wants a password, 534,
// 535 and 538 do not like the one they got. So is any 5xx upon MAIL FROM, whatever
// its number: it is said of the shop's own address, which is the same in every mail;
// taking it for the mail's would lose them all, for a mistake in the configuration.
func ours(code int) bool {
	switch code {
	case 500, 502, 503, 504, 530, 534, 535, 538:
		return true
	}
	return false
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
