package inbox_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/services/simulator/inbox"
	"github.com/quadrille-io/quadrille/services/simulator/journal"
)

// shows fails the test unless a page has all of the words, and none of those that begin with "!".
func (p *post) shows(path string, words ...string) {
	p.t.Helper()
	status, page, _ := p.get(path)
	if status != 200 {
		p.t.Errorf("%s: %d", path, status)
	}
	for _, word := range words {
		unwanted, is := strings.CutPrefix(word, "!")
		if strings.Contains(page, strings.TrimPrefix(word, "!")) == is {
			p.t.Errorf("%s: want %q (unwanted %v):\n%s", path, unwanted, is, page)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	p := start(t, inbox.Config{Dir: t.TempDir()})
	p.shows("/", "No mails yet")
	p.must("mail-completed-o1", "a@example.com", alternative)
	p.must("mail-completed-o2", "b@example.com", "Subject: <script>alert(2)</script>\r\n\r\n<script>alert(3)</script>\r\n")
	p.shows("/", "Café is ready", "a@example.com", "&lt;script&gt;alert(2)", "!<script")
	p.shows("/?to=B@EXAMPLE", "b@example.com", "!a@example.com")
	p.shows("/?order=o1", "Café", "!b@example.com", "show all")
	p.shows("/?order=o3&to=a", "No mails to a about order o3", "Show all")
	p.shows("/?to=%3Cscript%3E", "!<script>", "&lt;script&gt;")
	mails, _ := p.list("")
	plain, rich := "/mails/"+mails[0].ID, "/mails/"+mails[1].ID
	p.shows(rich, `sandbox src="`+rich+`/html"`, "&lt;mail-completed-o1@example.com&gt;", `aria-current="page">HTML`, "!alert(1)")
	p.shows(rich+"?view=text", "<pre", "Ten ₩", "!<iframe")
	p.shows(rich+"?view=source", "Ten =E2=82=A9", "boundary=b", rich+"/source", "!<iframe")
	p.shows(rich+"/html", "<b>Ten</b><script>alert(1)</script>")
	p.shows(plain, "&lt;script&gt;alert(3)", "!<iframe", "!<script")
	for _, path := range []string{"/mails/none", "/mails/none/html", "/mails/none/source", "/preview/en/none", "/preview/en/none/html"} {
		if status, _, _ := p.get(path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// What a mail is made of runs nothing and loads nothing, wherever it is opened; nor do our own pages, but their style.
func TestNothingRunsAndNothingLoads(t *testing.T) {
	t.Parallel()
	p := start(t, inbox.Config{Dir: t.TempDir(), Previews: []inbox.Preview{{Name: "n", Language: "en", HTML: "<p>x"}}})
	p.must("1", "a@example.com", alternative)
	mails, _ := p.list("")
	mail := "/mails/" + mails[0].ID
	for path, wants := range map[string][]string{
		"/":                  {"default-src 'none'", "style-src 'self'", "frame-ancestors 'none'"},
		mail:                 {"default-src 'none'", "frame-src 'self'", "frame-ancestors 'none'"},
		"/preview/":          {"default-src 'none'"},
		"/preview/en/n":      {"default-src 'none'"},
		mail + "/html":       {"sandbox;", "default-src 'none'", "form-action 'none'", "frame-ancestors 'self'"},
		"/preview/en/n/html": {"sandbox;", "default-src 'none'", "form-action 'none'", "frame-ancestors 'self'"},
		mail + "/source":     {"sandbox;", "default-src 'none'"},
	} {
		status, page, header := p.get(path)
		policy := header.Get("Content-Security-Policy")
		for _, want := range wants {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %q", path, policy, want)
			}
		}
		if status != 200 || strings.Contains(policy, "script-src") || strings.Contains(policy, "allow-") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, status, header)
		}
		if strings.Contains(page, "http://") || strings.Contains(page, "https://") {
			t.Errorf("%s names another place:\n%s", path, page)
		}
	}
	if _, _, header := p.get(mail + "/source"); header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("the source is %v", header)
	}
	if status, style, header := p.get("/style.css"); status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/css") || strings.Contains(style, "url(") {
		t.Errorf("style: %d %v", status, header)
	}
}

// The source is what came over the wire, to the byte, also after a restart.
func TestSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, inbox.Config{Dir: dir})
	p.must("1", "a@example.com", "Subject: s\r\n\r\nLatin \xe9\r\n..dots\r\n")
	want := "From: Shop <shop@example.com>\r\nTo: a@example.com\r\nMessage-ID: <1@example.com>\r\nSubject: s\r\n\r\nLatin \xe9\r\n..dots\r\n"
	mails, _ := p.list("")
	if _, source, _ := p.get("/mails/" + mails[0].ID + "/source"); source != want {
		t.Errorf("source %q, want %q", source, want)
	}
	content, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	copied := t.TempDir()
	if err := os.WriteFile(filepath.Join(copied, "journal"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	again := start(t, inbox.Config{Dir: copied})
	if _, source, _ := again.get("/mails/" + mails[0].ID + "/source"); source != want {
		t.Errorf("after a restart %q, want %q", source, want)
	}
}

// Many mails are paged through, newest first, each once, with what they were filtered by.
func TestOlder(t *testing.T) {
	t.Parallel()
	p := start(t, inbox.Config{Dir: t.TempDir()})
	const mails = 230
	for i := range mails {
		p.must(fmt.Sprintf("mail-%d-o", i), "a@example.com", fmt.Sprintf("Subject: number %03d.\r\n\r\nx\r\n", i))
	}
	p.must("other", "other@example.com", "Subject: another\r\n\r\nx\r\n")
	path, seen := "/?to=a%40example.com&order=-o", 0
	for pages := 0; path != "" && pages < 5; pages++ {
		_, page, _ := p.get(path)
		for i := mails - 1 - seen; strings.Contains(page, fmt.Sprintf("number %03d.", i)); i-- {
			seen++
		}
		if strings.Contains(page, "another") {
			t.Errorf("%s shows somebody else's", path)
		}
		_, rest, more := strings.Cut(page, `rel="next" href="`)
		path = ""
		if more {
			path, _, _ = strings.Cut(strings.ReplaceAll(rest, "&amp;", "&"), `"`)
		}
	}
	if seen != mails {
		t.Errorf("%d of %d mails were shown", seen, mails)
	}
}

func TestPreviews(t *testing.T) {
	t.Parallel()
	none := start(t, inbox.Config{Dir: t.TempDir()})
	none.shows("/preview/", "without templates")
	p := start(t, inbox.Config{Dir: t.TempDir(), Previews: []inbox.Preview{
		{Name: "done", Language: "en", Subject: "Done & dusted", Text: "It is <done>.", HTML: "<p>It is done.</p>"},
		{Name: "done", Language: "ko", Subject: "완료", Text: "완료", HTML: "<p>완료</p>"},
	}})
	p.shows("/preview/", "/preview/en/done", "/preview/ko/done", "Done &amp; dusted", "완료")
	p.shows("/preview/en/done", `sandbox src="/preview/en/done/html"`, "Done &amp; dusted", "!Source")
	p.shows("/preview/en/done?view=text", "It is &lt;done&gt;.", "!<iframe")
	p.shows("/preview/ko/done/html", "<p>완료</p>")
}

// What a version before this one kept has no source, and is shown all the same.
func TestMailsOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := journal.Open(dir, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	line := `{"mail":{"id":"old","from":"shop@example.com","to":["a@example.com"],"subject":"s","text":"as it was","html":"<p>as it was</p>",` +
		`"headers":{"Message-Id":["<1@example.com>"]},"receivedAt":"2026-01-02T03:04:05Z","deliveries":1}}`
	if err := errors.Join(j.Sync(j.Append([]byte(line))), j.Close()); err != nil {
		t.Fatal(err)
	}
	p := start(t, inbox.Config{Dir: dir})
	p.must("1", "a@example.com", "Subject: s\r\n\r\nx\r\n") // once more
	if mails, _ := p.list(""); len(mails) != 1 || mails[0].Text != "as it was" || mails[0].Deliveries != 2 {
		t.Fatalf("%+v", mails)
	}
	p.shows("/mails/old?view=text", "as it was", "2 times", "!Source")
	p.shows("/mails/old/html", "<p>as it was</p>")
}
