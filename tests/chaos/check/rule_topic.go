package check

import (
	"slices"
)

// topicRules are about the topics alone, and about what services say they have published.
var topicRules = []Rule{
	{"envelope", "Every record has a complete envelope, of the topic's own service, and a payload that fits it.", envelope},
	{"event-id", "An id is one event's: repeats are the same in everything.", eventID},
	{"sequence", "Per source and subject ce_sequence counts from 1 without a gap, in order, once repeats are dropped.", sequence},
	{"emitted", "What a service has emitted is on its topic, and nothing else is.", emitted},
	{"one-partition", "All events of a subject are in one partition.", onePartition},
	{"once", "An order has each event type at most once, RefundFailed aside.", once},
	{"cause", "The cause of every event is an event that there is, about the same subject.", cause},
	{"undo-order", "An undo runs last step first, each step caused by the one after it, and to its end.", undoOrder},
	{"after-cancel", "Nothing goes forward behind OrderCancelled, or behind a step's own undo.", afterCancel},
	{"sent-and-cancelled", "An order is dispatched or cancelled, never both.", sentAndCancelled},
	{"stranger", "Every order that events are about is in order's table.", stranger},
	{"version", "An order's version is the number of its events.", version},
	{"timeline", "The gateway's timeline holds every event, each once.", timeline},
}

// isProduct tells a product's event from an order's.
func isProduct(e *Event) bool {
	switch e.Type {
	case "ProductListed", "ProductPriceChanged", "StockRestocked", "LowStockReached":
		return true
	}
	return false
}

// orderOf is the order an event is about, "" for a product's.
func orderOf(e *Event) string {
	if isProduct(e) {
		return ""
	}
	return e.Subject
}

func envelope(j *judge) {
	for i := range j.Events {
		if e := &j.Events[i]; e.Bad != "" {
			j.violated(orderOf(e), "%s/%d at %d (%s): %s", e.Topic, e.Partition, e.Offset, e.Type, e.Bad)
		}
	}
}

func eventID(j *judge) {
	for i := range j.Events {
		e := &j.Events[i]
		f := j.event[e.ID]
		if f.Type != e.Type || f.Source != e.Source || f.Subject != e.Subject || f.Sequence != e.Sequence || f.Cause != e.Cause ||
			!f.At.Equal(e.At) || f.Amount != e.Amount || f.Points != e.Points || f.Undo != e.Undo {
			j.violated(orderOf(e), "id %s is %s %d of %s at %d, and %s %d of %s at %d",
				e.ID, f.Type, f.Sequence, f.Subject, f.Offset, e.Type, e.Sequence, e.Subject, e.Offset)
		}
	}
}

// sequence relies on the order of the log: events of one subject are in one partition.
func sequence(j *judge) {
	last := map[[2]string]int64{}
	for i := range j.Events {
		e := &j.Events[i]
		if j.event[e.ID] != e {
			continue // a repeat
		}
		k := [2]string{e.Source, e.Subject}
		if e.Sequence != last[k]+1 {
			j.violated(orderOf(e), "%s/%d at %d: %s of %s is number %d, and number %d went before it",
				e.Topic, e.Partition, e.Offset, e.Type, e.Source, e.Sequence, last[k])
		}
		last[k] = e.Sequence
	}
}

func emitted(j *judge) {
	published := map[string]map[string]int64{}
	for _, source := range topics {
		published[source] = map[string]int64{}
	}
	for _, e := range j.event {
		if of := published[e.Source]; of != nil {
			of[e.Subject]++
		}
	}
	for _, source := range sorted(published) {
		for subject, n := range j.Services[source].Emitted {
			if published[source][subject] != n {
				j.violated(j.known(subject), "%s has emitted %d events about %s, and %d are on its topic", source, n, subject, published[source][subject])
			}
		}
		for subject, n := range published[source] {
			if _, there := j.Services[source].Emitted[subject]; !there {
				j.violated(j.known(subject), "%s has emitted nothing about %s, and %d events are on its topic", source, subject, n)
			}
		}
	}
}

// known is the subject if it is an order's, else "".
func (j *judge) known(subject string) string {
	if j.order[subject] == nil {
		return ""
	}
	return subject
}

func onePartition(j *judge) {
	at := map[[2]string]int32{}
	for i := range j.Events {
		e := &j.Events[i]
		k := [2]string{e.Topic, e.Subject}
		if before, there := at[k]; there && before != e.Partition {
			j.violated(orderOf(e), "%s has it in partition %d and in %d", e.Topic, before, e.Partition)
		}
		at[k] = e.Partition
	}
}

func once(j *judge) {
	for subject, events := range j.about {
		for i, e := range events {
			if isProduct(e) || e.Type == "RefundFailed" {
				continue
			}
			if slices.ContainsFunc(events[:i], func(b *Event) bool { return b.Type == e.Type }) {
				j.violated(subject, "%s stands there a second time, as %s", e.Type, e.ID)
			}
		}
	}
}

