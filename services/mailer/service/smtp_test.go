package service_test

import (
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
)

// As in production: the server proves who it is by an authority that the shop names, and wants a password. One that is
// wrong costs no mail; with the right one it goes out.
func TestEncryptedAndWithPassword(t *testing.T) {
	t.Parallel()
	authority := rig.NewAuthority(t)
	r := prepareWith(t, inbox.Config{TLS: authority.Server("127.0.0.1", time.Now().Add(time.Minute)), Username: "shop", Password: "secret"})
	r.env["SMTP_SECURITY"], r.env["SMTP_CA_FILE"] = "starttls", authority.File()
	r.env["SMTP_USERNAME"], r.env["SMTP_PASSWORD"] = "shop", "wrong"
	stop := r.start()
	r.publish("order-1", 1, completed("order-1", "lee"))
	r.UntilTried("order-1", "mail_completed", 2)
	r.await("order-1", map[string]string{"completed": "WAITING"})
	if mails := r.received(""); len(mails) != 0 {
		t.Errorf("%d mails without the password", len(mails))
	}
	stop()
	r.env["SMTP_PASSWORD"] = "secret"
	r.start()
	r.await("order-1", map[string]string{"completed": "SENT"})
	if mails := r.received("lee@shop.example"); len(mails) != 1 || mails[0].Deliveries != 1 {
		t.Errorf("received %+v", mails)
	}
}

// A receiver that is greylisted gets its mail at the second try, which comes by itself.
func TestGreylisted(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.start()
	r.publish("order-1", 1, completed("order-1", "grey"))
	r.await("order-1", map[string]string{"completed": "SENT"})
	if got, err := r.states("order-1"); err != nil || got["completed"].Attempts != 2 {
		t.Errorf("%+v, %v: want it sent at the second try", got, err)
	}
	if mails := r.received("greylist@shop.example"); len(mails) != 1 || mails[0].Deliveries != 1 {
		t.Errorf("received %+v", mails)
	}
}

// Whatever a member, a product or a carrier is called, the mail has the headers that it has, goes to the one receiver
// that it is for, and shows the name as a name.
func TestNamesAddNoHeaders(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.start()
	const evil = "x\r\nBcc: thief@shop.example\r\n\r\n.\r\nMAIL FROM:<thief@shop.example>\r\n"
	r.publish("order-1", 1, &orderv1.OrderCompleted{
		OrderId: "order-1", UserId: "evil", PaymentAmount: 1, Currency: "KRW\r\nX-Evil: 1", CompletedAt: timestamppb.Now(),
		OrderItems: []*orderv1.OrderItem{{ProductId: "p", ProductName: evil, Quantity: 1, ProductPrice: 1}},
	}, &shippingv1.ShipmentDispatched{OrderId: "order-1", UserId: "evil", Carrier: evil, TrackingNumber: evil, DispatchedAt: timestamppb.Now()})
	r.await("order-1", map[string]string{"completed": "SENT", "dispatched": "SENT"})
	mails := r.received("")
	if len(mails) != 2 {
		t.Fatalf("%d mails, want 2", len(mails))
	}
	known := []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
	for _, m := range mails {
		if names := slices.Sorted(maps.Keys(m.Headers)); !slices.Equal(names, known) {
			t.Errorf("headers %v, want %v", names, known)
		}
		to, err := mail.ParseAddressList(m.Headers["To"][0])
		if len(m.To) != 1 || m.To[0] != "eve@shop.example" || err == nil && (len(to) != 1 || to[0].Address != "eve@shop.example") {
			t.Errorf("to %v %v, %v", m.To, m.Headers["To"], err)
		}
		if strings.ContainsAny(m.Subject, "\r\n") || strings.Contains(m.HTML, "<b>") || !strings.Contains(m.Text, "thief@shop.example") {
			t.Errorf("%q\n%s\n%s", m.Subject, m.Text, m.HTML)
		}
	}
}

// Two replicas share the work, and what comes again, to whichever of them, is mailed once: also what was mailed before a
// replica was stopped and its part of the topics went to the other.
func TestOneMailPerFactFromTwoReplicas(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	stop := r.start()
	r.start()
	const orders = 30
	facts := func(order string) []proto.Message {
		return []proto.Message{completed(order, "kim"), &shippingv1.ShipmentDispatched{
			OrderId: order, UserId: "kim", Carrier: "simulator", TrackingNumber: "SIM1", DispatchedAt: timestamppb.Now(),
		}}
	}
	name := func(i int) string { return fmt.Sprintf("order-%02d", i) }
	for i := range orders {
		r.publish(name(i), 3, facts(name(i))...)
		if i == orders/2 {
			stop()
		}
	}
	for i := range orders {
		r.publish(name(i), 2, facts(name(i))...) // other events with other ids about the same facts
	}
	r.CaughtUp()
	for i := range orders {
		r.await(name(i), map[string]string{"completed": "SENT", "dispatched": "SENT"})
	}
	mails := r.received("kim@shop.example")
	if len(mails) != 2*orders {
		t.Errorf("%d mails, want %d", len(mails), 2*orders)
	}
	for _, m := range mails {
		if m.Deliveries != 1 {
			t.Errorf("%s came %d times", m.Subject, m.Deliveries)
		}
	}
}
