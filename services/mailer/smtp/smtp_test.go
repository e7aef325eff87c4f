package smtp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/mailer/smtp"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// box is a running inbox and the configuration to send to it.
type box struct {
	*inbox.Server
	cfg smtp.Config
	url string
}

func start(t *testing.T, cfg inbox.Config, wrap func(net.Listener) net.Listener) *box {
	t.Helper()
	cfg.Dir = t.TempDir()
	s, err := inbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if wrap != nil {
		l = wrap(l)
	}
	go s.ServeSMTP(l) //nolint:errcheck // ends with Close
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		h.Close()
	})
	return &box{s, smtp.Config{
		Host: "127.0.0.1", Port: port, Security: smtp.None, From: "Shop <shop@example.com>", Helo: "test.example.com",
	}, h.URL}
}

func (b *box) mails(t *testing.T) []inbox.Message {
	t.Helper()
	resp, err := http.Get(b.url + "/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct{ Data []inbox.Message }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list.Data
}

func sender(t *testing.T, cfg smtp.Config) *smtp.Sender {
	t.Helper()
	s, err := smtp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func message(key, to string) smtp.Message {
	return smtp.Message{Key: key, To: to, Subject: "Your order", Text: "It is done.\n"}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := start(t, inbox.Config{}, nil)
	s := sender(t, b.cfg)
	m := smtp.Message{
		Key: "0192.COMPLETED", To: "홍길동 <hong@example.com>", Subject: "주문 완료 ₩10,050\r\nBcc: thief@example.com",
		Text: "Thank you — ₩10,050\n" + strings.Repeat("long ", 100) + "\n.\nend\n", HTML: "<p>₩10,050</p>",
	}
	for range 2 {
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatalf("send: %v", err)
		}
	}
	mails := b.mails(t)
	if len(mails) != 1 || mails[0].Deliveries != 2 {
		t.Fatalf("the same key twice is not one mail: %+v", mails)
	}
	got := mails[0]
	if got.Text != m.Text || strings.TrimSpace(got.HTML) != m.HTML || !strings.HasPrefix(got.Subject, "주문 완료 ₩10,050") ||
		got.Headers["Message-Id"][0] != "<0192.COMPLETED@example.com>" || got.Headers["Auto-Submitted"][0] != "auto-generated" ||
		got.To[0] != "hong@example.com" || len(got.To) != 1 || got.Headers["Bcc"] != nil || got.Headers["Date"] == nil {
		t.Fatalf("received %+v", got)
	}
}

func TestErrorClasses(t *testing.T) {
	t.Parallel()
	b := start(t, inbox.Config{}, nil)
	for name, w := range map[string]struct {
		message smtp.Message
		want    error
	}{
		"no mailbox":     {message("1", "bounce@example.com"), smtp.ErrPermanent},
		"no address":     {message("2", "not an address"), smtp.ErrPermanent},
		"no key":         {message("", "a@example.com"), smtp.ErrPermanent},
		"key that harms": {message("a>\r\nBcc: b", "a@example.com"), smtp.ErrPermanent},
	} {
		if err := sender(t, b.cfg).Send(t.Context(), w.message); !errors.Is(err, w.want) || strings.Contains(err.Error(), "@") {
			t.Errorf("%s: %v, want %v and no address in it", name, err, w.want)
		}
	}
	for mode, want := range map[outage.Mode]error{
		outage.Down: smtp.ErrTransient, outage.TempFail: smtp.ErrTransient, outage.PermFail: smtp.ErrPermanent,
	} {
		if err := b.Faults().Set(outage.Fault{Mode: mode}); err != nil {
			t.Fatal(err)
		}
		if err := sender(t, b.cfg).Send(t.Context(), message("k", "a@example.com")); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", mode, err, want)
		}
	}
	if n := len(b.mails(t)); n != 0 {
		t.Errorf("%d mails came through", n)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := smtp.Config{
		Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: smtp.None,
		From: "shop@example.com", Timeout: 50 * time.Millisecond,
	}
	// Accepted by the kernel, but never greeted.
	if err := sender(t, cfg).Send(t.Context(), message("k", "a@example.com")); !errors.Is(err, smtp.ErrTransient) {
		t.Errorf("silence: %v", err)
	}
	// The caller's own deadline counts too.
	cfg.Timeout = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := sender(t, cfg).Send(ctx, message("k", "a@example.com")); !errors.Is(err, smtp.ErrTransient) {
		t.Errorf("caller's deadline: %v", err)
	}
	_ = l.Close()
	if err := sender(t, cfg).Send(t.Context(), message("k", "a@example.com")); !errors.Is(err, smtp.ErrTransient) {
		t.Errorf("refused: %v", err)
	}
}

// One bad address among many does not keep the others from their mail.
func TestSendAll(t *testing.T) {
	t.Parallel()
	b := start(t, inbox.Config{}, nil)
	errs := sender(t, b.cfg).SendAll(t.Context(), []smtp.Message{
		message("1", "a@example.com"), message("2", "bounce@example.com"), message("3", "nobody"),
		message("4", "b@example.com"),
	})
	for i, want := range []error{nil, smtp.ErrPermanent, smtp.ErrPermanent, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("mail %d: %v, want %v", i, errs[i], want)
		}
	}
	if n := len(b.mails(t)); n != 2 {
		t.Errorf("%d mails, want 2", n)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := smtp.Config{Host: "h", Port: 25, From: "a@example.com"}
	for name, spoil := range map[string]func(*smtp.Config){
		"host": func(c *smtp.Config) { c.Host = "" }, "port": func(c *smtp.Config) { c.Port = 0 },
		"from": func(c *smtp.Config) { c.From = "shop" }, "security": func(c *smtp.Config) { c.Security = "ssl" },
		"password in clear": func(c *smtp.Config) { c.Security, c.Username = smtp.None, "u" },
		"connections":       func(c *smtp.Config) { c.Connections = -1 },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := smtp.New(cfg); err == nil {
			t.Errorf("accepted a bad %s", name)
		}
	}
	if _, err := smtp.New(good); err != nil {
		t.Error(err)
	}
}