func cause(j *judge) {
	for _, e := range j.event {
		if isProduct(e) {
			continue
		}
		c := j.event[e.Cause]
		switch {
		case e.Type == "OrderCreated" && e.Cause == "" && e.Root == e.ID:
		case c == nil:
			j.violated(e.Subject, "%s is caused by %q, which is no event", e.Type, e.Cause)
		case c.Subject != e.Subject:
			j.violated(e.Subject, "%s is caused by %s of %s", e.Type, c.Type, c.Subject)
		case j.event[e.Root] == nil || j.event[e.Root].Type != "OrderCreated":
			j.violated(e.Subject, "%s belongs to the chain of %q, which is no OrderCreated", e.Type, e.Root)
		}
	}
}

// causedBy says which event caused the order's event of that name, "" if there is none.
func (j *judge) causedBy(order, name string) string {
	if e := j.first(order, name); e != nil {
		if c := j.event[e.Cause]; c != nil {
			return c.Type
		}
	}
	return ""
}

// undoSteps are the steps of an undo in their order, from where it begins.
func undoSteps(from string, coupons bool) []string {
	steps := []string{"OrderCancelled"}
	if from == "PAYMENT" {
		steps = append(steps, "PaymentCancelled")
	}
	if coupons && (from == "PAYMENT" || from == "COUPON") {
		steps = append(steps, "CouponUseCancelled")
	}
	if from != "NOTHING" {
		steps = append(steps, "StockIncreased")
	}
	return steps
}

func undoOrder(j *judge) {
	undos := []string{"PaymentCancelled", "CouponUseCancelled", "StockIncreased"}
	for i := range j.Orders {
		o := &j.Orders[i]
		cancelled := j.first(o.ID, "OrderCancelled")
		if cancelled == nil {
			for _, name := range undos {
				if j.has(o.ID, name) {
					j.violated(o.ID, "%s without OrderCancelled", name)
				}
			}
			continue
		}
		steps := undoSteps(cancelled.Undo, len(o.Coupons) > 0)
		for at, name := range steps[1:] {
			if !j.has(o.ID, name) {
				j.violated(o.ID, "the undo from %s has no %s", cancelled.Undo, name)
			} else if by := j.causedBy(o.ID, name); by != steps[at] {
				j.violated(o.ID, "%s is caused by %q, and should be by %s", name, by, steps[at])
			}
		}
		for _, name := range undos {
			if j.has(o.ID, name) && !slices.Contains(steps, name) {
				j.violated(o.ID, "%s does not belong to an undo from %s", name, cancelled.Undo)
			}
		}
	}
}

// afterCancel looks at each service's own sequence: between topics there is no order, and what a service
// has not heard of yet does not bind it.
func afterCancel(j *judge) {
	ends := map[string][]string{
		"OrderCancelled":     {"OrderCompleted", "OrderCouponWaived", "OrderCancelRequested"},
		"StockIncreased":     {"StockDecreased", "StockDecreaseFailed"},
		"CouponUseCancelled": {"CouponUsed", "CouponUseFailed", "CouponReturned"},
		"PaymentCancelled":   {"PaymentCompleted", "PaymentFailed"},
		"PaymentFailed":      {"PaymentCompleted"},
		"ShipmentCancelled":  {"ShipmentPrepared", "ShipmentDispatched", "ShipmentDelivered", "ShipmentFailed"},
		"ShipmentFailed":     {"ShipmentPrepared", "ShipmentDispatched", "ShipmentDelivered", "ShipmentCancelled"},
		"ShipmentDispatched": {"ShipmentPrepared", "ShipmentCancelled", "ShipmentFailed"},
	}
	for subject, events := range j.about {
		for _, end := range events {
			for _, e := range events {
				if e.Source == end.Source && e.Sequence > end.Sequence && slices.Contains(ends[end.Type], e.Type) {
					j.violated(subject, "%s follows %s", e.Type, end.Type)
				}
			}
		}
	}
}

func sentAndCancelled(j *judge) {
	for i := range j.Orders {
		id := j.Orders[i].ID
		for _, gone := range []string{"ShipmentDispatched", "ShipmentDelivered"} {
			for _, back := range []string{"OrderCancelled", "PaymentCancelled", "StockIncreased"} {
				if j.has(id, gone) && j.has(id, back) {
					j.violated(id, "there are both %s and %s", gone, back)
				}
			}
		}
		if j.has(id, "ShipmentCancelRefused") && !j.has(id, "ShipmentDispatched") {
			j.violated(id, "ShipmentCancelRefused without ShipmentDispatched")
		}
	}
}

func stranger(j *judge) {
	for subject, events := range j.about {
		if j.order[subject] == nil && !isProduct(events[0]) {
			j.violated(subject, "%d events are about an order that is not there, the first %s", len(events), events[0].Type)
		}
	}
}

func version(j *judge) {
	for i := range j.Orders {
		o := &j.Orders[i]
		if n := int64(len(j.about[o.ID])); n != o.Version {
			j.violated(o.ID, "its version is %d, and it has %d events", o.Version, n)
		}
	}
}

func timeline(j *judge) {
	for id, e := range j.event {
		if subject, there := j.Timeline[id]; !there {
			j.violated(orderOf(e), "%s %s is not in the gateway's timeline", e.Type, id)
		} else if subject != e.Subject {
			j.violated(orderOf(e), "%s %s stands under %s in the gateway's timeline", e.Type, id, subject)
		}
	}
	for id, subject := range j.Timeline {
		if j.event[id] == nil {
			j.violated(j.known(subject), "the gateway's timeline has an event that is on no topic: %s", id)
		}
	}
}
