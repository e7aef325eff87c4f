package simulator

import (
	"time"

	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
)

// remembered is how long a provider recognises an idempotency key: here less than outages last, as a real
// one's day is less than an outage may last, and more than a request is under way. After that the same
// request is a new one; its books, by key, it keeps for ever.
const remembered = 90 * time.Second

// outage is a provider that refuses everything for a while.
type outage struct {
	sim   *sim
	until time.Duration
}

func (o *outage) up() bool { return o.sim.now >= o.until }

// fall is an outage that begins in the middle of a request.
func (o *outage) fall() {
	if o.sim.chance(0.4) {
		o.until = max(o.until, o.sim.now+o.sim.between(time.Second, 6*remembered))
		o.sim.tell("providers", "", "one falls in the middle of a request")
	}
}

// charge is what the card provider knows of a key.
type charge struct {
	state    payment.ChargeOutcome
	id       string
	order    string
	amount   int64
	refunded int64
	at       time.Duration
	token    string
	transfer bool
}

func (c charge) charged(order string) payment.Charged {
	a := payment.Charged{OrderID: order, Outcome: c.state, ChargeID: c.id}
	if c.state == payment.Declined {
		a.Reason = "card_declined"
	}
	return a
}

// refund is what it knows of a refund's key.
type refund struct {
	outcome payment.RefundOutcome
	amount  int64
	at      time.Duration
}

func (r refund) refunded(order string) payment.Refunded {
	return payment.Refunded{OrderID: order, Outcome: r.outcome, Reason: "refund_refused"}
}

// The payment tokens.
const (
	tokenOK            = "tok_ok"
	tokenDecline       = "tok_decline"
	tokenRefundRefused = "tok_refund_refused"
)

// card is the card provider with its books.
type card struct {
	*sim
	outage
	charges map[string]*charge // by key; a key has one answer
	refunds map[string]*refund
	byID    map[string]*charge
	// captured and refunded are its books by order.
	captured map[string][]*charge
	returned map[string]int64
}

func newCard(s *sim) *card {
	return &card{
		sim: s, outage: outage{sim: s}, charges: map[string]*charge{}, refunds: map[string]*refund{}, byID: map[string]*charge{},
		captured: map[string][]*charge{}, returned: map[string]int64{},
	}
}

// charge decides once per key, for as long as the key is remembered. A closed key stays closed.
func (p *card) charge(body payment.ChargeCall) charge {
	// An order has one account, however long ago it was opened.
	if known := p.charges[body.Key]; known != nil && (known.state == payment.KeyVoided || known.transfer || p.now-known.at < remembered) {
		return *known
	}
	c := &charge{state: payment.Captured, order: body.OrderID, amount: body.Amount, at: p.now, token: body.Token, transfer: body.Transfer}
	p.charges[body.Key] = c
	switch {
	case body.Token == tokenDecline:
		c.state = payment.Declined
	case body.Transfer:
		c.state = payment.ChargePending
		p.tell("card", c.order, "opens an account for %d", c.amount)
		if p.chance(0.8) { // else nobody ever pays
			p.after(p.between(100*time.Millisecond, []time.Duration{time.Minute, 20 * time.Minute}[p.rng.IntN(2)]), func() { p.deposit(c) })
		}
	default:
		p.capture(c)
	}
	return *c
}

func (p *card) capture(c *charge) {
	c.state, c.id = payment.Captured, p.id("charge")
	p.byID[c.id] = c
	p.captured[c.order] = append(p.captured[c.order], c)
	p.tell("card", c.order, "captures %d", c.amount)
	p.oracle.charged(c.order)
}

func (p *card) ask(key string) charge {
	if known := p.charges[key]; known != nil {
		return *known
	}
	return charge{state: payment.ChargeNotFound}
}

// void closes a key that nobody has used, or an account that nobody has paid into.
func (p *card) void(key string) charge {
	switch known := p.charges[key]; {
	case known == nil:
		p.charges[key] = &charge{state: payment.KeyVoided, at: p.now}
	case known.state == payment.ChargePending:
		known.state = payment.KeyVoided
		p.tell("card", known.order, "closes the account")
	}
	return *p.charges[key]
}

func (p *card) refund(body payment.RefundCall) refund {
	if known := p.refunds[body.Key]; known != nil && p.now-known.at < remembered {
		return *known
	}
	r := &refund{outcome: payment.RefundIsDone, amount: body.Amount, at: p.now}
	c := p.byID[body.ChargeID]
	switch {
	case c == nil, c.token == tokenRefundRefused:
		r.outcome = payment.RefundIsRefused
	default:
		c.refunded += body.Amount
		p.returned[body.OrderID] += body.Amount
		p.tell("card", body.OrderID, "refunds %d", body.Amount)
	}
	p.refunds[body.Key] = r
	p.oracle.charged(body.OrderID)
	return *r
}

func (p *card) askRefund(key string) refund {
	if known := p.refunds[key]; known != nil {
		return *known
	}
	return refund{}
}

// post is the mail server.
type post struct {
	*sim
	outage
	sent map[string]int // by message key
}

func (p *post) take(m mailer.MailCall) { p.sent[m.MessageKey]++ }

// parcel is what the carrier knows of a key.
type parcel struct {
	state   shipping.Parcel
	order   string
	booking string
	at      time.Duration
}

func (p *parcel) outcome() shipping.Outcome {
	o := shipping.Outcome{State: p.state}
	if p.booking != "" {
		o.Carrier, o.BookingID, o.TrackingNumber = carrierName, p.booking, "SIM-"+p.booking
	}
	return o
}

const carrierName = "simulator"

