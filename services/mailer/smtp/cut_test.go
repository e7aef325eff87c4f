package smtp_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/mailer/smtp"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
)

// wire is a listener that counts connections and cuts one of them, once, where the client says something. The server
// does not hear of it any more, or hears it and its answer is lost.
type wire struct {
	net.Listener
	mu    sync.Mutex
	dials int
	at    []byte // nil: cuts nothing
	heard bool
	skip  int // how often at may be said before
}

func (w *wire) cut(at string, heard bool, skip int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.heard, w.skip = []byte(at), heard, skip
}

func (w *wire) dialled() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials
}

func (w *wire) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials++
	if string(w.at) == "greeting" {
		w.at = nil
		return c, c.Close()
	}
	return &cutConn{Conn: c, wire: w}, nil
}

type cutConn struct {
	net.Conn
	wire *wire
	said []byte
	deaf bool // the next answer is lost
}

// due says whether the cut is here, and takes it.
func (c *cutConn) due(said []byte) (now, heard bool) {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	c.said = append(c.said, said...)
	if c.wire.at == nil || !bytes.Contains(c.said, c.wire.at) {
		return false, false
	}
	c.said = nil
	if c.wire.skip > 0 {
		c.wire.skip--
		return false, false
	}
	c.wire.at = nil
	return true, c.wire.heard
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if now, heard := c.due(p[:n]); now && !heard {
		return 0, errors.Join(net.ErrClosed, c.Close())
	} else if now {
		c.deaf = true
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	if c.deaf {
		return 0, errors.Join(net.ErrClosed, c.Close())
	}
	return c.Conn.Write(p)
}

const finalDot = "\r\n.\r\n"

// Wherever the connection is cut, the mail is not taken for sent, and sent again it is there. It is there twice only
// where the server had it and its answer was lost, and then under one Message-ID.
func TestCutAtEveryStep(t *testing.T) {
	t.Parallel()
	server := rig.NewAuthority(t)
	config := server.Server("127.0.0.1", soon())
	for name, c := range map[string]struct {
		at         string
		heard      bool
		deliveries int
	}{
		"greeting":                     {"greeting", false, 1},
		"EHLO":                         {"EHLO", false, 1},
		"answer to EHLO":               {"EHLO", true, 1},
		"AUTH":                         {"AUTH", false, 1},
		"answer to AUTH":               {"AUTH", true, 1},
		"MAIL FROM":                    {"MAIL FROM", false, 1},
		"answer to MAIL FROM":          {"MAIL FROM", true, 1},
		"RCPT TO":                      {"RCPT TO", false, 1},
		"answer to RCPT TO":            {"RCPT TO", true, 1},
		"DATA":                         {"DATA", false, 1},
		"answer to DATA":               {"DATA", true, 1},
		"in the middle of the content": {"Subject:", false, 1},
		"final dot":                    {finalDot, false, 1},
		"answer to the final dot":      {finalDot, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var line *wire
			// The server does not see the TLS below the wire; the client does.
			b := start(t, inbox.Config{Username: "shop", Password: "secret"}, func(l net.Listener) net.Listener {
				line = &wire{Listener: tls.NewListener(l, config)}
				return line
			})
			cfg := b.cfg
			cfg.Security, cfg.TLS, cfg.Username, cfg.Password = smtp.TLS, server.Trust(), "shop", "secret"
			s := sender(t, cfg)
			line.cut(c.at, c.heard, 0)
			if err := s.Send(t.Context(), message("k", "a@example.com")); !errors.Is(err, smtp.ErrTransient) {
				t.Fatalf("cut: %v", err)
			}
			if err := s.Send(t.Context(), message("k", "a@example.com")); err != nil {
				t.Fatalf("again: %v", err)
			}
			if mails := b.mails(t); len(mails) != 1 || mails[0].Deliveries != c.deliveries {
				t.Errorf("%d mails, want one that came %d times: %+v", len(mails), c.deliveries, mails)
			}
		})
	}
}

// STARTTLS itself, before there is anything to encrypt.
func TestCutAtStartTLS(t *testing.T) {
	t.Parallel()
	server := rig.NewAuthority(t)
	for _, heard := range []bool{false, true} {
		var line *wire
		b := start(t, inbox.Config{TLS: server.Server("127.0.0.1", soon())}, func(l net.Listener) net.Listener {
			line = &wire{Listener: l}
			return line
		})
		cfg := b.cfg
		cfg.Security, cfg.TLS = smtp.StartTLS, server.Trust()
		s := sender(t, cfg)
		line.cut("STARTTLS", heard, 0)
		if err := s.Send(t.Context(), message("k", "a@example.com")); !errors.Is(err, smtp.ErrTransient) {
			t.Fatalf("cut: %v", err)
		}
		if err := s.Send(t.Context(), message("k", "a@example.com")); err != nil || len(b.mails(t)) != 1 {
			t.Errorf("again: %v, %+v", err, b.mails(t))
		}
	}
}
