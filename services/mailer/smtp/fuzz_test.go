package smtp

import (
	"bytes"
	"errors"
	netmail "net/mail"
	"strings"
	"testing"
)

// FuzzCompose: a mail that is composed goes to one receiver, and no name, subject or text adds a header to it; what
// cannot be sent is refused for good.
func FuzzCompose(f *testing.F) {
	f.Add("order.completed", "Name <a@b.example>", "Subject", "Text", "<p>HTML</p>")
	f.Add("k", "a@b.example\r\nBcc: c@d.example", "S\r\nBcc: c@d.example", ".\r\nRCPT TO:<c@d.example>", "")
	f.Add("k\r\n", "\"a\r\n\"@b.example", "=?utf-8?q?=0D=0ABcc:c@d.example?=", "\x00", "\xff")
	f.Add("", "a@b.example, c@d.example", "\u2028", strings.Repeat("a", 2000), "<p>")
	f.Add("k", "=?utf-8?q?=0D=0A?= <a@b.example>", "회원", "회원", "회원")
	f.Add("k", "<@x:a@b.example>", "", "", "")
	s, err := New(Config{Host: "localhost", Port: 25, Security: None, From: "Shop <shop@example.com>"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key, to, subject, text, html string) {
		msg, err := s.compose(Message{Key: key, To: to, Subject: subject, Text: text, HTML: html})
		if err != nil {
			if !errors.Is(err, ErrPermanent) {
				t.Fatalf("refused with %v, which would be tried again", err)
			}
			return
		}
		var wire bytes.Buffer
		if _, err := msg.WriteTo(&wire); err != nil {
			return // not sent
		}
		in, err := netmail.ReadMessage(bytes.NewReader(wire.Bytes()))
		if err != nil {
			t.Fatalf("not a mail: %v\n%s", err, wire.Bytes())
		}
		receivers, err := netmail.ParseAddressList(in.Header.Get("To"))
		if err != nil || len(receivers) != 1 || len(in.Header["To"]) != 1 || len(in.Header["Cc"])+len(in.Header["Bcc"]) > 0 {
			t.Fatalf("goes to %v %v\n%s", receivers, err, wire.Bytes())
		}
		for name := range in.Header {
			if !strings.Contains(" To From Subject Date Message-Id Mime-Version Content-Type Content-Transfer-Encoding Auto-Submitted ", " "+name+" ") {
				t.Fatalf("a header %s:\n%s", name, wire.Bytes())
			}
		}
	})
}
