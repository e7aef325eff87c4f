package corpus_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// forged are the entries that say nothing of a carrier: each is one of a provider of payments and of mails as well.
func forged(t *testing.T) (list []forgery) {
	t.Helper()
	for _, f := range corpus[forgery](t, "webhook.json") {
		if f.Path == "" && f.Status != 0 && !strings.HasPrefix(f.Name, "well signed") {
			list = append(list, f)
		}
	}
	if len(list) < 90 {
		t.Fatalf("only %d of the carrier's forgeries are tried", len(list))
	}
	return list
}

// ours are those that have to be taken whoever sends them: by both secrets, and at both ends of the tolerance.
func ours() []forgery {
	next, old, ahead := nextSecret, []string{"{now-298}"}, []string{"{now+298}"}
	return []forgery{
		{Name: "the good one"}, {Name: "the next secret", Secret: &next}, {Name: "298 s old", Timestamps: &old}, {Name: "298 s ahead", Timestamps: &ahead},
	}
}

// signed sends a body with a signature that holds.
func (w town) signed(t *testing.T, service string, p parcel, name, body string, status int, code string) {
	t.Helper()
	text := "{ts}.{sent}"
	refused(t, service+": "+name, send(t, forgery{Body: &body, Signed: &text}.request(t, w.URL(service), p)), status, code)
}

// TestPaymentWebhooks sends forged webhooks of a provider of payments, by the gateway and straight to payment. The money
// of the transfer that they are about is there, so that each one that is believed shows: the payment is then charged.
func TestPaymentWebhooks(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *local.Config) {
		// The simulated provider signs with another secret, and payment does not ask by itself: only ours count.
		c.ServiceEnvironment = map[string]map[string]string{"payment": {"PAYMENT_WEBHOOK_SECRET": nextSecret + "," + webhookSecret, "TRANSFER_POLL": "0s"}}
		c.Simulators.Payment = payment.Config{RetryMin: time.Hour, RetryMax: time.Hour}
		c.Environment["LOG_LEVEL"] = "error"
	})
	p := w.transferred(t)
	for _, f := range forged(t) {
		for _, service := range []string{"gateway", "payment"} {
			refused(t, service+": "+f.Name, send(t, f.request(t, w.URL(service), p)), f.Status, f.Code)
		}
	}
	for _, service := range []string{"gateway", "payment"} {
		const dead = `{"id":"{id}","reference":"0190a3a0-0000-7000-8000-00000000dead"}`
		w.signed(t, service, p, "of an order nobody knows", dead, http.StatusNotFound, "not_found")
		for name, body := range map[string]string{"no JSON": "{", "no id": `{"reference":"{order}"}`, "no order": `{"id":"{id}"}`, "other types": `{"id":1,"reference":[]}`} {
			w.signed(t, service, p, name, body, http.StatusBadRequest, "invalid_field")
		}
		for _, path := range []string{"/webhooks/payments/toss", "/webhooks/payments/SIMULATOR", "/webhooks/payments/"} {
			refused(t, service+": "+path, send(t, forgery{Path: path}.request(t, w.URL(service), p)), http.StatusNotFound, "not_found")
		}
	}
	if got := w.paid(t, p.order); got != "AWAITING_TRANSFER" {
		t.Fatalf("after nothing but refusals the payment is %s", got)
	}
	for i, f := range ours() {
		req := f.request(t, w.URL([]string{"gateway", "payment"}[i%2]), p)
		again := req.Clone(t.Context())
		again.Body, _ = req.GetBody()
		for _, r := range []*http.Request{req, again} {
			if got := send(t, r); got.Status < 200 || got.Status > 299 {
				t.Errorf("%s: answered %d %s, want it taken", f.Name, got.Status, got.Body)
			}
		}
		if got := w.paid(t, p.order); got != "CHARGED" && got != "COMPLETED" {
			t.Errorf("after %q the payment is %s", f.Name, got)
		}
	}
	settled(t, w.client(t, local.Customer), p.order, "COMPLETED")
}

