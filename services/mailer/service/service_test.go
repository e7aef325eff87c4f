package service_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	"github.com/quadrille-io/quadrille/services/mailer/service"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

func completed(orderID, userID string) proto.Message {
	return &orderv1.OrderCompleted{
		OrderId: orderID, UserId: userID, PaymentAmount: 10_050, Currency: "KRW", CompletedAt: timestamppb.Now(),
		OrderItems: []*orderv1.OrderItem{{ProductId: "p", ProductName: "Mug", Quantity: 1, ProductPrice: 10_050}},
	}
}

func cancelled(orderID, userID string) proto.Message {
	return &orderv1.OrderCancelled{OrderId: orderID, UserId: userID, Reason: orderv1.CancelReason_CANCEL_REASON_OUT_OF_STOCK, CancelledAt: timestamppb.Now()}
}

// Every fact is one mail in the member's language, however often its event comes.
func TestOneMailPerFact(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.start()
	for orderID, userID := range map[string]string{"order-kim": "kim", "order-lee": "lee"} {
		r.publish(orderID, 2, completed(orderID, userID), cancelled(orderID, userID),
			&shippingv1.ShipmentDispatched{OrderId: orderID, UserId: userID, Carrier: "simulator", TrackingNumber: "SIM1", DispatchedAt: timestamppb.Now()},
			&shippingv1.ShipmentDelivered{OrderId: orderID, UserId: userID, Carrier: "simulator", TrackingNumber: "SIM1", DeliveredAt: timestamppb.Now()},
			&paymentv1.PaymentRefunded{OrderId: orderID, UserId: userID, PaymentAmount: 10_050, Currency: "KRW", RefundedAt: timestamppb.Now()})
	}
	all := map[string]string{"completed": "SENT", "cancelled": "SENT", "dispatched": "SENT", "delivered": "SENT", "refunded": "SENT"}
	r.await("order-kim", all)
	r.await("order-lee", all)
	for to, words := range map[string][]string{
		"kim@shop.example": {"김철수 님", "품절된", "10,050원", "SIM1", "https://shop.example/orders/order-kim"},
		"lee@shop.example": {"Dear Lee", "sold out", "₩10,050", "SIM1", "https://shop.example/orders/order-lee"},
	} {
		mails := r.received(to)
		if len(mails) != len(all) {
			t.Errorf("%s got %d mails, want %d", to, len(mails), len(all))
		}
		ids, texts := map[string]bool{}, ""
		for _, m := range mails {
			if m.Deliveries != 1 || !strings.Contains(m.Subject, "order-") || m.HTML == "" {
				t.Errorf("%s got %+v", to, m)
			}
			ids[strings.Join(m.Headers["Message-Id"], "")] = true
			texts += m.Text
		}
		order := "order-" + to[:3]
		for kind := range all {
			if !ids["<mail-"+kind+"-"+order+"@shop.example>"] {
				t.Errorf("%s: no Message-ID of its own for %s: %v", to, kind, ids)
			}
		}
		for _, w := range words {
			if !strings.Contains(texts, w) {
				t.Errorf("%s: nothing says %q:\n%s", to, w, texts)
			}
		}
	}
}

// Nobody to write to is no failure, and a mailbox that does not exist is one that is not repeated.
func TestSkippedAndRefused(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.start()
	r.publish("order-1", 1, completed("order-1", "stranger"))
	r.publish("order-2", 1, completed("order-2", "gone"))
	r.publish("order-3", 1, completed("order-3", "lee"))
	r.await("order-1", map[string]string{"completed": "SKIPPED"})
	r.await("order-2", map[string]string{"completed": "UNDELIVERABLE"})
	r.await("order-3", map[string]string{"completed": "SENT"})
	if mails := r.received(""); len(mails) != 1 {
		t.Errorf("%d mails were taken, want the one", len(mails))
	}
	if got, err := r.states("order-2"); err != nil || got["completed"].Attempts != 1 {
		t.Errorf("refused for good and tried again: %+v, %v", got, err)
	}
}

