package inbox

import (
	"strings"
	"testing"
)

// FuzzParse: any mail is shown or refused; what is shown says its subject in one line's worth and lies in bounds.
func FuzzParse(f *testing.F) {
	f.Add([]byte("Subject: S\r\nFrom: a@b.example\r\n\r\nText\r\n"))
	f.Add([]byte("Subject: =?utf-8?q?a?=\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\n"))
	f.Add([]byte("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!"))
	f.Add([]byte(strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 10)))
	f.Add([]byte("\r\n"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parse(raw)
		if err != nil {
			return
		}
		if len(m.Text)+len(m.HTML) > 4*len(raw)+16 || len(m.Headers["Subject"]) > 0 && m.Subject != m.Headers["Subject"][0] {
			t.Fatalf("%q is shown as %+v", raw, m)
		}
	})
}
