package check

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// tampering breaks one promise in a recorded run. do returns the order that is to be named, "" where it is
// about none.
type tampering struct {
	rule, name string
	do         func(*scene) string
}

var tamperings = slices.Concat(historyTamperings, topicTamperings, tableTamperings, leftTamperings)

var historyTamperings = []tampering{
	{"accepted-lost", "row gone", func(s *scene) string {
		o := *s.is("COMPLETED")
		s.Orders = dropped(s.Orders, func(x *Order) bool { return x.ID == o.ID })
		return o.ID
	}},
	{"accepted-lost", "somebody else's", func(s *scene) string {
		o := s.is("COMPLETED")
		o.Member = "somebody else"
		return o.ID
	}},
	{"other-terms", "one piece more", func(s *scene) string {
		o := s.is("COMPLETED")
		o.Items[0].Quantity++
		return o.ID
	}},
	{"other-terms", "another amount", func(s *scene) string {
		o := s.is("COMPLETED")
		s.event(o.ID, "OrderCreated").Amount++
		return o.ID
	}},
	{"key-two-orders", "answered with two", func(s *scene) string {
		a, b := s.is("COMPLETED"), s.is("DELIVERED")
		again := *s.placed(a.ID)
		again.End.Order = b.ID
		s.answer(again)
		return ""
	}},
	{"key-two-orders", "the table has another", func(s *scene) string {
		o := s.is("COMPLETED")
		c := s.placed(o.ID)
		find(s, "the key", s.Commands, func(x *Command) bool { return x.Key == c.Key && x.Member == c.Member }).Order = ""
		return o.ID
	}},
	{"refused-effect", "refused and placed", func(s *scene) string {
		o := s.is("COMPLETED")
		c := s.placed(o.ID)
		c.End = history.Completion{Outcome: history.Fail, Status: http.StatusUnprocessableEntity, Code: "price_changed"}
		return o.ID
	}},
	{"wrongly-answered", "refused without reason", func(s *scene) string {
		c := s.placed(s.is("COMPLETED").ID)
		c.End = history.Completion{Outcome: history.Fail, Status: http.StatusUnprocessableEntity, Code: "price_changed"}
		return ""
	}},
	{"wrongly-answered", "accepted with a wrong sum", func(s *scene) string {
		o := s.is("COMPLETED")
		s.placed(o.ID).Expect = "amount_mismatch"
		return o.ID
	}},
	{"wrongly-answered", "refused for another reason", func(s *scene) string {
		s.call("refused", func(c *history.Call) bool { return c.Expect != "" && c.End.Outcome == history.Fail }).End.Code = "teapot"
		return ""
	}},
	{"unexplained-order", "nobody called", func(s *scene) string {
		o := s.is("COMPLETED")
		c := *s.placed(o.ID)
		s.Calls = dropped(s.Calls, func(x *history.Call) bool { return x.Key == c.Key && x.Member == c.Member })
		return o.ID
	}},
	{"unexplained-order", "two of one unknown call", func(s *scene) string {
		o := s.is("COMPLETED")
		c := s.placed(o.ID)
		c.Key, c.End = "", history.Completion{Outcome: history.Unknown}
		twin := *o
		twin.ID = "twin"
		s.Orders = append(s.Orders, twin)
		s.emit(s.event(o.ID, "OrderCreated"), "OrderCreated", "twin's first")
		s.Events = append(s.Events, *s.event(o.ID, "OrderCreated"))
		last := &s.Events[len(s.Events)-1]
		last.ID, last.Subject = "twin's", "twin"
		return ""
	}},
	{"double-click", "two stand", func(s *scene) string {
		o := s.is("COMPLETED")
		c := s.placed(o.ID)
		c.Key = ""
		twin, again := *o, *c
		twin.ID, twin.Created = "twin", o.Created.Add(time.Second)
		again.End.Order = "twin"
		created := *s.event(o.ID, "OrderCreated")
		created.ID, created.Subject = "twin's", "twin"
		s.Orders, s.Events = append(s.Orders, twin), append(s.Events, created)
		s.answer(again)
		return "twin"
	}},
	{"read-lost", "not found", func(s *scene) string {
		o := s.is("COMPLETED")
		s.answer(history.Call{
			Invocation: history.Invocation{Op: history.Get, Member: o.Member, Target: o.ID},
			End:        history.Completion{Outcome: history.Fail, Status: http.StatusNotFound},
		})
		return o.ID
	}},
	{"read-went-back", "older than before", func(s *scene) string {
		o := s.is("DELIVERED")
		for i, version := range []int64{o.Version, o.Version - 1} {
			at := s.LastFault.Add(time.Duration(i) * time.Minute)
			s.answer(history.Call{
				Invocation: history.Invocation{Op: history.Get, Member: o.Member, Target: o.ID, At: at},
				End:        history.Completion{Outcome: history.OK, Status: http.StatusOK, Order: o.ID, Version: version, At: at.Add(time.Second)},
			})
		}
		return o.ID
	}},
	{"read-went-back", "older now", func(s *scene) string {
		o := s.is("DELIVERED")
		s.placed(o.ID).End.Version = o.Version + 1
		return o.ID
	}},
	{"cancel-ignored", "accepted and stands", func(s *scene) string {
		o := s.is("COMPLETED")
		s.answer(history.Call{
			Invocation: history.Invocation{Op: history.Cancel, Member: o.Member, Target: o.ID},
			End:        history.Completion{Outcome: history.OK, Status: http.StatusAccepted},
		})
		return o.ID
	}},
	{"cancel-ignored", "refused and not on its way", func(s *scene) string {
		o := s.is("COMPLETED")
		s.answer(history.Call{
			Invocation: history.Invocation{Op: history.Cancel, Member: o.Member, Target: o.ID},
			End:        history.Completion{Outcome: history.Fail, Status: http.StatusConflict, Code: "not_cancelable"},
		})
		return o.ID
	}},
	{"coupon-answer", "somebody else's", func(s *scene) string {
		c := s.call("an issue", func(c *history.Call) bool { return c.Op == history.Issue && c.End.Outcome == history.OK })
		find(s, "its coupon", s.Coupons, func(x *Coupon) bool { return x.ID == c.End.Coupon }).Member = "somebody else"
		return ""
	}},
	{"coupon-answer", "refused before the limit", func(s *scene) string {
		find(s, "a policy", s.Policies, func(p *Policy) bool { return p.Issued < p.Limit })
		s.answer(history.Call{
			Invocation: history.Invocation{Op: history.Issue, Target: s.Policies[0].ID},
			End:        history.Completion{Outcome: history.Fail, Status: http.StatusConflict, Code: "coupon_limit_reached"},
		})
		s.Policies[0].Issued = s.Policies[0].Limit - 1
		return ""
	}},
	{"operator-answer", "restocked twice", func(s *scene) string {
		find(s, "a restock", s.Events, func(e *Event) bool { return e.Type == "StockRestocked" }).Amount *= 2
		return ""
	}},
	{"operator-answer", "a grant lost", func(s *scene) string {
		s.Ledger = dropped(s.Ledger, func(l *Entry) bool { return l.Kind == "GRANTED" })
		return ""
	}},
}

