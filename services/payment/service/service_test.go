package service_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/payment/service"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

const (
	// patience is a provider time-out that a busy machine does not run into by itself.
	patience = 2 * time.Second
	// price of every order here, in won.
	price = 10_050
)

// terms are an order's, paid by card with the token and by points.
func terms(token string, points int64) *orderv1.Checkout {
	return &orderv1.Checkout{
		ItemsAmount: price, PointAmount: points, PaymentAmount: price - points, Currency: "KRW", PaymentToken: token,
		PaymentType: orderv1.PaymentType_PAYMENT_TYPE_CREDIT,
	}
}

func decreased(order, user string, c *orderv1.Checkout) *stockv1.StockDecreased {
	return &stockv1.StockDecreased{OrderId: order, UserId: user, Checkout: c}
}

func cancelled(order, user string) *orderv1.OrderCancelled {
	return &orderv1.OrderCancelled{OrderId: order, UserId: user, UndoFrom: orderv1.UndoFrom_UNDO_FROM_PAYMENT}
}

// pay publishes the trigger of an order without coupons; the order's id is new.
func (r *system) pay(user, token string, points int64) (order, trigger string) {
	r.T.Helper()
	order = rig.NewID()
	return order, r.Publish(order, decreased(order, user, terms(token, points)))
}

// want waits for the n-th event about an order (from 1) and holds it against its message, leaving out ids and times,
// and its cause. It returns the event's id.
func (r *system) want(order string, n int, cause string, want proto.Message) string {
	r.T.Helper()
	return r.Want(order, n, cause, want, "payment_id", "completed_at", "failed_at", "cancelled_at", "refunded_at")
}

func (r *system) wantMoney(order string, charged, refunded int64) {
	r.T.Helper()
	gotCharged, gotRefunded, charges := r.provider.money(order)
	if gotCharged != charged || gotRefunded != refunded || charges > 1 {
		r.T.Errorf("the provider has charged %d in %d charges and refunded %d; want %d and %d", gotCharged, charges, gotRefunded, charged, refunded)
	}
}

func (r *system) wantPoints(user string, balance int64) {
	r.T.Helper()
	a := r.Call(r.Token(user), "GET", "/api/v1/points", "")
	if a.Status != 200 || a.Body["balance"] != float64(balance) {
		r.T.Errorf("points of %s: %d %v, want %d", user, a.Status, a.Body["balance"], balance)
	}
}

func (r *system) grant(user string, amount int64) {
	r.T.Helper()
	a := r.Call(r.Token("op", web.RoleOperator), "POST", "/ops/v1/points/grants", fmt.Sprintf(`{"userId":%q,"amount":%d,"reason":"test"}`, user, amount))
	if a.Status != 201 {
		r.T.Fatalf("grant: %d %v", a.Status, a.Body)
	}
}

func completed(order, user string, points int64) *paymentv1.PaymentCompleted {
	return &paymentv1.PaymentCompleted{
		OrderId: order, UserId: user, PaymentAmount: price - points, PointAmount: points, Currency: "KRW",
		PaymentType: orderv1.PaymentType_PAYMENT_TYPE_CREDIT,
	}
}

func undone(order, user string, charged, points int64) *paymentv1.PaymentCancelled {
	return &paymentv1.PaymentCancelled{OrderId: order, UserId: user, PaymentAmount: charged, PointAmount: points, Currency: "KRW"}
}

// Every token of the provider: what the order hears, and that it is charged once or not at all.
func TestTokens(t *testing.T) {
	t.Parallel()
	r := start(t, 300*time.Millisecond)
	for token, reason := range map[string]string{
		"":                   "",
		"tok_ok":             "",
		"tok_unknown":        "", // times out, was charged
		"tok_flaky":          "", // fails twice, then charges
		"tok_decline":        "card_declined",
		"tok_unknown_failed": "NOT_CHARGED", // times out, was not charged
		"tok_no_such_token":  "invalid_token",
	} {
		t.Run("token "+token, func(t *testing.T) {
			t.Parallel()
			r := r.in(t)
			order, trigger := r.pay("kim", token, 0)
			if reason == "" {
				r.want(order, 1, trigger, completed(order, "kim", 0))
				r.wantMoney(order, price, 0)
				return
			}
			r.want(order, 1, trigger, &paymentv1.PaymentFailed{OrderId: order, UserId: "kim", Reason: reason})
			r.wantMoney(order, 0, 0)
		})
	}
}

