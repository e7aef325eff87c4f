package explorer

import (
	"fmt"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
)

// move is one thing the world outside can do: what it changes there, and what it then tells a service.
type move struct {
	name    string
	service int
	// kind of call that is answered, or -1.
	kind   int
	change func(s *state)
	// answer enters the service; nil: nobody hears of it.
	answer flow.Command
	// must: it happens sooner or later, so a state in which it changes something is not an end. What may
	// never happen (the parcel leaves, a paused worker wakes up) ends nothing.
	must bool
}

func unchanged(*state) {}

func setCharge(to uint8) func(*state) { return func(s *state) { s.charge = to } }
func setRefund(to uint8) func(*state) { return func(s *state) { s.refund = to } }
func setParcel(to uint8) func(*state) { return func(s *state) { s.parcel = to } }

// chargeOutcome is what the provider says of the key.
var chargeOutcome = [...]payment.ChargeOutcome{
	noCharge: payment.ChargeNotFound, charged: payment.Captured, declined: payment.Declined, chargeVoided: payment.KeyVoided,
	awaited: payment.ChargePending,
}

var refundOutcome = [...]payment.RefundOutcome{refunded: payment.RefundIsDone, refundRefused: payment.RefundIsRefused}

// parcelState is what the carrier says of the key.
var parcelState = [...]shipping.Parcel{
	noParcel: shipping.ParcelNotFound, parcelBooked: shipping.ParcelBooked, parcelRefused: shipping.ParcelRefused,
	parcelVoided: shipping.ParcelVoided, parcelCancelled: shipping.ParcelCancelled,
	parcelDispatched: shipping.ParcelDispatched, parcelDelivered: shipping.ParcelDelivered, parcelLost: shipping.ParcelLost,
}

func charge(s uint8) payment.Charged {
	return payment.Charged{OrderID: orderID, Outcome: chargeOutcome[s], ChargeID: chargeID(s)}
}

func notify(s uint8) payment.Notify {
	return payment.Notify{OrderID: orderID, Outcome: chargeOutcome[s], ChargeID: chargeID(s)}
}

func chargeID(s uint8) string {
	if s == charged {
		return "charge-1"
	}
	return ""
}

func parcel(s uint8) shipping.Outcome {
	o := shipping.Outcome{State: parcelState[s]}
	if s != noParcel && s != parcelRefused && s != parcelVoided {
		o.Carrier, o.BookingID, o.TrackingNumber = "simulator", "booking-1", "SIM1"
	}
	return o
}

// answers lists every outcome of a pending call of the kind in the state.
func answers(s *state, kind int) []move {
	var moves []move
	add := func(what string, change func(*state), answer flow.Command) {
		service := atPayment
		if kind >= callBook {
			service = atShipping
		}
		moves = append(moves, move{
			name: fmt.Sprintf("%s: %s", callNames[kind], what), service: service, kind: kind,
			change: change, answer: answer, must: true,
		})
	}
	switch kind {
	case callCharge:
		chargeAnswers(s, add)
	case callAskCharge:
		add("the provider says what it knows of the key", unchanged, payment.ChargeAsked(charge(s.charge)))
	case callVoidCharge:
		if s.charge != noCharge && s.charge != awaited {
			add("the key was used before", unchanged, payment.ChargeVoided(charge(s.charge)))
			break
		}
		add("the key is closed", setCharge(chargeVoided), payment.ChargeVoided(charge(chargeVoided)))
		add("the key is closed, but the answer is lost and the call will be made again", setCharge(chargeVoided), nil)
	case callRefund:
		for _, to := range []uint8{refunded, refundRefused} {
			add("answered", setRefund(to), payment.Refunded{OrderID: orderID, Outcome: refundOutcome[to]})
			add("done, but the answer is lost", setRefund(to), unknownRefund)
		}
		add("lost on the way, outcome unknown", unchanged, unknownRefund)
	case callAskRefund:
		for _, to := range []uint8{refunded, refundRefused} {
			if s.refund == noRefund || s.refund == to {
				add("answered", setRefund(to), payment.RefundAsked{OrderID: orderID, Outcome: refundOutcome[to]})
			}
		}
	case callBook:
		bookAnswers(s, add)
	case callAskBooking:
		add("the carrier says what it knows of the key", unchanged, shipping.BookingAsked{OrderID: orderID, Outcome: parcel(s.parcel)})
	case callVoidBooking:
		if s.parcel != noParcel {
			add("the key was used before", unchanged, shipping.BookingVoided{OrderID: orderID, Outcome: parcel(s.parcel)})
			break
		}
		add("the key is closed", setParcel(parcelVoided), shipping.BookingVoided{OrderID: orderID, Outcome: parcel(parcelVoided)})
	case callCancelBooking:
		cancelAnswers(s, add)
	case callAskCancel:
		// It cancels again where the parcel is still there: see shipping.CancelCall.
		to := s.parcel
		if to == parcelBooked {
			to = parcelCancelled
		}
		add("the carrier says how the parcel stands", setParcel(to), shipping.CancelAsked{OrderID: orderID, Outcome: parcel(to)})
	}
	return moves
}