// While the mail server is away events are handled as ever; when it is back, also after the mailer was
// started anew meanwhile, every mail comes, and comes once.
func TestMailServerAway(t *testing.T) {
	t.Parallel()
	for _, mode := range []outage.Mode{outage.Down, outage.TempFail} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			r := prepare(t)
			stop := r.start()
			if err := r.inbox.Faults().Set(outage.Fault{Mode: mode}); err != nil {
				t.Fatal(err)
			}
			const orders = 40
			for i := range orders {
				order := fmt.Sprintf("order-%02d", i)
				r.publish(order, 1, completed(order, []string{"kim", "lee"}[i%2]))
			}
			testkit.Eventually(t, 20*time.Second, func() error {
				for i := range orders {
					states, err := r.states(fmt.Sprintf("order-%02d", i))
					if m := states["completed"]; err != nil || m.State != "WAITING" || m.LastError == "" {
						return fmt.Errorf("order %d: %+v, %w", i, states, err)
					}
					if strings.Contains(states["completed"].LastError, "@") {
						t.Fatalf("the error names somebody: %+v", states)
					}
				}
				return nil
			})
			r.CaughtUp()
			var lag struct{ Lag int }
			r.Call(r.operator(), "GET", "/internal/v1/subscription", "").Decode(t, &lag)
			if lag.Lag != 0 {
				t.Errorf("%d events wait for the mail server", lag.Lag)
			}
			stop()
			r.start()
			if err := r.inbox.Faults().Set(outage.Fault{}); err != nil {
				t.Fatal(err)
			}
			for i := range orders {
				r.await(fmt.Sprintf("order-%02d", i), map[string]string{"completed": "SENT"})
			}
			mails := r.received("")
			if len(mails) != orders {
				t.Errorf("%d mails, want %d", len(mails), orders)
			}
			for _, m := range mails {
				if m.Deliveries != 1 {
					t.Errorf("%s came %d times", m.Subject, m.Deliveries)
				}
			}
		})
	}
}

func TestOnlyOperatorsSeeMails(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.start()
	for token, status := range map[string]int{"": 401, r.Token("kim"): 403} {
		if a := r.Call(token, "GET", "/internal/v1/mails/order-1", ""); a.Status != status {
			t.Errorf("want %d, got %s", status, a)
		}
	}
	if a := r.Call(r.operator(), "GET", "/internal/v1/mails/%FF", ""); a.Status != 404 {
		t.Errorf("an id that is no text: %s", a)
	}
	if none, err := r.states("nothing"); err != nil || len(none) != 0 {
		t.Errorf("an order without mails: %v, %v", none, err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"DATABASE_URL": "postgres://x", "KAFKA_BROKERS": "x:1", "JWT_ISSUERS": "i", "JWT_AUDIENCES": "a", "JWT_JWKS": `{"keys":[]}`,
		"SMTP_ADDR": "mail.example:587", "MAIL_FROM": "shop@shop.example",
	}
	if err := run.LoadFrom(good, &service.Config{}); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	for variable, bad := range map[string]string{
		"SMTP_ADDR": "mail.example", "SMTP_SECURITY": "ssl", "MAIL_FROM": "shop", "SMTP_TIMEOUT": "1m", "SHOP_URL": "shop.example",
		"SMTP_CA_FILE": "/nowhere/authority.pem", "SMTP_CONNECTIONS": "0", "SHOP_TIME_ZONE": "Nowhere/Town",
	} {
		env := map[string]string{variable: bad}
		for k, v := range good {
			if k != variable {
				env[k] = v
			}
		}
		err := run.LoadFrom(env, &service.Config{})
		if err == nil || !slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(line string) bool { return strings.Contains(line, variable) }) {
			t.Errorf("%s=%s: %v", variable, bad, err)
		}
	}
}