// Points and card are one step: both are taken, and both come back.
func TestPointsAndCardTogether(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	r.grant("kim", 5_000)
	order, trigger := r.pay("kim", "tok_ok", 2_000)
	r.want(order, 1, trigger, completed(order, "kim", 2_000))
	r.wantPoints("kim", 3_000)

	refused, trigger := r.pay("kim", "tok_decline", 2_000)
	r.want(refused, 1, trigger, &paymentv1.PaymentFailed{OrderId: refused, UserId: "kim", Reason: "card_declined"})
	r.wantPoints("kim", 3_000)

	short, trigger := r.pay("kim", "tok_ok", 3_001)
	r.want(short, 1, trigger, &paymentv1.PaymentFailed{OrderId: short, UserId: "kim", Reason: "INSUFFICIENT_POINTS"})
	r.wantMoney(short, 0, 0)

	cause := r.Publish(order, cancelled(order, "kim"))
	undo := r.want(order, 2, cause, undone(order, "kim", price-2_000, 2_000))
	r.want(order, 3, undo, &paymentv1.PaymentRefunded{OrderId: order, UserId: "kim", PaymentAmount: price - 2_000, Currency: "KRW"})
	r.wantMoney(order, price-2_000, price-2_000)
	r.wantPoints("kim", 5_000)

	// The ledger tells it all, newest first, and adds up to the balance.
	list := r.Call(r.Token("kim"), "GET", "/api/v1/points?limit=4", "")
	var kinds []string
	data, _ := list.Body["data"].([]any)
	for _, one := range data {
		entry, _ := one.(map[string]any)
		kinds = append(kinds, fmt.Sprintf("%v %v", entry["kind"], entry["amount"]))
	}
	want := "[RETURNED 2000 RETURNED 2000 TAKEN -2000 TAKEN -2000]"
	if fmt.Sprint(kinds) != want || !list.More() {
		t.Errorf("ledger %v, more: %v, want %s", kinds, list.Body["hasMore"], want)
	}
	last, _ := data[3].(map[string]any)
	rest := r.Call(r.Token("kim"), "GET", fmt.Sprint("/api/v1/points?startingAfter=", last["id"]), "")
	if data, _ := rest.Body["data"].([]any); len(data) != 1 || rest.More() || data[0].(map[string]any)["orderId"] != nil {
		t.Errorf("the rest of the ledger: %v", rest.Body)
	}
}

// An order paid with points alone never meets the provider.
func TestAllPoints(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	r.provider.fault(outage.Fault{Mode: outage.Cut})
	r.grant("kim", price)
	order := rig.NewID()
	c := terms("", price)
	c.PaymentType = orderv1.PaymentType_PAYMENT_TYPE_POINT
	trigger := r.Publish(order, decreased(order, "kim", c))
	done := completed(order, "kim", price)
	done.PaymentType = orderv1.PaymentType_PAYMENT_TYPE_POINT
	r.want(order, 1, trigger, done)
	r.wantPoints("kim", 0)
	cause := r.Publish(order, cancelled(order, "kim"))
	r.want(order, 2, cause, undone(order, "kim", 0, price))
	r.wantPoints("kim", price)
}

// With coupons, coupon's word is the trigger, and the discount it granted counts.
func TestCouponCounts(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order := rig.NewID()
	c := terms("tok_ok", 0)
	c.CouponRefs, c.DiscountAmount, c.PaymentAmount = []string{"WELCOME"}, 3_000, price-3_000
	r.Publish(order, decreased(order, "kim", c))
	trigger := r.Publish(order, &couponv1.CouponUsed{OrderId: order, UserId: "kim", DiscountAmount: 3_000, Checkout: c})
	r.Publish(order, &orderv1.OrderCouponWaived{OrderId: order, UserId: "kim", Checkout: c})
	done := completed(order, "kim", 0)
	done.PaymentAmount, done.DiscountAmount, done.CouponCounted, done.HasCoupons = price-3_000, 3_000, true, true
	// Whichever of the two comes first wins: topics have no order between them.
	if e := r.Await(1, rig.About(order))[0]; e.Causation != trigger {
		trigger, done.PaymentAmount, done.DiscountAmount, done.CouponCounted = e.Causation, price, 0, false
	}
	r.want(order, 1, trigger, done)
	r.wantMoney(order, done.GetPaymentAmount(), 0)
}

// A provider that fails for a moment costs a moment, whether it answers 503, cuts or is not there at all.
func TestProviderComesBack(t *testing.T) {
	t.Parallel()
	for _, down := range []outage.Mode{outage.Down, outage.Cut, "killed"} {
		t.Run(string(down), func(t *testing.T) {
			t.Parallel()
			r := start(t, patience)
			if down == "killed" {
				r.provider.kill()
			} else {
				r.provider.fault(outage.Fault{Mode: down})
			}
			order, trigger := r.pay("kim", "tok_ok", 0)
			r.UntilTried(order, "charge", 2)
			if down == "killed" {
				r.provider.start()
			} else {
				r.provider.fault(outage.Fault{})
			}
			r.want(order, 1, trigger, completed(order, "kim", 0))
			r.wantMoney(order, price, 0)
		})
	}
}

