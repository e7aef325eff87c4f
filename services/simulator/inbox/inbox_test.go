package inbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	netsmtp "net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/services/simulator/inbox"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// post is a running inbox.
type post struct {
	t      *testing.T
	server *inbox.Server
	http   *httptest.Server
	addr   string
}

func start(t *testing.T, cfg inbox.Config) *post {
	t.Helper()
	s, err := inbox.New(cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeSMTP(l) }()
	p := &post{t: t, server: s, http: httptest.NewServer(s.Handler()), addr: l.Addr().String()}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		p.http.Close()
	})
	return p
}

func (p *post) send(id, to, body string) error {
	head := "From: Shop <shop@example.com>\r\nTo: " + to + "\r\nMessage-ID: <" + id + "@example.com>\r\n"
	return netsmtp.SendMail(p.addr, nil, "shop@example.com", []string{to}, []byte(head+body))
}

func (p *post) must(id, to, body string) {
	p.t.Helper()
	if err := p.send(id, to, body); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

func (p *post) get(path string) (int, string, http.Header) {
	p.t.Helper()
	resp, err := http.Get(p.http.URL + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(content), resp.Header
}

func (p *post) list(query string) (mails []inbox.Message, more bool) {
	p.t.Helper()
	var l struct {
		Data    []inbox.Message
		HasMore bool
	}
	status, content, _ := p.get("/messages?" + query)
	if err := json.Unmarshal([]byte(content), &l); status != 200 || err != nil {
		p.t.Fatalf("list %s: %d %s %v", query, status, content, err)
	}
	return l.Data, l.HasMore
}

const alternative = "MIME-Version: 1.0\r\nSubject: =?UTF-8?q?Caf=C3=A9_is_ready?=\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nTen =E2=82=A9\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+VGVuPC9iPjxzY3JpcHQ+YWxlcnQoMSk8L3Nj\r\ncmlwdD4=\r\n--b--\r\n"

func TestParts(t *testing.T) {
	t.Parallel()
	p := start(t, inbox.Config{Dir: t.TempDir()})
	p.must("1", "a@example.com", alternative)
	p.must("2", "b@example.com", "Subject: plain\r\n\r\njust text\r\n")
	mails, _ := p.list("to=A@example.com")
	if len(mails) != 1 {
		t.Fatalf("%d mails to a", len(mails))
	}
	m := mails[0]
	if m.Subject != "Café is ready" || m.Text != "Ten ₩" || !strings.HasPrefix(m.HTML, "<b>Ten</b>") ||
		m.From != "Shop <shop@example.com>" || m.To[0] != "a@example.com" || m.Headers["Message-Id"][0] != "<1@example.com>" {
		t.Fatalf("parsed %+v", m)
	}
	if mails, _ := p.list(""); len(mails) != 2 || mails[0].Text != "just text\n" {
		t.Fatalf("newest first: %+v", mails)
	}
	var one inbox.Message
	status, content, _ := p.get("/messages/" + m.ID)
	if err := json.Unmarshal([]byte(content), &one); status != 200 || err != nil || one.Text != m.Text {
		t.Fatalf("one: %d %s", status, content)
	}
	for path, want := range map[string]int{"/messages/none": 404, "/messages?limit=0": 400, "/mails/none": 404, "/none": 404} {
		if status, _, _ := p.get(path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

func TestSameMailTwiceIsShownOnce(t *testing.T) {
	t.Parallel()
	p := start(t, inbox.Config{Dir: t.TempDir()})
	for range 3 {
		p.must("same", "a@example.com", "Subject: s\r\n\r\nx\r\n")
	}
	p.must("same", "b@example.com", "Subject: s\r\n\r\nx\r\n")
	if mails, _ := p.list("to=a@example.com"); len(mails) != 1 || mails[0].Deliveries != 3 {
		t.Fatalf("to a: %+v", mails)
	}
	if mails, _ := p.list("to=b@example.com"); len(mails) != 1 || mails[0].Deliveries != 1 {
		t.Fatalf("to b: %+v", mails)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	p := start(t, inbox.Config{Dir: t.TempDir()})
	for _, c := range []struct {
		mode outage.Mode
		want string
	}{
		{outage.Down, "EOF"}, {outage.TempFail, "451"}, {outage.PermFail, "554"}, {outage.None, ""},
	} {
		resp, err := http.Post(p.http.URL+"/faults", "application/json", strings.NewReader(fmt.Sprintf(`{"mode":%q}`, c.mode)))
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("set %s: %v", c.mode, err)
		}
		_ = resp.Body.Close()
		err = p.send(string(c.mode), "a@example.com", "Subject: s\r\n\r\nx\r\n")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) && c.mode != outage.Down {
			t.Errorf("%s: %v, want %q", c.mode, err, c.want)
		}
	}
	if err := p.send("b", "bounce@example.com", "\r\nx\r\n"); err == nil || !strings.Contains(err.Error(), "550") {
		t.Errorf("bounce: %v", err)
	}
	if mails, _ := p.list(""); len(mails) != 1 {
		t.Errorf("%d mails, want 1", len(mails))
	}
}

func TestKillForgetsNothing(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	p := start(t, inbox.Config{Dir: dir})
	p.must("1", "a@example.com", alternative)
	p.must("1", "a@example.com", alternative)
	content, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(copied, "journal"), append(content, content[:30]...), 0o600); err != nil {
		t.Fatal(err)
	}
	q := start(t, inbox.Config{Dir: copied})
	if mails, _ := q.list(""); len(mails) != 1 || mails[0].Deliveries != 2 || mails[0].Subject != "Café is ready" {
		t.Fatalf("after the kill: %+v", mails)
	}
}

func TestKeepsTheNewest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	func() {
		s, err := inbox.New(inbox.Config{Dir: dir, Keep: 1000})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go s.ServeSMTP(l) //nolint:errcheck // ends with Close
		p := &post{t: t, server: s, addr: l.Addr().String()}
		for i := range 9 {
			p.must(fmt.Sprint(i), "a@example.com", "\r\nx\r\n")
		}
	}()
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "journal"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	p := start(t, inbox.Config{Dir: dir, Keep: 3})
	p.must("new", "a@example.com", "\r\nx\r\n")
	mails, more := p.list("limit=2")
	if all, _ := p.list(""); len(all) != 3 || len(mails) != 2 || !more || mails[0].Headers["Message-Id"][0] != "<new@example.com>" {
		t.Fatalf("kept %+v, more %v", mails, more)
	}
	if size() >= before {
		t.Fatalf("journal of %d bytes was not compacted from %d", size(), before)
	}
}
