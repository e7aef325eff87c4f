package service_test

import (
	"testing"
	"time"

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
