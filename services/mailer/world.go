// Package mailer decides which mails a customer gets: one per fact worth a mail. Everything here is a
// pure function of the World and one input; no clock, no I/O.
package mailer

import (
	"slices"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change.
//
// What Load brings, per input: the Mails row of the order and of the kind that the event is mailed as
// (KindOf), and whether its member is a stranger. There is no inbox: that row is what makes a repeated event change nothing.
type World struct {
	flow.Calls
	// Mails by MailKey.
	Mails flow.Rows[string, Mail]
	// Strangers are those of the inputs' members that there is no contact of, or one that mails came back from, and so
	// nobody to mail.
	Strangers map[string]bool
	// Dead are the addresses that the decisions found to be so. Load brings none: one that was found before is found
	// again without harm.
	Dead []DeadAddress `json:",omitempty"`
	// Contacts are what events say of where mails go, in their order. Load brings none.
	Contacts []NewContact `json:",omitempty"`
}

// Kind is what a mail is about.
type Kind string

// The kinds of mail. Each is also the kind of its outside call (see CallOf): one call per order and kind.
const (
	Completed  Kind = "completed"
	Cancelled  Kind = "cancelled"
	Dispatched Kind = "dispatched"
	Delivered  Kind = "delivered"
	Refunded   Kind = "refunded"
)

// Kinds lists them all.
func Kinds() []Kind { return []Kind{Completed, Cancelled, Dispatched, Delivered, Refunded} }

// CallOf is the kind of outside call that sends a mail: "mail_completed". The call's subject is the
// order id.
func CallOf(k Kind) string { return "mail_" + string(k) }

// State is where a mail stands.
type State string

// The states of a mail.
const (
	Waiting State = "WAITING" // the call is under way
	Sent    State = "SENT"
	// Undeliverable: refused for good.
	Undeliverable State = "UNDELIVERABLE"
	// Skipped: there is no contact for the member, or mails came back from it, so there was nobody to mail.
	Skipped State = "SKIPPED"
	// Bounced: taken, and came back.
	Bounced State = "BOUNCED"
)

// Mail is one mail about one order. The table's unique key is (OrderID, Kind).
type Mail struct {
	OrderID string
	UserID  string
	Kind    Kind
	State   State
	// Code is why it was refused or came back: "550 5.1.1", or the one of the two there was.
	Code string
	// AddressSince is when the member got the address that it went to; zero before it went.
	AddressSince time.Time
	Data         Data
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// MailKey is the key of Mails.
func MailKey(orderID string, k Kind) string { return orderID + "/" + string(k) }

// MessageKey is what the Message-ID of a mail is made from: the same however often the mail is sent.
func MessageKey(orderID string, k Kind) string { return "mail-" + string(k) + "-" + orderID }

// ParseMessageKey is the other way.
func ParseMessageKey(key string) (orderID string, k Kind, ok bool) {
	rest, is := strings.CutPrefix(key, "mail-")
	kind, orderID, has := strings.Cut(rest, "-")
	return orderID, Kind(kind), is && has && orderID != "" && slices.Contains(Kinds(), Kind(kind))
}

// Data is what a mail's text is made from: no personal data. Amounts are in the minor unit of Currency.
type Data struct {
	Items          []Item `json:"items,omitempty"`
	DiscountAmount int64  `json:"discountAmount,omitempty"`
	DeliveryFee    int64  `json:"deliveryFee,omitempty"`
	PointAmount    int64  `json:"pointAmount,omitempty"`
	// PaymentAmount is what was charged, or refunded.
	PaymentAmount int64  `json:"paymentAmount,omitempty"`
	Currency      string `json:"currency,omitempty"`
	// Reason of a cancellation, as the API shows it: OUT_OF_STOCK ...
	Reason string `json:"reason,omitempty"`
	// NotCharged: the order was cancelled before anything was taken, so nothing is given back.
	NotCharged     bool      `json:"notCharged,omitempty"`
	Carrier        string    `json:"carrier,omitempty"`
	TrackingNumber string    `json:"trackingNumber,omitempty"`
	At             time.Time `json:"at"`
}

// Item is one product of the order.
type Item struct {
	ProductName  string `json:"productName"`
	Quantity     int32  `json:"quantity"`
	ProductPrice int64  `json:"productPrice"`
}

// MailCall is the body of a mail's call. The caller looks up the member's contact when it sends, so
// that personal data is in one table only. Its Message-ID is MessageKey, for the receiver to drop a mail
// that is sent again after a crash.
type MailCall struct {
	OrderID    string `json:"orderId"`
	UserID     string `json:"userId"`
	Kind       Kind   `json:"kind"`
	MessageKey string `json:"messageKey"`
	Data       Data   `json:"data"`
}

// Outcome is what became of a mail.
type Outcome string

// The outcomes. A failure that may pass is none: the call is made again.
const (
	IsSent          Outcome = "SENT"
	IsUndeliverable Outcome = "UNDELIVERABLE"
	IsSkipped       Outcome = "SKIPPED"
)

// Mailed is the outcome of a mail's call.
type Mailed struct {
	OrderID string
	Kind    Kind
	Outcome Outcome
	// Code of a refusal: "550 5.1.1". Receiver says that it was said of the receiver, not of the mail.
	Code     string
	Receiver bool
	// AddressSince is when the member got the address that it went to; zero if it went to none.
	AddressSince time.Time
}

// Subject is the order.
func (a Mailed) Subject() string { return a.OrderID }

// KindOf is the kind of mail that an event type (its full name) is mailed as; "": none.
func KindOf(eventType string) Kind {
	return map[string]Kind{
		"quadrille.order.v1.OrderCompleted":        Completed,
		"quadrille.order.v1.OrderCancelled":        Cancelled,
		"quadrille.shipping.v1.ShipmentDispatched": Dispatched,
		"quadrille.shipping.v1.ShipmentDelivered":  Delivered,
		"quadrille.payment.v1.PaymentRefunded":     Refunded,
	}[eventType]
}