// An answer that is lost after the charge was made: asked for, never charged again.
func TestLostAnswersChargeOnce(t *testing.T) {
	t.Parallel()
	r := start(t, 300*time.Millisecond)
	applied := true
	r.provider.fault(outage.Fault{Mode: outage.Timeout, Applied: &applied, DelayMS: 1000})
	order, trigger := r.pay("kim", "tok_ok", 0)
	r.UntilTried(order, "ask_charge", 2)
	r.provider.fault(outage.Fault{})
	r.want(order, 1, trigger, completed(order, "kim", 0))
	r.wantMoney(order, price, 0)
}

// A cancel that finds the charge in flight: the key is closed at the provider, and what it says is what is
// given back.
func TestCancelWhileInFlight(t *testing.T) {
	t.Parallel()
	r := start(t, 4*time.Second)
	r.grant("kim", 1_000)
	for token, charged := range map[string]int64{"tok_slow": 0, "tok_unknown": price - 100} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			r := r.in(t)
			order, _ := r.pay("kim", token, 100)
			r.UntilTried(order, "charge", 1)
			if charged > 0 {
				testkit.Eventually(t, 10*time.Second, func() error {
					if got, _, _ := r.provider.money(order); got != charged {
						return fmt.Errorf("charged %d", got)
					}
					return nil
				})
			}
			cause := r.Publish(order, cancelled(order, "kim"))
			undo := r.want(order, 1, cause, undone(order, "kim", charged, 100))
			if charged > 0 {
				r.want(order, 2, undo, &paymentv1.PaymentRefunded{OrderId: order, UserId: "kim", PaymentAmount: charged, Currency: "KRW"})
			}
			r.wantMoney(order, charged, charged)
		})
	}
}

// Told to undo what it has not done, payment says that nothing was to undo and refuses the late trigger.
func TestUndoBeforeDo(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order := rig.NewID()
	cause := r.Publish(order, cancelled(order, "kim"))
	nothing := undone(order, "kim", 0, 0)
	nothing.Currency = ""
	r.want(order, 1, cause, nothing)
	r.Publish(order, decreased(order, "kim", terms("tok_ok", 0)))
	r.Publish(order, cancelled(order, "kim"))
	r.CaughtUp()
	// Nothing is under way either: what a call comes to would be seen too late here.
	var calls int
	if err := r.Pool.QueryRow(t.Context(), `SELECT count(*) FROM call WHERE subject = $1`, order).Scan(&calls); err != nil || calls != 0 {
		t.Errorf("%d calls were asked for: %v", calls, err)
	}
	if n := r.Emitted(order); n != 1 {
		t.Errorf("the late trigger or the second undo was answered: %d events", n)
	}
	r.wantMoney(order, 0, 0)
}

// A refund survives the death of the provider, and one the provider refuses needs a person.
func TestRefunds(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, trigger := r.pay("kim", "tok_ok", 0)
	r.want(order, 1, trigger, completed(order, "kim", 0))
	r.provider.kill()
	cause := r.Publish(order, cancelled(order, "kim"))
	undo := r.want(order, 2, cause, undone(order, "kim", price, 0))
	r.UntilTried(order, "refund", 2)
	r.provider.start()
	r.want(order, 3, undo, &paymentv1.PaymentRefunded{OrderId: order, UserId: "kim", PaymentAmount: price, Currency: "KRW"})
	r.wantMoney(order, price, price)

	order, trigger = r.pay("kim", "tok_refund_refused", 0)
	r.want(order, 1, trigger, completed(order, "kim", 0))
	cause = r.Publish(order, cancelled(order, "kim"))
	undo = r.want(order, 2, cause, undone(order, "kim", price, 0))
	reason := r.Await(3, rig.About(order))[2].Message.(*paymentv1.RefundFailed).GetReason()
	if reason == "" {
		t.Error("a refused refund without a reason")
	}
	r.want(order, 3, undo, &paymentv1.RefundFailed{OrderId: order, UserId: "kim", PaymentAmount: price, Currency: "KRW", Reason: reason})
	a := r.Call(r.Token("op", web.RoleOperator), "GET", "/internal/v1/payments/"+order, "")
	if a.Status != 200 || a.Body["state"] != "CANCELLED" || a.Body["refund"] != "REFUSED" || a.Body["paymentAmount"] != float64(price) {
		t.Errorf("operators see %d %v", a.Status, a.Body)
	}
	notices, err := service.Notices(t.Context(), r.Pool)
	if err != nil || len(notices) != 1 || notices[0].Group != "refund/refused" || !slices.Equal(notices[0].Subjects, []string{order}) {
		t.Errorf("operators hear %+v, %v", notices, err)
	}
}