var topicTamperings = []tampering{
	{"envelope", "no type", func(s *scene) string {
		o := s.is("COMPLETED")
		s.event(o.ID, "OrderCompleted").Bad = "ce_type is missing"
		return o.ID
	}},
	{"event-id", "two events of one id", func(s *scene) string {
		o := s.is("COMPLETED")
		s.emit(s.event(o.ID, "OrderCompleted"), "OrderCancelled", s.event(o.ID, "OrderCreated").ID)
		return o.ID
	}},
	{"sequence", "an event is missing", func(s *scene) string {
		o := s.is("COMPLETED")
		s.Events = dropped(s.Events, func(e *Event) bool { return e.Subject == o.ID && e.Type == "OrderCreated" })
		return o.ID
	}},
	{"sequence", "two are swapped", func(s *scene) string {
		o := s.is("COMPLETED")
		a, b := s.event(o.ID, "OrderCreated"), s.event(o.ID, "OrderCompleted")
		*a, *b = *b, *a
		return o.ID
	}},
	{"emitted", "the last was never published", func(s *scene) string {
		o := s.is("COMPLETED")
		s.Events = dropped(s.Events, func(e *Event) bool { return e.Subject == o.ID && e.Type == "ShipmentPrepared" })
		return o.ID
	}},
	{"one-partition", "a key moved", func(s *scene) string {
		o := s.is("COMPLETED")
		s.event(o.ID, "OrderCompleted").Partition += 100
		return o.ID
	}},
	{"once", "decided twice", func(s *scene) string {
		o := s.is("COMPLETED")
		s.emit(s.event(o.ID, "PaymentCompleted"), "PaymentCompleted", "another id")
		return o.ID
	}},
	{"cause", "unknown", func(s *scene) string {
		o := s.is("COMPLETED")
		s.event(o.ID, "PaymentCompleted").Cause = "nothing"
		return o.ID
	}},
	{"cause", "another order's", func(s *scene) string {
		o := s.is("COMPLETED")
		s.event(o.ID, "PaymentCompleted").Cause = s.event(s.is("DELIVERED").ID, "StockDecreased").ID
		return o.ID
	}},
	{"undo-order", "stock before payment", func(s *scene) string {
		o := s.is("CANCELLED", "PaymentCancelled")
		s.event(o.ID, "StockIncreased").Cause = s.event(o.ID, "OrderCancelled").ID
		return o.ID
	}},
	{"undo-order", "a step is missing", func(s *scene) string {
		o := s.is("CANCELLED", "PaymentCancelled")
		s.Events = dropped(s.Events, func(e *Event) bool { return e.Subject == o.ID && e.Type == "PaymentCancelled" })
		return o.ID
	}},
	{"undo-order", "undone and not cancelled", func(s *scene) string {
		o := s.is("COMPLETED")
		s.emit(s.event(o.ID, "StockDecreased"), "StockIncreased", "another id")
		return o.ID
	}},
	{"after-cancel", "completed after it", func(s *scene) string {
		o := s.is("CANCELLED", "PaymentCancelled")
		s.emit(s.event(o.ID, "OrderCancelled"), "OrderCompleted", "another id")
		return o.ID
	}},
	{"after-cancel", "paid after the refund", func(s *scene) string {
		o := s.is("CANCELLED", "PaymentCancelled")
		s.emit(s.event(o.ID, "PaymentCancelled"), "PaymentCompleted", "another id")
		return o.ID
	}},
	{"sent-and-cancelled", "both", func(s *scene) string {
		o := s.is("DELIVERED")
		s.emit(s.event(o.ID, "OrderCompleted"), "OrderCancelled", "another id")
		return o.ID
	}},
	{"stranger", "nobody's", func(s *scene) string {
		e := *s.event(s.is("COMPLETED").ID, "OrderCreated")
		e.ID, e.Subject = "another id", "nobody's"
		s.Events = append(s.Events, e)
		return "nobody's"
	}},
	{"version", "one too many", func(s *scene) string {
		o := s.is("COMPLETED")
		o.Version++
		return o.ID
	}},
	{"timeline", "a hole", func(s *scene) string {
		o := s.is("COMPLETED")
		delete(s.Timeline, s.event(o.ID, "PaymentCompleted").ID)
		return o.ID
	}},
	{"timeline", "an invention", func(s *scene) string {
		o := s.is("COMPLETED")
		s.Timeline["another id"] = o.ID
		return o.ID
	}},
}

