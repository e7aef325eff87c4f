package order

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// Verdict is what CancelOrderPolicy says about a request to cancel.
type Verdict int

// The verdicts.
const (
	// NotYours: there is no such order, or it is somebody else's. The caller cannot tell which.
	NotYours Verdict = iota + 1
	// CancelAtOnce: nothing irrevocable has happened.
	CancelAtOnce
	// AskShipping: completed, so the parcel has to be stopped first.
	AskShipping
	// SameAgain: it is being cancelled, or that was asked for: the same answer, and no event.
	SameAgain
	// TooLate: the parcel is on its way.
	TooLate
)

// CancelOrderPolicy is the whole rule of who may cancel what and when: the order exists, it is the
// caller's or the caller is an operator, and its state allows it.
func CancelOrderPolicy(o Order, exists bool, userID string, operator bool) Verdict {
	switch {
	case !exists, o.UserID != userID && !operator:
		return NotYours
	case o.Status == Pending:
		return CancelAtOnce
	case o.Status == Cancelling, o.Status == Cancelled:
		return SameAgain
	case o.Status != Completed, o.CancelRequest == CancelNotAllowed:
		return TooLate
	case o.CancelRequest == CancelRequested:
		return SameAgain
	}
	return AskShipping
}

// OnCancel cancels a pending order at once. A completed one stays COMPLETED until shipping has answered
// whether the parcel could be stopped.
func OnCancel(w *World, c Cancel, m flow.Meta) (flow.Reply, []flow.Event) {
	o, known := w.Orders.Get(c.OrderID)
	var events []flow.Event
	switch CancelOrderPolicy(o, known, c.UserID, c.Operator) {
	case NotYours:
		return flow.Refuse(fault.NotFound())
	case TooLate:
		return flow.Refuse(fault.Conflict(fault.CodeNotCancelable, "The order is on its way to you."))
	case CancelAtOnce:
		o.CancelNote = c.Reason
		events = []flow.Event{o.cancel(ByCustomer, orderv1.UndoFrom_UNDO_FROM_PAYMENT, m)}
	case AskShipping:
		o.CancelNote, o.CancelRequest = c.Reason, CancelRequested
		o.changed(m)
		events = []flow.Event{&orderv1.OrderCancelRequested{
			OrderId: o.OrderID, UserId: o.UserID, RequestedAt: timestamppb.New(m.Now),
		}}
	case SameAgain:
	}
	if len(events) > 0 {
		o.Version += int64(len(events))
		w.Orders.Put(o.OrderID, o)
	}
	return flow.Reply{Status: 202, Body: ViewOf(o)}, events
}
