package service_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/payment/service"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

const reconciliations = "/ops/v1/payments/reconciliations"

// compare has today compared and returns what was found.
func (r *system) compare() map[string]any {
	r.T.Helper()
	operator := r.Token("op", web.RoleOperator)
	before := ""
	if data := r.Call(operator, "GET", reconciliations, "").Data(); len(data) > 0 {
		before, _ = data[0]["startedAt"].(string)
	}
	body := fmt.Sprintf(`{"day":%q,"reason":"test"}`, time.Now().UTC().Format(time.DateOnly))
	if a := r.Call(operator, "POST", reconciliations, body); a.Status != 202 {
		r.T.Fatalf("start a comparison: %s", a)
	}
	var found map[string]any
	testkit.Eventually(r.T, 20*time.Second, func() error {
		data := r.Call(operator, "GET", reconciliations, "").Data()
		if len(data) == 0 || data[0]["startedAt"] == before {
			return fmt.Errorf("not compared yet: %v", data)
		}
		found = data[0]
		return nil
	})
	return found
}

// A webhook that was lost, and no poll: the day's comparison finds the money and completes the payment. What nobody
// can be certain of is left for a person, who is told.
func TestReconciliation(t *testing.T) {
	t.Parallel()
	r := startWith(t, false, map[string]string{"WEBHOOKS": "http://127.0.0.1:1"})
	good, trigger := r.pay("kim", "tok_ok", 0)
	r.want(good, 1, trigger, completed(good, "kim", 0))
	order, trigger, _ := r.transfer("kim")
	if err := r.deposit(order); err != nil {
		t.Fatal(err)
	}
	if found := r.compare(); found["repaired"] != 1.0 || found["charges"] != 2.0 || len(found["differences"].([]any)) != 0 {
		t.Errorf("found %v", found)
	}
	r.want(order, 1, trigger, transferred(order, "kim"))

	// Charged at the provider by somebody else, for an order that nobody knows.
	stranger := rig.NewID()
	if status := rig.Try(t, "POST", r.provider.url()+"/v1/charges", "strange", fmt.Sprintf(
		`{"amount":77,"currency":"KRW","token":"tok_ok","reference":%q}`, stranger), nil); status != 200 {
		t.Fatalf("charge: %d", status)
	}
	found := r.compare()
	differences, _ := found["differences"].([]any)
	if len(differences) != 1 || found["repaired"] != 0.0 {
		t.Fatalf("found %v", found)
	}
	if d, _ := differences[0].(map[string]any); d["kind"] != "UNKNOWN_CHARGE" || d["orderId"] != stranger || d["amount"] != 77.0 {
		t.Errorf("found %v", d)
	}
	notices, err := service.Notices(t.Context(), r.Pool)
	if err != nil || len(notices) != 1 || notices[0].Group != "reconciliation/difference" {
		t.Errorf("operators hear %+v, %v", notices, err)
	}
}

// A refund whose answers are all lost, and which the provider lists: it is settled.
func TestReconciliationFindsRefund(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, trigger := r.pay("kim", "tok_ok", 0)
	r.want(order, 1, trigger, completed(order, "kim", 0))
	r.provider.fault(outage.Fault{Mode: outage.Down})
	cause := r.Publish(order, cancelled(order, "kim"))
	undo := r.want(order, 2, cause, undone(order, "kim", price, 0))
	r.UntilTried(order, "refund", 1)
	// Its worker is gone for good, as far as this test goes; the refund arrived all the same.
	if _, err := r.Pool.Exec(t.Context(), `UPDATE call SET due_at = now() + interval '1 hour' WHERE subject = $1`, order); err != nil {
		t.Fatal(err)
	}
	r.provider.fault(outage.Fault{})
	var charged struct{ ChargeID string }
	rig.Try(t, "GET", r.provider.url()+"/v1/charges/by-key/charge-"+order, "", "", &charged)
	if status := rig.Try(t, "POST", r.provider.url()+"/v1/refunds", "refund-"+order, fmt.Sprintf(
		`{"chargeId":%q,"amount":%d,"currency":"KRW"}`, charged.ChargeID, price), nil); status != 200 {
		t.Fatalf("refund: %d", status)
	}
	r.compare()
	r.want(order, 3, undo, &paymentv1.PaymentRefunded{OrderId: order, UserId: "kim", PaymentAmount: price, Currency: "KRW"})
	r.wantMoney(order, price, price)
}

func TestReconciliationRefuses(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	operator := r.Token("op", web.RoleOperator)
	tomorrow := time.Now().UTC().Add(25 * time.Hour).Format(time.DateOnly)
	for _, c := range []struct {
		token, body string
		status      int
		code        string
	}{
		{"", `{"day":"2026-01-01","reason":"r"}`, 401, "unauthenticated"},
		{r.Token("kim"), `{"day":"2026-01-01","reason":"r"}`, 403, "forbidden"},
		{operator, `{"day":"2026-01-01"}`, 400, "missing_field"},
		{operator, `{"reason":"r"}`, 400, "missing_field"},
		{operator, `{"day":"yesterday","reason":"r"}`, 400, "invalid_field"},
		{operator, `{"day":"` + tomorrow + `","reason":"r"}`, 400, "invalid_field"},
	} {
		if a := r.Call(c.token, "POST", reconciliations, c.body); a.Status != c.status || a.Code() != c.code {
			t.Errorf("%s: %s, want %d %s", c.body, a, c.status, c.code)
		}
	}
	if a := r.Call(r.Token("kim"), "GET", reconciliations, ""); a.Status != 403 {
		t.Errorf("a customer reads what was found: %s", a)
	}
}
