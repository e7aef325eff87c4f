package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// mailbox is a mail server that keeps what it is sent; it refuses as many as refuse says first.
type mailbox struct {
	addr   string
	refuse atomic.Int64

	mu    sync.Mutex
	mails []string
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	b := &mailbox{}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	b.addr = l.Addr().String()
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{box: b}, nil }))
	server.AllowInsecureAuth = true
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return b
}

func (b *mailbox) received() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.mails...)
}

type mailSession struct {
	box      *mailbox
	envelope string
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error { s.envelope = from; return nil }
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.envelope += " to " + to
	return nil
}
func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }
func (s *mailSession) Data(r io.Reader) error {
	if s.box.refuse.Add(-1) >= 0 {
		return &smtp.SMTPError{Code: 451, Message: "not now"}
	}
	text, err := io.ReadAll(r)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mails = append(s.box.mails, s.envelope+"\n"+strings.ReplaceAll(string(text), "=\r\n", ""))
	return err
}

// hook is a webhook that keeps what it is sent.
type hook struct {
	*httptest.Server
	refuse atomic.Int64

	mu    sync.Mutex
	posts []struct {
		Service string        `json:"service"`
		Notices []host.Notice `json:"notices"`
	}
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.refuse.Add(-1) >= 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		h.posts = append(h.posts, struct {
			Service string        `json:"service"`
			Notices []host.Notice `json:"notices"`
		}{})
		if err := json.NewDecoder(r.Body).Decode(&h.posts[len(h.posts)-1]); err != nil || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("webhook got %v, content type %q", err, r.Header.Get("Content-Type"))
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// groups lists what the webhook was told of, by group.
func (h *hook) groups() map[string][]host.Notice {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string][]host.Notice{}
	for _, p := range h.posts {
		for _, n := range p.Notices {
			all[n.Group] = append(all[n.Group], n)
		}
	}
	return all
}

func TestOperatorsAreToldOfWhatNeedsAPersonOnceAnHour(t *testing.T) {
	t.Parallel()
	p, box, web := newPlace(t), newMailbox(t), newHook(t)
	box.refuse.Store(2)
	web.refuse.Store(2)
	operators := host.Operators{
		Mail: []string{"ops@example.com", "boss@example.com"}, SMTP: box.addr, From: "quadrille@example.com",
		Webhook: web.URL, Every: 10 * time.Millisecond,
	}
	var mended atomic.Bool
	var rounds atomic.Int64
	service := parts(&mended)
	service.Notices = func(context.Context, *pgxpool.Pool) ([]host.Notice, error) {
		rounds.Add(1)
		return []host.Notice{{Group: "refund/refused", Text: "Pay back by hand.", Subjects: []string{"o"}, Count: 1, Since: time.Now()}}, nil
	}
	// Two replicas look at the same lists.
	p.start(t, service, operators)
	p.start(t, service, operators)
	pool := testkit.Pool(t, p.url)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO call (subject, kind, body, attempts, due_at, cause, root, traceparent, created_at)
		SELECT 'order-c' || n, 'charge', '', n, clock_timestamp() + interval '1 hour', '', '', '', clock_timestamp()
		FROM generate_series(7, 9) AS n`)
	check(t, err)
	for i := range 12 {
		p.order(t, fmt.Sprint("order-", i), "panic")
	}
	var parked string
	testkit.Eventually(t, patience, func() error {
		told := 0
		for group, notices := range web.groups() {
			told += len(notices)
			if strings.HasPrefix(group, "parked/stock/quadrille.order.v1.OrderCreated/") {
				parked = group
			}
		}
		if parked == "" || told != 3 {
			return fmt.Errorf("the webhook was told of %v", web.groups())
		}
		if all := strings.Join(box.received(), "\n"); !strings.Contains(all, parked) || !strings.Contains(all, "call/stock/charge") || !strings.Contains(all, "refund/refused") {
			return errors.New("mails are incomplete: " + all)
		}
		return nil
	})
	if n := web.groups()["call/stock/charge"][0]; n.Count != 2 || len(n.Subjects) != 2 {
		t.Errorf("stuck calls are %+v: want two", n)
	}
	for _, mail := range box.received() {
		for _, part := range []string{"quadrille@example.com to ops@example.com to boss@example.com", "quadrille dlq list", "Subject: [quadrille] stock: "} {
			if !strings.Contains(mail, part) {
				t.Errorf("a mail lacks %q:\n%s", part, mail)
			}
		}
	}

	// Nobody is told again within the hour, and again after it.
	mails, seen := len(box.received()), rounds.Load()
	testkit.Eventually(t, patience, func() error {
		if rounds.Load() < seen+20 {
			return errors.New("still looking")
		}
		return nil
	})
	for group, notices := range web.groups() {
		if len(notices) != 1 {
			t.Errorf("told of %s %d times", group, len(notices))
		}
	}
	if len(box.received()) != mails {
		t.Error("mails were sent again within the hour")
	}
	testkit.Eventually(t, patience, func() error {
		var n int
		err := pool.QueryRow(t.Context(), `SELECT count(*) FROM failure`).Scan(&n)
		if err == nil && n != 12 {
			err = fmt.Errorf("%d orders are parked: want 12", n)
		}
		return err
	})
	_, err = pool.Exec(t.Context(), `UPDATE notice SET sent_at = sent_at - interval '1 hour' WHERE group_key LIKE 'webhook parked/%'`)
	check(t, err)
	testkit.Eventually(t, patience, func() error {
		if again := web.groups()[parked]; len(again) != 2 || again[1].Count != 12 || len(again[1].Subjects) != 10 {
			return fmt.Errorf("after an hour the webhook was told %+v", again)
		}
		return nil
	})
}

func TestOperatorsConfiguration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		operators host.Operators
		say       string
	}{
		{host.Operators{}, ""},
		{host.Operators{Mail: []string{"ops@example.com"}, SMTP: "localhost:25", Webhook: "https://example.com/hook"}, ""},
		{host.Operators{Mail: []string{"ops@example.com"}}, "OPERATORS_SMTP"},
		{host.Operators{Mail: []string{"ops"}, SMTP: "localhost:25"}, "OPERATORS_MAIL"},
		{host.Operators{Webhook: "example.com"}, "OPERATORS_WEBHOOK"},
		{host.Operators{Every: -1}, "OPERATORS_EVERY"},
	} {
		err := c.operators.Validate()
		if (err == nil) != (c.say == "") || err != nil && !strings.Contains(err.Error(), c.say) {
			t.Errorf("%+v gives %v: want %q", c.operators, err, c.say)
		}
	}
}
