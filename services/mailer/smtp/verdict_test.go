package smtp_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/quadrille-io/quadrille/services/mailer/smtp"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
)

// script is a mail server that answers a command as it is told, everything else as it should, and minds the order of
// commands.
type script struct {
	net.Listener
	command, answer string
	times           int // how often it answers so; then as it should

	mu    sync.Mutex
	dials int
	taken int
}

func play(t *testing.T, command, answer string, times int) (*script, smtp.Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{Listener: l, command: command, answer: answer, times: times}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.dials++
			s.mu.Unlock()
			serving.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	return s, smtp.Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: smtp.None, From: "shop@example.com"}
}

// told says whether this command is answered by the script.
func (s *script) told(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(line, s.command) || s.times == 0 {
		return false
	}
	s.times--
	return true
}

func (s *script) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewScanner(c)
	fmt.Fprint(c, "220 ready\r\n")
	open, content := false, false
	for in.Scan() {
		line := in.Text()
		if content && line != "." {
			continue
		}
		answer := "250 2.0.0 good"
		told := s.told(line)
		switch {
		case told:
			answer = s.answer
			open, content = open && !content, false // with its content a mail is over, one way or the other
		case content:
			content, open = false, false
			s.mu.Lock()
			s.taken++
			s.mu.Unlock()
		case strings.HasPrefix(line, "EHLO"):
			answer = "250-script\r\n250 ENHANCEDSTATUSCODES"
		case strings.HasPrefix(line, "MAIL") && open:
			answer = "503 5.5.1 nested MAIL command"
		case strings.HasPrefix(line, "MAIL"):
			open = true
		case line == "RSET":
			open = false
		case line == "DATA":
			answer, content = "354 go ahead", true
		}
		fmt.Fprint(c, answer, "\r\n")
		if strings.HasPrefix(answer, "421") {
			return
		}
	}
}

// A refusal counts against the mail only where it was said of the mail: of the receiver, or of the content. What is
// said of the shop, its address or its commands is the shop's to mend, and the mail waits for that.
func TestWhoseFaultARefusalIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command, answer string
		want            error
		refusal         smtp.Refusal
	}{
		"no such mailbox":           {"RCPT", "550 5.1.1 no such user a@example.com", smtp.ErrPermanent, smtp.Refusal{Code: 550, Status: "5.1.1", Receiver: true}},
		"greylisted":                {"RCPT", "451 4.7.1 later", smtp.ErrTransient, smtp.Refusal{}},
		"mailbox busy":              {"RCPT", "450 4.2.1 busy", smtp.ErrTransient, smtp.Refusal{}},
		"content refused":           {".", "554 5.7.1 looks like spam", smtp.ErrPermanent, smtp.Refusal{Code: 554, Status: "5.7.1"}},
		"content, later":            {".", "452 4.3.1 disk full", smtp.ErrTransient, smtp.Refusal{}},
		"our address is not liked":  {"MAIL", "550 5.7.1 sender not verified", smtp.ErrTransient, smtp.Refusal{}},
		"our domain does not exist": {"MAIL", "553 5.1.8 unknown sender domain", smtp.ErrTransient, smtp.Refusal{}},
		"password first":            {"MAIL", "530 5.7.0 authenticate", smtp.ErrTransient, smtp.Refusal{}},
		"relay wants a password":    {"RCPT", "530 5.7.0 authenticate", smtp.ErrTransient, smtp.Refusal{}},
		"out of order":              {"RCPT", "503 5.5.1 need MAIL", smtp.ErrTransient, smtp.Refusal{}},
		"too busy":                  {"EHLO", "421 4.3.2 too many connections", smtp.ErrTransient, smtp.Refusal{}},
		"closing":                   {"RCPT", "421 4.4.2 closing", smtp.ErrTransient, smtp.Refusal{}},
		"not a word of SMTP":        {"MAIL", "hello", smtp.ErrTransient, smtp.Refusal{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, cfg := play(t, c.command, c.answer, -1)
			err := sender(t, cfg).Send(t.Context(), message("k", "a@example.com"))
			var refusal *smtp.Refusal
			if !errors.Is(err, c.want) || errors.As(err, &refusal) != (c.refusal.Code != 0) || refusal != nil && *refusal != c.refusal {
				t.Errorf("%v %+v, want %v %+v", err, refusal, c.want, c.refusal)
			}
			if err != nil && strings.Contains(err.Error(), "@") {
				t.Errorf("the error names somebody: %v", err)
			}
		})
	}
}

// A server that does not want a mail's content, or has had enough of a connection, is not out of step with the mails
// that come after: each of them has a verdict of its own, not a 503 that would count as refused for good.
func TestTheNextMailIsInOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command, answer string
		first           error // of the second mail, which meets the answer
		dials           int
	}{
		"DATA, later":       {"DATA", "451 4.7.1 later", smtp.ErrTransient, 2},
		"DATA, never":       {"DATA", "554 5.7.1 no", smtp.ErrPermanent, 2},
		"content, never":    {".", "554 5.7.1 no", smtp.ErrPermanent, 1},
		"receiver, never":   {"RCPT", "550 5.1.1 no", smtp.ErrPermanent, 1},
		"enough of us":      {"MAIL", "421 4.7.0 enough", nil, 2},
		"enough, in middle": {"RCPT", "421 4.7.0 enough", nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cfg := play(t, c.command, c.answer, 0)
			post := sender(t, cfg)
			send(t, post, 0, 1)
			s.mu.Lock()
			s.times = 1
			s.mu.Unlock()
			errs := post.SendAll(t.Context(), []smtp.Message{
				message("1", "a@example.com"), message("2", "b@example.com"), message("3", "c@example.com"),
			})
			for i, want := range []error{c.first, nil, nil} {
				if !errors.Is(errs[i], want) {
					t.Errorf("mail %d: %v, want %v", i+1, errs[i], want)
				}
			}
			taken := 4
			if c.first != nil {
				taken = 3
			}
			if s.mu.Lock(); s.taken != taken || s.dials != c.dials {
				t.Errorf("%d mails over %d connections, want %d over %d", s.taken, s.dials, taken, c.dials)
			}
			s.mu.Unlock()
		})
	}
}

// A receiver that is greylisted gets its mail the second time, the others theirs at once.
func TestGreylisting(t *testing.T) {
	t.Parallel()
	b := start(t, inbox.Config{}, nil)
	s := sender(t, b.cfg)
	mails := []smtp.Message{message("1", "greylisted@example.com"), message("2", "a@example.com")}
	if errs := s.SendAll(t.Context(), mails); !errors.Is(errs[0], smtp.ErrTransient) || errs[1] != nil {
		t.Errorf("first: %v", errs)
	}
	if err := s.Send(t.Context(), mails[0]); err != nil || len(b.mails(t)) != 2 {
		t.Errorf("again: %v, %d mails", err, len(b.mails(t)))
	}
}