// carrier books parcels, lets them leave when it likes, and tells of it by webhook.
type carrier struct {
	*sim
	outage
	byKey map[string]*parcel
	byID  map[string]*parcel
	all   map[string][]*parcel // booked ones by order
	// haste is how soon parcels leave, slow those that never do.
	haste time.Duration
}

func newCarrier(s *sim) *carrier {
	return &carrier{
		sim: s, outage: outage{sim: s}, byKey: map[string]*parcel{}, byID: map[string]*parcel{}, all: map[string][]*parcel{},
		haste: []time.Duration{time.Second, 30 * time.Second, 10 * time.Minute}[s.rng.IntN(3)],
	}
}

func (c *carrier) book(body shipping.BookCall) shipping.Outcome {
	if known := c.byKey[body.Key]; known != nil && (known.state == shipping.ParcelVoided || c.now-known.at < remembered) {
		return known.outcome()
	}
	p := &parcel{state: shipping.ParcelBooked, order: body.OrderID, at: c.now}
	c.byKey[body.Key] = p
	if c.chance(0.06) {
		p.state = shipping.ParcelRefused
		return p.outcome()
	}
	p.booking = c.id("parcel")
	c.byID[p.booking] = p
	c.all[p.order] = append(c.all[p.order], p)
	c.tell("carrier", p.order, "books %s", p.booking)
	c.oracle.booked(p.order)
	if c.chance(0.8) {
		c.after(c.between(0, c.haste), func() { c.dispatch(p) })
	}
	return p.outcome()
}

func (c *carrier) ask(key string) shipping.Outcome {
	if known := c.byKey[key]; known != nil {
		return known.outcome()
	}
	return shipping.Outcome{State: shipping.ParcelNotFound}
}

func (c *carrier) void(key string) shipping.Outcome {
	if c.byKey[key] == nil {
		c.byKey[key] = &parcel{state: shipping.ParcelVoided, at: c.now}
	}
	return c.byKey[key].outcome()
}

// cancel takes a parcel back that has not left.
func (c *carrier) cancel(id string) shipping.Outcome {
	p := c.byID[id]
	if p.state == shipping.ParcelBooked {
		if c.chance(0.15) { // it is in the van already, whatever the books said
			c.dispatch(p)
		} else {
			p.state = shipping.ParcelCancelled
			c.tell("carrier", p.order, "takes %s back", id)
		}
	}
	return p.outcome()
}

func (c *carrier) status(id string) shipping.Outcome { return c.byID[id].outcome() }

func (c *carrier) dispatch(p *parcel) {
	if p.state != shipping.ParcelBooked {
		return
	}
	c.move(p, shipping.ParcelDispatched)
	next := []shipping.Parcel{
		shipping.ParcelDelivered, shipping.ParcelDelivered, shipping.ParcelDelivered, shipping.ParcelLost, shipping.ParcelSentBack,
	}[c.rng.IntN(5)]
	if c.chance(0.8) {
		c.after(c.between(10*time.Millisecond, 2*c.haste), func() { c.move(p, next) })
	}
}

func (c *carrier) move(p *parcel, to shipping.Parcel) {
	p.state = to
	c.tell("carrier", p.order, "%s is %s", p.booking, to)
	c.oracle.booked(p.order)
	c.send(p, c.id("webhook"), 1)
}

// tolerance is how old a webhook may be by the receiver's clock.
const tolerance = 5 * time.Minute

// send brings a webhook to shipping until it is taken.
func (c *carrier) send(p *parcel, id string, attempt int) {
	wait := c.between(time.Millisecond, 200*time.Millisecond)
	if attempt > 1 {
		wait = min(500*time.Millisecond<<min(attempt, 20), time.Minute)
	}
	if c.hit(WebhookLate) {
		wait += c.between(time.Second, time.Minute)
	}
	c.after(wait, func() {
		signed := beginning.Add(c.now)
		again := func() { c.send(p, id, attempt+1) }
		up := c.services[atShipping].alive()
		if len(up) == 0 {
			again()
			return
		}
		answered := false
		up[0].webhook(p, id, signed, func(taken bool) {
			if answered {
				return
			}
			answered = true
			if !taken {
				again()
			} else if c.hit(WebhookTwice) {
				c.after(c.between(0, time.Minute), again)
			}
		})
		// No answer within 5 s is no answer; the first may still have been taken.
		c.after(5*time.Second, func() {
			if !answered {
				answered = true
				again()
			}
		})
	})
}

// webhook is shipping's edge: signature and age, the order and its parcel, then the carrier is asked how the
// parcel stands. The webhook's id is the command's key.
func (r *replica) webhook(p *parcel, id string, signed time.Time, answered func(taken bool)) {
	r.after(r.between(0, 2*time.Millisecond), func() {
		row, known := r.service.machine.(*unit[shipping.World]).tables.(*shipments).rows[p.order]
		age := r.wall().Sub(signed)
		if r.service.db.down || age > tolerance || age < -tolerance || !known || row.BookingID != "" && row.BookingID != p.booking {
			answered(false)
			return
		}
		stands := p.outcome()
		if !r.carrier.up() || !stands.State.OnItsWay() {
			answered(false)
			return
		}
		// The carrier's word is on its way back while the parcel may move on, and another webhook overtake.
		back := r.between(time.Millisecond, 50*time.Millisecond)
		if r.hit(WebhookLate) {
			back = r.between(100*time.Millisecond, 10*time.Second)
		}
		r.after(back, func() {
			r.do(request{
				member: "webhook/" + carrierName, key: id, command: shipping.Track{OrderID: p.order, Outcome: stands},
			}, func(a answer, err error) { answered(err == nil && a.status == 204) })
		})
	})
}