// transferred is an order to be paid by transfer, whose money the provider has.
func (w town) transferred(t *testing.T) parcel {
	t.Helper()
	if err := w.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := w.client(t, local.Customer)
	body := basket(local.Product, 10_050)
	body["paymentType"] = "TRANSFER"
	p := parcel{token: c.Token, order: place(t, c, body), path: "/webhooks/payments/simulator", genuine: func(p parcel, at time.Time) string {
		return fmt.Sprintf(`{"id":%q,"type":"charge.captured","reference":%q,"status":"dispatched","createdAt":%q}`, uuid.NewString(), p.order, at.UTC().Format(time.RFC3339))
	}}
	testkit.Eventually(t, patience, func() error {
		if got := w.paid(t, p.order); got != "AWAITING_TRANSFER" {
			return fmt.Errorf("the payment is %q", got)
		}
		return nil
	})
	if _, err := w.Simulators.Payment.Deposit("charge-" + p.order); err != nil {
		t.Fatal(err)
	}
	return p
}

// paid is what the customer sees of a payment; "" while there is none.
func (w town) paid(t *testing.T, order string) string {
	t.Helper()
	var p struct {
		Status string `json:"status"`
	}
	_ = w.client(t, local.Customer).Get(t.Context(), "/api/v1/orders/"+order+"/payment", &p) // 404 until there is one
	return p.Status
}

// TestMailWebhooks sends forged reports of mails that came back, by the gateway and straight to mailer. Each one that is
// believed shows: the mail is then BOUNCED, and the member would get no further one.
func TestMailWebhooks(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *local.Config) {
		c.ServiceEnvironment = map[string]map[string]string{"mailer": {"MAIL_WEBHOOK_SECRET": nextSecret + "," + webhookSecret}}
		c.Environment["LOG_LEVEL"] = "error"
	})
	if err := w.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := w.client(t, local.Customer)
	p := parcel{token: c.Token, order: place(t, c, basket(local.Product, 10_050)), path: "/webhooks/mail/bounces", genuine: func(p parcel, _ time.Time) string {
		return fmt.Sprintf(`{"id":%q,"messageId":"<mail-completed-%s@shop.example>","status":"5.1.1","note":"dispatched"}`, uuid.NewString(), p.order)
	}}
	testkit.Eventually(t, patience, func() error {
		if got := w.mail(t, p.order); got != "SENT" {
			return fmt.Errorf("the mail is %q", got)
		}
		return nil
	})
	for _, f := range forged(t) {
		for _, service := range []string{"gateway", "mailer"} {
			refused(t, service+": "+f.Name, send(t, f.request(t, w.URL(service), p)), f.Status, f.Code)
		}
	}
	for _, service := range []string{"gateway", "mailer"} {
		for name, body := range map[string]string{"no JSON": "{", "no status": `{"id":"{id}","messageId":"<mail-completed-{order}@shop.example>"}`, "other types": `{"id":1}`} {
			w.signed(t, service, p, name, body, http.StatusBadRequest, "invalid_field")
		}
		for name, of := range map[string]string{"of nobody's mail": "mail-completed-dead", "of another system's": "1234", "of a NUL": `mail-completed-\u0000`} {
			w.signed(t, service, p, name, `{"id":"{id}","messageId":"<`+of+`@shop.example>","status":"5.1.1"}`, http.StatusNotFound, "not_found")
		}
	}
	if got := w.mail(t, p.order); got != "SENT" {
		t.Fatalf("after nothing but refusals the mail is %s", got)
	}
	for i, f := range ours() {
		if got := send(t, f.request(t, w.URL([]string{"gateway", "mailer"}[i%2]), p)); got.Status < 200 || got.Status > 299 {
			t.Errorf("%s: answered %d %s, want it taken", f.Name, got.Status, got.Body)
		}
		if got := w.mail(t, p.order); got != "BOUNCED" {
			t.Errorf("after %q the mail is %s", f.Name, got)
		}
	}
}

// mail is the state of an order's first mail; "" while there is none.
func (w town) mail(t *testing.T, order string) string {
	t.Helper()
	ops := w.client(t, local.Operator, web.RoleOperator)
	ops.BaseURL = w.URL("mailer")
	var list struct {
		Data []struct {
			Kind  string `json:"kind"`
			State string `json:"state"`
		} `json:"data"`
	}
	if err := ops.Get(t.Context(), "/internal/v1/mails/"+order, &list); err != nil {
		t.Fatal(err)
	}
	for _, m := range list.Data {
		if m.Kind == "completed" {
			return m.State
		}
	}
	return ""
}
