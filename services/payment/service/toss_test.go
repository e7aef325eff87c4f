package service_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/run"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/payment/service"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
	"github.com/quadrille-io/quadrille/services/simulator/payment/toss"
)

// startToss runs the service with Toss Payments, as its published API says that it answers.
func startToss(t *testing.T) (*system, *toss.Server) {
	t.Helper()
	fake := toss.New("test_sk_x")
	server := httptest.NewServer(fake.Handler())
	t.Cleanup(func() {
		fake.Close()
		server.Close()
	})
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("test_sk_x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &system{Rig: rig.New(t, "payment.v1", "order.v1", "stock.v1", "coupon.v1")}
	var cfg service.Config
	r.Configure(&cfg, &cfg.Config, map[string]string{
		"PAYMENT_PROVIDER": "toss", "TOSS_SECRET_KEY_FILE": file, "TOSS_URL": server.URL, "PAYMENT_TIMEOUT": "500ms", "TRANSFER_POLL": "0s",
	})
	r.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
	return r, fake
}

// A card through Toss: charged once whatever becomes of the answers, declined in its own words, and one payment pays
// for one order.
func TestTossCard(t *testing.T) {
	t.Parallel()
	r, fake := startToss(t)
	begin := func(code string) string {
		window := "window-" + uuid.NewString()
		return fake.Begin(window, price, code) + ":" + window
	}
	token := begin("")
	order, trigger := r.pay("kim", token, 0)
	r.want(order, 1, trigger, completed(order, "kim", 0))
	again, trigger := r.pay("lee", token, 0)
	r.want(again, 1, trigger, &paymentv1.PaymentFailed{OrderId: again, UserId: "lee", Reason: "already_processed_payment"})
	refused, trigger := r.pay("kim", begin("REJECT_CARD_PAYMENT"), 0)
	r.want(refused, 1, trigger, &paymentv1.PaymentFailed{OrderId: refused, UserId: "kim", Reason: "reject_card_payment"})

	applied := true
	if err := fake.Faults().Set(outage.Fault{Mode: outage.Timeout, Applied: &applied, DelayMS: 2000}); err != nil {
		t.Fatal(err)
	}
	lost, trigger := r.pay("kim", begin(""), 0)
	r.UntilTried(lost, "ask_charge", 1)
	if err := fake.Faults().Set(outage.Fault{}); err != nil {
		t.Fatal(err)
	}
	r.want(lost, 1, trigger, completed(lost, "kim", 0))
	if n := fake.Confirms(); n != 2 {
		t.Errorf("money was taken %d times, want twice", n)
	}
	cause := r.Publish(order, cancelled(order, "kim"))
	undo := r.want(order, 2, cause, undone(order, "kim", price, 0))
	r.want(order, 3, undo, &paymentv1.PaymentRefunded{OrderId: order, UserId: "kim", PaymentAmount: price, Currency: "KRW"})
}

// Toss signs no webhook, so anybody can send one: only what the payment says then counts. Sent again seven times, and
// all at once, it is taken once.
func TestTossTransfer(t *testing.T) {
	t.Parallel()
	r, fake := startToss(t)
	order, trigger, account := r.transfer("kim")
	if into := fake.Of(order); into.VirtualAccount.AccountNumber != account {
		t.Errorf("the buyer is told of account %s, Toss has opened %+v", account, into.VirtualAccount)
	}
	body := `{"createdAt":"2026-01-01T00:00:00.000000","secret":"s","status":"DONE","transactionKey":"t","orderId":"` + order + `"}`
	hook := func(status int) {
		if a := r.Call("", "POST", "/webhooks/payments/toss", body); a.Status != status {
			t.Errorf("webhook: %s, want %d", a, status)
		}
	}
	hook(204) // forged: nobody has paid
	r.wantStatusOf("kim", order, "AWAITING_TRANSFER")
	if !fake.Deposit(order) {
		t.Fatal("the account is closed")
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { hook(204) })
	}
	all.Wait()
	r.want(order, 1, trigger, transferred(order, "kim"))
	r.CaughtUp()
	if n := r.Emitted(order); n != 1 {
		t.Errorf("%d events, want one", n)
	}

	unpaid, _, _ := r.transfer("kim")
	cause := r.Publish(unpaid, cancelled(unpaid, "kim"))
	r.want(unpaid, 1, cause, undone(unpaid, "kim", 0, 0))
	if fake.Deposit(unpaid) {
		t.Error("a closed account was paid into")
	}
}

func (r *system) wantStatusOf(user, order, status string) {
	r.T.Helper()
	if a := r.Call(r.Token(user), "GET", "/api/v1/orders/"+order+"/payment", ""); a.Body["status"] != status {
		r.T.Errorf("the buyer sees %s, want %s", a, status)
	}
}

// What cannot be is said at the start, all of it, and no secret with it.
func TestProviderConfiguration(t *testing.T) {
	t.Parallel()
	base := map[string]string{"DATABASE_URL": "postgres://x", "KAFKA_BROKERS": "x", "JWT_ISSUERS": "x", "JWT_AUDIENCES": "x", "JWT_JWKS": "{}"}
	for name, c := range map[string]struct {
		env  map[string]string
		good bool
	}{
		"simulator":          {map[string]string{"PAYMENT_SIMULATOR_URL": "http://x"}, true},
		"simulator nowhere":  {nil, false},
		"stripe":             {map[string]string{"PAYMENT_PROVIDER": "stripe", "STRIPE_SECRET_KEY": "sk_test_1"}, true},
		"stripe by file":     {map[string]string{"PAYMENT_PROVIDER": "stripe", "STRIPE_SECRET_KEY_FILE": "/run/key"}, true},
		"stripe twice":       {map[string]string{"PAYMENT_PROVIDER": "stripe", "STRIPE_SECRET_KEY": "sk", "STRIPE_SECRET_KEY_FILE": "/run/key"}, false},
		"stripe without key": {map[string]string{"PAYMENT_PROVIDER": "stripe"}, false},
		"toss without key":   {map[string]string{"PAYMENT_PROVIDER": "toss"}, false},
		"nobody":             {map[string]string{"PAYMENT_PROVIDER": "paypal"}, false},
		"too patient":        {map[string]string{"PAYMENT_SIMULATOR_URL": "http://x", "PAYMENT_TIMEOUT": "5s"}, false},
		"a negative poll":    {map[string]string{"PAYMENT_SIMULATOR_URL": "http://x", "TRANSFER_POLL": "-1s"}, false},
	} {
		var cfg service.Config
		env := map[string]string{}
		for _, from := range []map[string]string{base, c.env} {
			for k, v := range from {
				env[k] = v
			}
		}
		if err := run.LoadFrom(env, &cfg); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
		if shown := fmt.Sprintf("%v %+v", cfg.StripeKey, cfg.TossKey); strings.Contains(shown, "sk") {
			t.Errorf("%s: a secret is printed: %s", name, shown)
		}
	}
	cfg := service.Config{ProviderConfig: service.ProviderConfig{
		Provider: "toss", TossKeyFile: filepath.Join(t.TempDir(), "none"), ProviderTimeout: time.Second,
	}}
	if err := service.Run(t.Context(), cfg); err == nil {
		t.Error("started without its secret")
	}
}
