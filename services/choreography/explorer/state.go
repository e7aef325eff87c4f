package explorer

// The services of the main search, which are also their topics. The mailer is searched by itself: it only
// listens, so nothing it does can change what the others do (see mails.go).
const (
	atOrder = iota
	atStock
	atCoupon
	atPayment
	atShipping
	services
)

var serviceNames = [services]string{"order", "stock", "coupon", "payment", "shipping"}

// The kinds of outside call, by number.
const (
	callCharge = iota
	callAskCharge
	callVoidCharge
	callRefund
	callAskRefund
	callBook
	callAskBooking
	callVoidBooking
	callCancelBooking
	callAskCancel
	callKinds
)

var callNames = [callKinds]string{
	"charge", "ask_charge", "void_charge", "refund", "ask_refund",
	"book", "ask_booking", "void_booking", "cancel_booking", "ask_cancel",
}

// The states of a call's row, in the lower two bits of state.call; the body's number is above them.
const (
	notAsked = iota
	pending
	answered
	withdrawn
)

// The card provider's charge under the order's key.
const (
	noCharge = iota
	charged
	declined
	chargeVoided
	awaited // a transfer's account is open, and nobody has paid
)

// The card provider's refund under the order's key.
const (
	noRefund = iota
	refunded
	refundRefused
)

// The carrier's parcel under the order's key.
const (
	noParcel = iota
	parcelBooked
	parcelRefused
	parcelVoided
	parcelCancelled
	parcelDispatched
	parcelDelivered
	parcelLost
)

// What a paused worker may still send: its request was neither answered nor is it known to be lost.
const (
	lateCharge = 1 << iota
	lateBooking
)

// state is the whole world of one order, as numbers into the explorer's tables.
type state struct {
	world [services]uint16
	// topic is the list of events on each topic.
	topic [services]uint16
	// read counts the events of each topic [second] that each service [first] has read, of those it takes.
	read [services][services]uint8
	call [callKinds]uint8

	charge uint8
	// transfer: the charge is one, 1 or 0.
	transfer uint8
	refund   uint8
	parcel   uint8
	late     uint8
}

func (s *state) callState(kind int) uint8 { return s.call[kind] & 3 }

func (s *state) setCall(kind int, to uint8) { s.call[kind] = s.call[kind]&^3 | to }

func (s *state) callBody(kind int) int { return int(s.call[kind] >> 2) }
