package simulator

import (
	"errors"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
)

// outcome is what a call ends in: an input to be decided, or an error, for which it is made again.
type outcome func(flow.Command, error)

// call makes one call as the adapters of payment, shipping and mailer make it.
func (w *worker) call(c *claimedCall, end outcome) {
	switch body := c.body.(type) {
	case payment.ChargeCall:
		w.charge(c, body, end)
	case payment.KeyCall:
		w.chargeKey(c, body, end)
	case payment.RefundCall:
		w.refund(c, body, end)
	case shipping.BookCall:
		w.book(c, body, end)
	case shipping.KeyCall:
		w.bookingKey(c, body, end)
	case shipping.CancelCall:
		w.cancel(c, body, end)
	case mailer.MailCall:
		w.remote(c, &w.post.outage, func() { w.post.take(body) }, func(err error) {
			if err != nil {
				end(nil, err)
				return
			}
			end(mailer.Mailed{OrderID: body.OrderID, Kind: body.Kind, Outcome: mailer.IsSent}, nil)
		})
	}
}

// charge sends a charge. Every try but the first begins by asking: the one before may have got through.
func (w *worker) charge(c *claimedCall, body payment.ChargeCall, end outcome) {
	send := func() {
		var made charge
		w.remote(c, &w.card.outage, func() { made = w.card.charge(body) }, func(err error) {
			switch {
			case err == nil:
				end(made.charged(body.OrderID), nil)
			case errors.Is(err, errTimedOut):
				end(payment.Charged{OrderID: body.OrderID, Outcome: payment.ChargeIsUnknown}, nil)
			default:
				end(nil, err)
			}
		})
	}
	if c.attempt == 1 {
		send()
		return
	}
	var known charge
	w.remote(c, &w.card.outage, func() { known = w.card.ask(body.Key) }, func(err error) {
		switch {
		case err != nil:
			end(nil, err)
		case known.state != payment.ChargeNotFound:
			end(known.charged(body.OrderID), nil)
		default:
			send()
		}
	})
}

// chargeKey asks about a key, or closes it. Neither has an unknown outcome.
func (w *worker) chargeKey(c *claimedCall, body payment.KeyCall, end outcome) {
	var known charge
	act := func() { known = w.card.ask(body.Key) }
	if c.kind == payment.CallVoid {
		act = func() { known = w.card.void(body.Key) }
	}
	w.remote(c, &w.card.outage, act, func(err error) {
		switch {
		case err != nil:
			end(nil, err)
		case c.kind == payment.CallVoid:
			end(payment.ChargeVoided(known.charged(body.OrderID)), nil)
		default:
			end(payment.ChargeAsked(known.charged(body.OrderID)), nil)
		}
	})
}

// refund gives money back; ask_refund, and every try but the first, asks before.
func (w *worker) refund(c *claimedCall, body payment.RefundCall, end outcome) {
	asking := c.kind == payment.CallAskRefund
	heard := func(made refund, err error) {
		switch {
		case err == nil && asking:
			end(payment.RefundAsked(made.refunded(body.OrderID)), nil)
		case err == nil:
			end(made.refunded(body.OrderID), nil)
		case errors.Is(err, errTimedOut) && !asking:
			end(payment.Refunded{OrderID: body.OrderID, Outcome: payment.RefundIsUnknown}, nil)
		default:
			end(nil, err)
		}
	}
	send := func() {
		var made refund
		w.remote(c, &w.card.outage, func() { made = w.card.refund(body) }, func(err error) { heard(made, err) })
	}
	if c.attempt == 1 && !asking {
		send()
		return
	}
	var known refund
	w.remote(c, &w.card.outage, func() { known = w.card.askRefund(body.Key) }, func(err error) {
		if err == nil && known.outcome == "" {
			send()
			return
		}
		heard(known, err)
	})
}

// book books a parcel, as charge charges.
func (w *worker) book(c *claimedCall, body shipping.BookCall, end outcome) {
	send := func() {
		var made shipping.Outcome
		w.remote(c, &w.carrier.outage, func() { made = w.carrier.book(body) }, func(err error) {
			switch {
			case err == nil:
				end(shipping.Booked{OrderID: body.OrderID, Outcome: made}, nil)
			case errors.Is(err, errTimedOut):
				end(shipping.Booked{OrderID: body.OrderID, Outcome: shipping.Outcome{State: shipping.ParcelUnknown}}, nil)
			default:
				end(nil, err)
			}
		})
	}
	if c.attempt == 1 {
		send()
		return
	}
	var known shipping.Outcome
	w.remote(c, &w.carrier.outage, func() { known = w.carrier.ask(body.Key) }, func(err error) {
		switch {
		case err != nil:
			end(nil, err)
		case known.State != shipping.ParcelNotFound:
			end(shipping.Booked{OrderID: body.OrderID, Outcome: known}, nil)
		default:
			send()
		}
	})
}

// bookingKey asks about a key, or closes it.
func (w *worker) bookingKey(c *claimedCall, body shipping.KeyCall, end outcome) {
	var known shipping.Outcome
	act := func() { known = w.carrier.ask(body.Key) }
	if c.kind == shipping.CallVoid {
		act = func() { known = w.carrier.void(body.Key) }
	}
	w.remote(c, &w.carrier.outage, act, func(err error) {
		switch {
		case err != nil:
			end(nil, err)
		case c.kind == shipping.CallVoid:
			end(shipping.BookingVoided{OrderID: body.OrderID, Outcome: known}, nil)
		default:
			end(shipping.BookingAsked{OrderID: body.OrderID, Outcome: known}, nil)
		}
	})
}

// cancel takes a parcel back; ask_cancel asks how it stands before, and has no unknown outcome.
func (w *worker) cancel(c *claimedCall, body shipping.CancelCall, end outcome) {
	asking := c.kind == shipping.CallAskCancel
	var stands shipping.Outcome
	heard := func(err error) {
		switch {
		case err == nil && asking:
			end(shipping.CancelAsked{OrderID: body.OrderID, Outcome: stands}, nil)
		case err == nil:
			end(shipping.BookingCancelled{OrderID: body.OrderID, Outcome: stands}, nil)
		case errors.Is(err, errTimedOut) && !asking:
			end(shipping.BookingCancelled{OrderID: body.OrderID, Outcome: shipping.Outcome{State: shipping.ParcelUnknown}}, nil)
		default:
			end(nil, err)
		}
	}
	send := func() { w.remote(c, &w.carrier.outage, func() { stands = w.carrier.cancel(body.BookingID) }, heard) }
	if !asking {
		send()
		return
	}
	w.remote(c, &w.carrier.outage, func() { stands = w.carrier.status(body.BookingID) }, func(err error) {
		if err == nil && stands.State == shipping.ParcelBooked {
			send()
			return
		}
		heard(err)
	})
}
