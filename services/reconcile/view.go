package reconcile

import (
	"fmt"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// View is one order as every service sees it; nil where a service does not know it.
type View struct {
	OrderID  string
	Order    *book.Order
	Stock    *book.Reservation
	Coupon   *book.Use
	Payment  *book.Payment
	Shipment *book.Shipment
	Mails    *book.Mails
	Line     *book.Line
}

// The statuses of an order.
const (
	pending    = "PENDING"
	completed  = "COMPLETED"
	shipped    = "SHIPPED"
	delivered  = "DELIVERED"
	cancelling = "CANCELLING"
	cancelled  = "CANCELLED"
)

// undo is how far back the undo of a cancelled order goes: which steps had been done, or may have been.
type undo int

const (
	undoNothing undo = iota // sold out: nothing was done
	undoStock               // the coupon was refused
	undoCoupon              // the payment was refused
	undoAll
)

// undoOf follows from the reason, as in the choreography's table of the way back.
func undoOf(reason string) undo {
	switch reason {
	case "OUT_OF_STOCK":
		return undoNothing
	case "COUPON_REJECTED":
		return undoStock
	case "PAYMENT_DECLINED":
		return undoCoupon
	}
	return undoAll
}

func stands(o *book.Order) bool {
	return o.Status == completed || o.Status == shipped || o.Status == delivered
}

// wasCompleted says that the order was completed at some time: its amounts are those that were paid.
func wasCompleted(o *book.Order) bool {
	return stands(o) || o.ShipmentStatus == "CANCELLED" || o.ShipmentStatus == "FAILED"
}

// inFlight says that more will happen to the order by itself.
func inFlight(o *book.Order) bool { return o.Status == pending || o.Status == cancelling }

// judge says what does not agree about the order. An order under way is judged by its time only.
func (v View) judge(stuck time.Duration) []Difference {
	o := v.Order
	switch {
	case o == nil:
		return v.unknown()
	case inFlight(o):
		return v.waits(stuck)
	}
	found := v.compare(stuck)
	if len(found) > 0 && v.Line != nil && (v.Line.Status != o.Status || v.Line.Reason != o.Reason) {
		// The events say something else than order. If everybody else agrees with them, it is order's row.
		told := *o
		told.Status, told.Reason = v.Line.Status, v.Line.Reason
		told.UndoPayment, told.ShipmentStatus = "", ""
		if v.Shipment != nil {
			told.ShipmentStatus = v.Shipment.State
		}
		other := v
		other.Order = &told
		if !inFlight(&told) && len(other.compare(stuck)) == 0 {
			found = []Difference{v.orderStatus()}
		}
	}
	return append(found, v.adds()...)
}

// compare holds each service's row against the order's status.
func (v View) compare(stuck time.Duration) []Difference {
	return slices.Concat(v.stock(), v.coupon(), v.payment(stuck), v.shipment(stuck), v.cancelRequest(stuck), v.mails(), v.line())
}

// difference begins one about the order.
func (v View) difference(rule, row string, services []string, format string, args ...any) Difference {
	return Difference{
		Rule: rule, Row: row, OrderID: v.OrderID, Services: services, Sentence: fmt.Sprintf(format, args...), Repair: []string{},
	}
}

// resend is the command that has an event published again.
func (d Difference) resend(eventType string) Difference {
	d.Repair = append(slices.Clone(d.Repair), fmt.Sprintf("quadrille repair resend %s %s", d.OrderID, eventType))
	return d
}

// person says what somebody has to look at who decides.
func (d Difference) person(advice string) Difference {
	d.Advice = advice
	return d
}

// is tells how the order ended, for a sentence.
func (v View) is() string {
	o := v.Order
	if o.Status == cancelled {
		return fmt.Sprintf("which was cancelled (%s) %s ago and says its undo is complete", o.Reason, ago(o.Idle))
	}
	return fmt.Sprintf("which is %s since %s ago", o.Status, ago(o.Idle))
}

// ago writes an age for a person.
func ago(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

func pieces(n int64) string {
	if n == 1 {
		return "1 piece"
	}
	return fmt.Sprintf("%d pieces", n)
}

// unknown is an order that others have done something for, and order does not have.
func (v View) unknown() []Difference {
	var knows []string
	for _, k := range []struct {
		service string
		knows   bool
	}{
		{"stock", v.Stock != nil},
		{"coupon", v.Coupon != nil},
		{"payment", v.Payment != nil},
		{"shipping", v.Shipment != nil},
		{"mailer", v.Mails != nil},
		{"gateway", v.Line != nil},
	} {
		if k.knows {
			knows = append(knows, k.service)
		}
	}
	if len(knows) == 0 {
		return nil
	}
	return []Difference{v.difference("order_known", "order.orders", append([]string{"order"}, knows...),
		"order does not know order %s, but %s %s.", v.OrderID, list(knows), plural(len(knows), "does", "do")).
		person("Was order's database restored from a backup? The timeline and the other services' rows say what the order was.")}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// list writes names for a sentence: a, b and c.
func list(names []string) string {
	switch n := len(names); n {
	case 0:
		return "nobody"
	case 1:
		return names[0]
	default:
		var text string
		for i, name := range names[:n-1] {
			if i > 0 {
				text += ", "
			}
			text += name
		}
		return text + " and " + names[n-1]
	}
}
