package service_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

const (
	webhook = "/webhooks/mail/bounces"
	secret  = "whsec_mail"
)

// signed are the headers of a webhook of that moment.
func signed(secret string, at time.Time, body string) []string {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "." + body))
	return []string{"X-Quadrille-Timestamp", timestamp, "X-Quadrille-Signature", "v1=" + hex.EncodeToString(mac.Sum(nil))}
}

func report(id, messageID, status string) string {
	return fmt.Sprintf(`{"id":%q,"messageId":%q,"status":%q,"provider":{"own":"fields"}}`, id, messageID, status)
}

func (r *system) report(messageID, status string) rig.Answer {
	body := report(uuid.NewString(), messageID, status)
	return r.Call("", "POST", webhook, body, signed(secret, time.Now(), body)...)
}

func listening(t *testing.T) *system {
	t.Helper()
	r := prepare(t)
	r.env["MAIL_WEBHOOK_SECRET"] = secret + ",whsec_old"
	return r
}

// A mail that comes back is known as that, however often and from however many sides the provider says so, and the
// member gets no more mails until the address is another.
func TestBounce(t *testing.T) {
	t.Parallel()
	r := listening(t)
	r.start()
	r.publish("order-1", 1, completed("order-1", "lee"))
	r.await("order-1", map[string]string{"completed": "SENT"})
	const message = "<mail-completed-order-1@shop.example>"
	for status, want := range map[string]int{"4.4.7": 204, "2.1.5": 204} { // a delay, and a delivery
		if a := r.report(message, status); a.Status != want {
			t.Errorf("%s: %s", status, a)
		}
	}
	r.await("order-1", map[string]string{"completed": "SENT"})
	body := report("report-1", message, "5.1.1")
	var telling sync.WaitGroup
	for i := range 8 {
		telling.Go(func() {
			if a := r.Call("", "POST", webhook, body, signed([]string{secret, "whsec_old"}[i%2], time.Now(), body)...); a.Status != 204 {
				t.Errorf("webhook: %s", a)
			}
		})
	}
	telling.Wait()
	r.await("order-1", map[string]string{"completed": "BOUNCED"})
	if got, err := r.states("order-1"); err != nil || got["completed"].Code != "5.1.1" {
		t.Errorf("%+v, %v", got, err)
	}
	r.publish("order-2", 1, completed("order-2", "lee"))
	r.await("order-2", map[string]string{"completed": "SKIPPED"})
	r.publish("order-3", 1, completed("order-3", "kim"))
	r.await("order-3", map[string]string{"completed": "SENT"})
	r.Publish("lee", &memberv1.MemberChanged{
		MemberId: "lee", Name: "Lee", Email: "lee.new@shop.example", Language: "en", ChangedAt: timestamppb.Now(),
	})
	r.CaughtUp()
	r.publish("order-4", 1, completed("order-4", "lee"))
	r.await("order-4", map[string]string{"completed": "SENT"})
	if n := len(r.received("lee@shop.example")); n != 1 {
		t.Errorf("%d mails went to the dead address, want the first", n)
	}
	if n := len(r.received("lee.new@shop.example")); n != 1 {
		t.Errorf("%d mails went to the new address, want 1", n)
	}
}

// A mailbox that the server refuses is dead as well: the member's next mail is not tried any more.
func TestRefusedMailboxIsDead(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.start()
	r.publish("order-1", 1, completed("order-1", "gone"))
	r.await("order-1", map[string]string{"completed": "UNDELIVERABLE"})
	if got, err := r.states("order-1"); err != nil || got["completed"].Code != "550 5.1.1" || got["completed"].Attempts != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	r.publish("order-2", 1, completed("order-2", "gone"))
	r.await("order-2", map[string]string{"completed": "SKIPPED"})
}

func TestForgedBounces(t *testing.T) {
	t.Parallel()
	r := listening(t)
	r.start()
	r.publish("order-1", 1, completed("order-1", "lee"))
	r.await("order-1", map[string]string{"completed": "SENT"})
	now := time.Now()
	const message = "<mail-completed-order-1@shop.example>"
	body := report("report-1", message, "5.1.1")
	genuine := signed(secret, now, body)
	unknown, foreign, junk := report("r", "<mail-completed-order-2@shop.example>", "5.1.1"), report("r", "<1234@shop.example>", "5.1.1"), report("r", message, "no status")
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
		code    string
	}{
		"no signature":    {body, nil, 401, "invalid_signature"},
		"another secret":  {body, signed("whsec_other", now, body), 401, "invalid_signature"},
		"another body":    {body + " ", genuine, 401, "invalid_signature"},
		"another time":    {body, []string{genuine[0], "1", genuine[2], genuine[3]}, 401, "invalid_signature"},
		"a time in words": {body, []string{genuine[0], "now", genuine[2], genuine[3]}, 401, "invalid_signature"},
		"another version": {body, []string{genuine[0], genuine[1], genuine[2], "v2" + genuine[3][2:]}, 401, "invalid_signature"},
		"too old":         {body, signed(secret, now.Add(-310*time.Second), body), 401, "invalid_signature"},
		"from the future": {body, signed(secret, now.Add(310*time.Second), body), 401, "invalid_signature"},
		"not understood":  {"[]", signed(secret, now, "[]"), 400, "invalid_field"},
		"no status":       {junk, signed(secret, now, junk), 400, "invalid_field"},
		"nobody's mail":   {unknown, signed(secret, now, unknown), 404, "not_found"},
		"another's mail":  {foreign, signed(secret, now, foreign), 404, "not_found"},
	} {
		var a rig.Answer
		if a = r.Call("", "POST", webhook, c.body, c.headers...); a.Status != c.status || !strings.Contains(a.String(), c.code) {
			t.Errorf("%s: %s, want %d %s", name, a, c.status, c.code)
		}
	}
	r.await("order-1", map[string]string{"completed": "SENT"})
	deaf := prepare(t)
	deaf.start()
	if a := deaf.Call("", "POST", webhook, body, genuine...); a.Status != 404 {
		t.Errorf("without a secret: %s", a)
	}
}