var leftTamperings = []tampering{
	{"not-final", "waits", func(s *scene) string {
		o := s.is("COMPLETED")
		o.Status, o.Progress = "PENDING", "PAYMENT"
		return o.ID
	}},
	{"not-final", "its cancel is not answered", func(s *scene) string {
		o := s.is("COMPLETED")
		o.CancelRequest = "REQUESTED"
		return o.ID
	}},
	{"final-late", "one", func(s *scene) string {
		o := s.is("COMPLETED")
		s.event(o.ID, "OrderCompleted").At = s.LastFault.Add(6 * time.Minute)
		return o.ID
	}},
	{"final-late", "never", func(s *scene) string {
		s.FinalAt = time.Time{}
		return ""
	}},
	{"died", "a panic", func(s *scene) string {
		s.Deaths = append(s.Deaths, Death{Process: "order-0", How: "exit status 2"})
		return ""
	}},
	{"died", "for no reason", func(s *scene) string {
		s.Deaths = append(s.Deaths, Death{Process: "order-0", How: "exit status 1", Undisturbed: true})
		return ""
	}},
	{"left-over", "outbox", func(s *scene) string { return s.left("stock", func(l *Left) { l.Outbox = 1 }) }},
	{"left-over", "call", func(s *scene) string { return s.left("payment", func(l *Left) { l.Calls = []string{"charge"} }) }},
	{"left-over", "parked", func(s *scene) string { return s.left("order", func(l *Left) { l.Parked = []string{"an order"} }) }},
	{"left-over", "unread", func(s *scene) string {
		return s.left("gateway", func(l *Left) {
			for at := range maps.Clone(l.Fences) {
				l.Fences[at]--
			}
		})
	}},
}

func (s *scene) left(service string, change func(*Left)) string {
	l := s.Services[service]
	change(&l)
	s.Services[service] = l
	return ""
}
