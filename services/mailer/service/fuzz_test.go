package service

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/quadrille-io/quadrille/services/mailer"
)

// FuzzReport: whatever a webhook says, it is refused or understood; what it is about can be looked up, and is the mail
// that the Message-ID was made for. No header but one made with the secret holds.
func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"id":"1","messageId":"<mail-completed-o@shop.example>","status":"5.1.1"}`), "1767225600", "v1=00")
	f.Add([]byte(`{"id":"1","messageId":"mail-refunded-a-b","status":"4.2.2"}`), "-1", "v1=,v1=")
	f.Add([]byte(`{"id":"\u0000","messageId":"<mail-completed-\u0000@x>","status":"5.1.1"}`), "99999999999999999999", "")
	f.Add([]byte(`{"id":1}`), " 1767225600", "v1=zz, v2=00")
	f.Add([]byte(`[]`), "", "v1")
	f.Fuzz(func(t *testing.T, body []byte, timestamp, signature string) {
		header := http.Header{headerTimestamp: {timestamp}, headerSignature: {signature}}
		if err := verify([][]byte{[]byte("secret")}, header, body, time.Unix(1767225600, 0)); err == nil {
			t.Fatalf("%q %q was not signed with the secret", timestamp, signature)
		}
		r, err := parseReport(body)
		if err != nil {
			return
		}
		order, kind, ours := r.mail()
		if !ours {
			return
		}
		if !utf8.ValidString(order) || strings.ContainsRune(order, 0) || !strings.Contains(r.MessageID, mailer.MessageKey(order, kind)) {
			t.Fatalf("%q is taken for %q %q", r.MessageID, order, kind)
		}
	})
}
