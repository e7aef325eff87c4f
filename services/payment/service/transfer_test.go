package service_test

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
	simulator "github.com/quadrille-io/quadrille/services/simulator/payment"
)

// transfer publishes the trigger of an order that is paid by transfer, and waits until its account is open.
func (r *system) transfer(user string) (order, trigger, account string) {
	r.T.Helper()
	order = rig.NewID()
	c := terms("", 0)
	c.PaymentType = orderv1.PaymentType_PAYMENT_TYPE_TRANSFER
	trigger = r.Publish(order, decreased(order, user, c))
	testkit.Eventually(r.T, 20*time.Second, func() error {
		a := r.Call(r.Token(user), "GET", "/api/v1/orders/"+order+"/payment", "")
		if a.Status != 200 || a.Body["status"] != "AWAITING_TRANSFER" {
			return fmt.Errorf("the payment: %s", a)
		}
		into, _ := a.Body["transfer"].(map[string]any)
		account, _ = into["accountNumber"].(string)
		return nil
	})
	if account == "" {
		r.T.Fatal("there is no account to pay into")
	}
	return order, trigger, account
}

func (r *system) deposit(order string) error {
	_, err := r.provider.simulator.Deposit("charge-" + order)
	return err
}

func transferred(order, user string) *paymentv1.PaymentCompleted {
	done := completed(order, user, 0)
	done.PaymentType = orderv1.PaymentType_PAYMENT_TYPE_TRANSFER
	return done
}

// wantStatus waits until the buyer sees a status, without an account.
func (r *system) wantStatus(user, order, status string) {
	r.T.Helper()
	testkit.Eventually(r.T, 20*time.Second, func() error {
		if a := r.Call(r.Token(user), "GET", "/api/v1/orders/"+order+"/payment", ""); a.Body["status"] != status || a.Body["transfer"] != nil {
			return fmt.Errorf("the buyer sees %s, want %s", a, status)
		}
		return nil
	})
}

// A transfer waits for the buyer; the provider's webhook completes it, and a cancel gives it back.
func TestTransferIsPaid(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, trigger, _ := r.transfer("kim")
	r.wantMoney(order, 0, 0)
	if a := r.Call(r.Token("lee"), "GET", "/api/v1/orders/"+order+"/payment", ""); a.Status != 404 {
		t.Errorf("somebody else sees the payment: %s", a)
	}
	if err := r.deposit(order); err != nil {
		t.Fatal(err)
	}
	r.want(order, 1, trigger, transferred(order, "kim"))
	r.wantStatus("kim", order, "COMPLETED")
	r.wantMoney(order, price, 0)
	cause := r.Publish(order, cancelled(order, "kim"))
	undo := r.want(order, 2, cause, undone(order, "kim", price, 0))
	r.want(order, 3, undo, &paymentv1.PaymentRefunded{OrderId: order, UserId: "kim", PaymentAmount: price, Currency: "KRW"})
	r.wantMoney(order, price, price)
}

// A transfer nobody has paid is closed at the provider before the undo goes on: nothing can come in any more.
func TestTransferIsClosed(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, _, _ := r.transfer("kim")
	r.provider.fault(outage.Fault{Mode: outage.Down})
	cause := r.Publish(order, cancelled(order, "kim"))
	r.UntilTried(order, "void_charge", 2)
	if n := r.Emitted(order); n != 0 {
		t.Error("the undo went on with the account still open")
	}
	r.provider.fault(outage.Fault{})
	r.want(order, 1, cause, undone(order, "kim", 0, 0))
	if err := r.deposit(order); err == nil {
		t.Error("a closed account was paid into")
	}
	r.wantMoney(order, 0, 0)
}

// Paid while it is being cancelled: the money is back, whoever was first.
func TestTransferIsPaidTooLate(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, _, _ := r.transfer("kim")
	r.provider.fault(outage.Fault{Mode: outage.Down})
	cause := r.Publish(order, cancelled(order, "kim"))
	r.UntilTried(order, "void_charge", 1)
	if err := r.deposit(order); err != nil {
		t.Fatal(err)
	}
	r.provider.fault(outage.Fault{})
	undo := r.want(order, 1, cause, undone(order, "kim", price, 0))
	r.want(order, 2, undo, &paymentv1.PaymentRefunded{OrderId: order, UserId: "kim", PaymentAmount: price, Currency: "KRW"})
	r.wantMoney(order, price, price)
}

// A webhook that never arrives costs a moment: the provider is asked.
func TestLostWebhookIsPolled(t *testing.T) {
	t.Parallel()
	r := startWith(t, false, map[string]string{"TRANSFER_POLL": "100ms", "WEBHOOKS": "http://127.0.0.1:1"})
	order, trigger, _ := r.transfer("kim")
	if err := r.deposit(order); err != nil {
		t.Fatal(err)
	}
	r.want(order, 1, trigger, transferred(order, "kim"))
}

func signed(key string, at time.Time, body string) []string {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return []string{
		simulator.HeaderTimestamp, timestamp,
		simulator.HeaderSignature, "v1=" + hex.EncodeToString(simulator.Sign([]byte(key), timestamp, []byte(body))),
	}
}

