package reconcile

import (
	"slices"
)

// mailEvents is the event upon which each kind of mail is asked for.
var mailEvents = map[string]string{
	"completed": "OrderCompleted", "cancelled": "OrderCancelled", "dispatched": "ShipmentDispatched",
	"delivered": "ShipmentDelivered", "refunded": "PaymentRefunded",
}

// mails holds the mails that were asked for against what happened to the order.
func (v View) mails() []Difference {
	o := v.Order
	want := map[string]bool{}
	want["completed"] = wasCompleted(o)
	want["cancelled"] = o.Status == cancelled
	want["dispatched"] = o.Status == shipped || o.Status == delivered
	want["delivered"] = o.Status == delivered
	want["refunded"] = v.Payment != nil && v.Payment.Refund == "DONE"
	excused := map[string]bool{"refunded": o.UndoPayment == "REFUNDED"} // then it is payment's row that is odd
	var asked []string
	if v.Mails != nil {
		asked = v.Mails.Kinds
	}
	var found []Difference
	for _, kind := range sortedKeys(mailEvents) {
		switch is := slices.Contains(asked, kind); {
		case want[kind] && !is:
			found = append(found, v.difference("mail_asked", "mailer.mail", []string{"mailer", "order"},
				"mailer was never asked for the mail %q about order %s, %s.", kind, v.OrderID, v.is()).resend(mailEvents[kind]))
		case !want[kind] && is && !excused[kind]:
			found = append(found, v.difference("mail_asked", "mailer.mail", []string{"mailer", "order"},
				"mailer was asked for the mail %q about order %s, %s.", kind, v.OrderID, v.is()).
				person("The customer was told something else than what order says: the order's timeline."))
		}
	}
	return found
}

// line holds what the gateway made of the events against the order. Any event of the order makes it fold
// them again.
func (v View) line() []Difference {
	o, l := v.Order, v.Line
	const row = "gateway.order_line"
	services := []string{"gateway", "order"}
	switch {
	case l == nil:
		return []Difference{v.difference("events_agree", row, services,
			"the gateway has read no event of order %s, %s.", v.OrderID, v.is()).
			person("Is the gateway behind (GET /ops/v1/subscriptions), or was its database made anew after the topics had dropped the events?")}
	case l.Status != o.Status || l.Reason != o.Reason:
		event := "OrderCreated"
		if o.Status == cancelled {
			event = "OrderCancelled"
		}
		return []Difference{v.difference("events_agree", row, services,
			"the gateway's list says that order %s is %s %s, and order says %s %s.", v.OrderID, l.Status, l.Reason, o.Status, o.Reason).resend(event)}
	}
	return nil
}
