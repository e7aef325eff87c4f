package simulator

import (
	"time"

	"github.com/quadrille-io/quadrille/services/payment"
)

// deposit is a customer who pays into an account, if it is still open.
func (p *card) deposit(c *charge) {
	if c.state == payment.ChargePending {
		p.capture(c)
		p.send(c, p.id("webhook"), 1)
	}
}

// send brings a webhook to payment until it is taken.
func (p *card) send(c *charge, id string, attempt int) {
	wait := p.between(time.Millisecond, 200*time.Millisecond)
	if attempt > 1 {
		wait = min(500*time.Millisecond<<min(attempt, 20), time.Minute)
	}
	if p.hit(WebhookLate) {
		wait += p.between(time.Second, time.Minute)
	}
	p.after(wait, func() {
		again := func() { p.send(c, id, attempt+1) }
		up := p.services[atPayment].alive()
		if len(up) == 0 {
			again()
			return
		}
		answered := false
		up[0].notified(c, id, beginning.Add(p.now), func(taken bool) {
			if answered {
				return
			}
			answered = true
			if !taken {
				again()
			} else if p.hit(WebhookTwice) {
				p.after(p.between(0, time.Minute), again)
			}
		})
		// No answer within 5 s is no answer; the first may still have been taken.
		p.after(5*time.Second, func() {
			if !answered {
				answered = true
				again()
			}
		})
	})
}

// notified is payment's edge: signature and age, then the provider is asked what became of the order's charge.
// The webhook's id is the command's key.
func (r *replica) notified(c *charge, id string, signed time.Time, answered func(taken bool)) {
	r.after(r.between(0, 2*time.Millisecond), func() {
		_, known := r.service.machine.(*unit[payment.World]).tables.(*payments).rows[c.order]
		age := r.wall().Sub(signed)
		if r.service.db.down || age > tolerance || age < -tolerance || !known || !r.card.up() {
			answered(false)
			return
		}
		stands := *c
		r.after(r.between(time.Millisecond, 50*time.Millisecond), func() {
			r.do(request{member: "webhook/card", key: id, command: payment.Notify{
				OrderID: c.order, Outcome: stands.state, ChargeID: stands.id,
			}}, func(a answer, err error) { answered(err == nil && a.status == 204) })
		})
	})
}