var (
	unknownCharge = payment.Charged{OrderID: orderID, Outcome: payment.ChargeIsUnknown}
	unknownRefund = payment.Refunded{OrderID: orderID, Outcome: payment.RefundIsUnknown}
	unknownParcel = shipping.Outcome{State: shipping.ParcelUnknown}
)

type adder func(what string, change func(*state), answer flow.Command)

func chargeAnswers(s *state, add adder) {
	if s.charge != noCharge {
		add("sent again, same outcome", unchanged, charge(s.charge))
		add("sent again, answer lost", unchanged, unknownCharge)
		return
	}
	for _, to := range s.firstOutcomes() {
		what := string(chargeOutcome[to])
		add(what, setCharge(to), charge(to))
		add(what+", but the answer is lost: outcome unknown", setCharge(to), unknownCharge)
		add(what+", but the worker dies before the answer is kept", setCharge(to), nil)
	}
	add("not received yet, outcome unknown", func(s *state) { s.late |= lateCharge }, unknownCharge)
}

// firstOutcomes are what a charge that arrives can come to: a card is charged, a transfer's account is opened.
func (s *state) firstOutcomes() [2]uint8 {
	if s.transfer != 0 {
		return [2]uint8{awaited, declined}
	}
	return [2]uint8{charged, declined}
}

func bookAnswers(s *state, add adder) {
	if s.parcel != noParcel {
		add("sent again, same outcome", unchanged, shipping.Booked{OrderID: orderID, Outcome: parcel(s.parcel)})
		add("sent again, answer lost", unchanged, shipping.Booked{OrderID: orderID, Outcome: unknownParcel})
		return
	}
	for _, to := range []uint8{parcelBooked, parcelRefused} {
		what := string(parcelState[to])
		add(what, setParcel(to), shipping.Booked{OrderID: orderID, Outcome: parcel(to)})
		add(what+", but the answer is lost: outcome unknown", setParcel(to), shipping.Booked{OrderID: orderID, Outcome: unknownParcel})
		add(what+", but the worker dies before the answer is kept", setParcel(to), nil)
	}
	add("not received yet, outcome unknown", func(s *state) { s.late |= lateBooking },
		shipping.Booked{OrderID: orderID, Outcome: unknownParcel})
}

func cancelAnswers(s *state, add adder) {
	unknown := shipping.BookingCancelled{OrderID: orderID, Outcome: unknownParcel}
	if s.parcel != parcelBooked {
		add("the carrier says how the parcel stands", unchanged, shipping.BookingCancelled{OrderID: orderID, Outcome: parcel(s.parcel)})
		add("answer lost: outcome unknown", unchanged, unknown)
		return
	}
	add("cancelled", setParcel(parcelCancelled), shipping.BookingCancelled{OrderID: orderID, Outcome: parcel(parcelCancelled)})
	add("cancelled, but the answer is lost: outcome unknown", setParcel(parcelCancelled), unknown)
	add("lost on the way, outcome unknown", unchanged, unknown)
}

// spontaneous lists what happens outside without being asked.
func spontaneous(s *state) []move {
	var moves []move
	add := func(name string, change func(*state)) {
		moves = append(moves, move{name: name, kind: -1, change: change})
	}
	if s.late&lateCharge != 0 {
		for _, to := range s.firstOutcomes() {
			add("a charge that was on its way all the time arrives: "+string(chargeOutcome[to]), setCharge(to))
		}
	}
	if s.late&lateBooking != 0 {
		add("a booking that was on its way all the time arrives: BOOKED", setParcel(parcelBooked))
	}
	switch s.charge {
	case awaited:
		add("the customer pays", setCharge(charged))
	case charged, declined, chargeVoided:
		// Also where the charge's own answer is still on its way, or was the same.
		moves = append(moves, move{
			name: "webhook of the provider: " + string(chargeOutcome[s.charge]), service: atPayment, kind: -1,
			change: unchanged, answer: notify(s.charge), must: true,
		})
	}
	if s.refund == refunded {
		moves = append(moves, move{
			name: "the reconciliation finds the refund", service: atPayment, kind: -1, change: unchanged,
			answer: payment.NotifyRefund{OrderID: orderID},
		})
	}
	switch s.parcel {
	case parcelBooked:
		add("the parcel leaves", setParcel(parcelDispatched))
	case parcelDispatched:
		add("the parcel arrives", setParcel(parcelDelivered))
		add("the parcel is lost", setParcel(parcelLost))
	}
	if s.parcel >= parcelDispatched {
		for _, p := range []uint8{parcelDispatched, s.parcel} {
			moves = append(moves, move{
				name: "webhook of the carrier: " + string(parcelState[p]), service: atShipping, kind: -1,
				change: unchanged, answer: shipping.Track{OrderID: orderID, Outcome: parcel(p)}, must: true,
			})
		}
	}
	return moves
}

// settle drops what can no longer happen, so that equal futures are equal states.
func (s *state) settle() {
	if s.charge != noCharge {
		s.late &^= lateCharge
	}
	if s.parcel != noParcel {
		s.late &^= lateBooking
	}
}
