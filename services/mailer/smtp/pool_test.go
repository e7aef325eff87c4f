package smtp_test

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/mailer/smtp"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// counted is an inbox and the wire to it.
func counted(t *testing.T) (*box, *wire) {
	t.Helper()
	var line *wire
	b := start(t, inbox.Config{}, func(l net.Listener) net.Listener {
		line = &wire{Listener: l}
		return line
	})
	return b, line
}

func send(t *testing.T, s *smtp.Sender, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := s.Send(t.Context(), message(fmt.Sprint(i), "a@example.com")); err != nil {
			t.Fatalf("mail %d: %v", i, err)
		}
	}
}

// One connection carries many mails, up to its limit; the refused one among them does not cost it.
func TestConnectionIsKept(t *testing.T) {
	t.Parallel()
	b, line := counted(t)
	cfg := b.cfg
	cfg.PerConnection, cfg.Idle = 10, time.Hour
	s := sender(t, cfg)
	send(t, s, 0, 5)
	if err := s.Send(t.Context(), message("5", "bounce@example.com")); err == nil {
		t.Error("a mailbox that does not exist took a mail")
	}
	send(t, s, 6, 10)
	if n := line.dialled(); n != 1 {
		t.Errorf("%d connections for ten mails", n)
	}
	send(t, s, 10, 25)
	if n := line.dialled(); n != 3 {
		t.Errorf("%d connections for 25 mails, ten each", n)
	}
	if n := len(b.mails(t)); n != 24 {
		t.Errorf("%d mails, want 24", n)
	}
}

// Many at once share as few connections as are allowed.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	b, line := counted(t)
	cfg := b.cfg
	cfg.Connections, cfg.PerConnection, cfg.Idle = 3, 1000, time.Hour
	s := sender(t, cfg)
	var sending sync.WaitGroup
	for i := range 60 {
		sending.Go(func() {
			if err := s.Send(t.Context(), message(fmt.Sprint(i), "a@example.com")); err != nil {
				t.Errorf("mail %d: %v", i, err)
			}
		})
	}
	sending.Wait()
	if n := line.dialled(); n > 3 || len(b.mails(t)) != 60 {
		t.Errorf("%d connections, want at most 3; %d mails, want 60", n, len(b.mails(t)))
	}
}

// A server that closed a connection between two mails has refused neither: the second goes over another one at once,
// wherever before its content the cut is noticed, and arrives once.
func TestConnectionClosedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"MAIL FROM", "RCPT TO", "DATA"} {
		for _, heard := range []bool{false, true} {
			t.Run(fmt.Sprint(at, heard), func(t *testing.T) {
				t.Parallel()
				b, line := counted(t)
				s := sender(t, b.cfg)
				line.cut(at, heard, 1)
				send(t, s, 0, 3)
				mails := b.mails(t)
				if len(mails) != 3 || line.dialled() != 2 {
					t.Fatalf("%d mails over %d connections, want 3 over 2", len(mails), line.dialled())
				}
				for _, m := range mails {
					if m.Deliveries != 1 {
						t.Errorf("%+v", m)
					}
				}
			})
		}
	}
}

// Sent all at once, the mails after the cut go on over another connection as well.
func TestSendAllGoesOn(t *testing.T) {
	t.Parallel()
	b, line := counted(t)
	s := sender(t, b.cfg)
	line.cut("RSET", true, 2) // the third mail is taken, and the word after it lost
	var all []smtp.Message
	for i := range 6 {
		all = append(all, message(fmt.Sprint(i), "a@example.com"))
	}
	for i, err := range s.SendAll(t.Context(), all) {
		if err != nil {
			t.Errorf("mail %d: %v", i, err)
		}
	}
	if mails := b.mails(t); len(mails) != 6 || line.dialled() != 2 {
		t.Errorf("%d mails over %d connections, want 6 over 2", len(mails), line.dialled())
	}
}

// A connection that idles too long is ended, and one that idles when the sender is closed too.
func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	b, line := counted(t)
	cfg := b.cfg
	cfg.Idle = time.Millisecond
	s := sender(t, cfg)
	next := 0
	testkit.Eventually(t, 10*time.Second, func() error {
		next++
		send(t, s, next, next+1)
		if line.dialled() < 2 {
			return fmt.Errorf("%d mails over one connection that was not to idle", next)
		}
		return nil
	})
	s.Close()
	if err := s.Send(t.Context(), message("late", "a@example.com")); err == nil {
		t.Error("a sender that was closed sends on")
	}
}

// A mail server that goes away takes the connections that were there with it.
func TestDownMeetsOpenConnections(t *testing.T) {
	t.Parallel()
	b, _ := counted(t)
	s := sender(t, b.cfg)
	send(t, s, 0, 1)
	if err := b.Faults().Set(outage.Fault{Mode: outage.Down}); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), message("1", "a@example.com")); err == nil {
		t.Error("a mail went to a server that is down")
	}
	if err := b.Faults().Set(outage.Fault{}); err != nil {
		t.Fatal(err)
	}
	send(t, s, 1, 2)
}

// A mail that is cut once its content is on its way is not sent again by itself, over whatever connection: the server may
// have it. Who owns it hears that it is not known, and decides.
func TestCutAfterTheFirstMail(t *testing.T) {
	t.Parallel()
	for _, heard := range []bool{false, true} {
		b, line := counted(t)
		s := sender(t, b.cfg)
		line.cut(finalDot, heard, 1)
		send(t, s, 0, 1)
		if err := s.Send(t.Context(), message("1", "a@example.com")); !errors.Is(err, smtp.ErrTransient) {
			t.Errorf("heard %v: %v, want it not to be known", heard, err)
		}
		if n := line.dialled(); n != 1 {
			t.Errorf("heard %v: it was sent again over one of %d connections", heard, n)
		}
		want := 1
		if heard {
			want = 2
		}
		if n := len(b.mails(t)); n != want {
			t.Errorf("heard %v: %d mails, want %d", heard, n, want)
		}
	}
}