func hook(id, order string) string {
	return fmt.Sprintf(`{"id":%q,"type":"charge.captured","reference":%q}`, id, order)
}

const webhooks = "/webhooks/payments/simulator"

// Forged, replayed with another time, or about nothing: a webhook changes nothing, and even a genuine one is only a
// hint to ask.
func TestForgedWebhooks(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, _, _ := r.transfer("kim")
	now := time.Now()
	body := hook("w", order)
	genuine := signed(secret, now, body)
	for name, c := range map[string]struct {
		path, body string
		headers    []string
		status     int
		code       string
	}{
		"no signature":     {webhooks, body, nil, 401, "invalid_signature"},
		"another secret":   {webhooks, body, signed("whsec_other", now, body), 401, "invalid_signature"},
		"another body":     {webhooks, body + " ", genuine, 401, "invalid_signature"},
		"another time":     {webhooks, body, []string{genuine[0], "1", genuine[2], genuine[3]}, 401, "invalid_signature"},
		"too old":          {webhooks, body, signed(secret, now.Add(-310*time.Second), body), 401, "invalid_signature"},
		"from the future":  {webhooks, body, signed(secret, now.Add(310*time.Second), body), 401, "invalid_signature"},
		"another provider": {"/webhooks/payments/toss", body, genuine, 404, "not_found"},
		"not understood":   {webhooks, "[]", signed(secret, now, "[]"), 400, "invalid_field"},
		"nobody's order":   {webhooks, hook("x", rig.NewID()), signed(secret, now, hook("x", rig.NewID())), 401, "invalid_signature"},
		"nobody has paid":  {webhooks, body, genuine, 204, ""},
		"not an order":     {webhooks, hook("y", "elsewhere"), signed(secret, now, hook("y", "elsewhere")), 204, ""},
	} {
		if a := r.Call("", "POST", c.path, c.body, c.headers...); a.Status != c.status || a.Code() != c.code {
			t.Errorf("%s: %s, want %d %s", name, a, c.status, c.code)
		}
	}
	unknown := hook("z", rig.NewID())
	if a := r.Call("", "POST", webhooks, unknown, signed(secret, now, unknown)...); a.Status != 404 {
		t.Errorf("an unknown order: %s, want 404, so that it is sent again", a)
	}
	r.provider.fault(outage.Fault{Mode: outage.Down})
	if a := r.Call("", "POST", webhooks, body, genuine...); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("while the provider is down: %s, want 503", a)
	}
	if n := r.Emitted(order); n != 0 {
		t.Errorf("%d events of forged webhooks", n)
	}
}

// The webhook before the synchronous answer, after it, many times and at once: one completion, because of the same event.
func TestWebhookAgainstAnswer(t *testing.T) {
	t.Parallel()
	r := startWith(t, true, map[string]string{"PAYMENT_TIMEOUT": "4s"})
	for token, name := range map[string]string{
		"tok_unknown": "the webhook first: the answer never comes",
		"tok_ok":      "the answer first, or both at once",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := r.in(t)
			order, trigger := r.pay("kim", token, 0)
			r.want(order, 1, trigger, completed(order, "kim", 0))
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					body := hook(fmt.Sprint(order, i%4), order)
					if a := r.Call("", "POST", webhooks, body, signed([]string{secret, "old"}[i%2], time.Now(), body)...); a.Status != 204 {
						t.Errorf("webhook: %s", a)
					}
				})
			}
			all.Wait()
			r.CaughtUp()
			if n := r.Emitted(order); n != 1 {
				t.Errorf("%d events, want one", n)
			}
			r.wantMoney(order, price, 0)
		})
	}
}

// The provider's webhook while the key is being closed: the order was cancelled, so the capture is given back.
func TestWebhookAgainstCancel(t *testing.T) {
	t.Parallel()
	r := startWith(t, true, map[string]string{"PAYMENT_TIMEOUT": "4s"})
	for range 5 {
		order, _ := r.pay("kim", "tok_unknown", 0)
		cause := r.Publish(order, cancelled(order, "kim"))
		first := r.Await(1, rig.About(order))[0]
		if done, is := first.Message.(*paymentv1.PaymentCompleted); is {
			if done.GetPaymentAmount() != price {
				t.Errorf("completed with %v", done)
			}
			undo := r.want(order, 2, cause, undone(order, "kim", price, 0))
			r.want(order, 3, undo, &paymentv1.PaymentRefunded{OrderId: order, UserId: "kim", PaymentAmount: price, Currency: "KRW"})
		} else if first.Message.(*paymentv1.PaymentCancelled).GetPaymentAmount() > 0 {
			r.want(order, 2, first.ID, &paymentv1.PaymentRefunded{OrderId: order, UserId: "kim", PaymentAmount: price, Currency: "KRW"})
		}
		r.CaughtUp()
		if charged, refunded, _ := r.provider.money(order); charged != refunded {
			t.Errorf("%d were charged and %d refunded", charged, refunded)
		}
	}
}
