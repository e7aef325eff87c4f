package order

import (
	"slices"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// ChangeAddress is PATCH /api/v1/orders/{orderId} with a shippingAddressId: a pending order is to be sent elsewhere.
type ChangeAddress struct {
	OrderID string
	UserID  string
	// AddressID is one of the member's addresses.
	AddressID string
}

// Subject is the order.
func (c ChangeAddress) Subject() string { return c.OrderID }

// ChangeAddressPolicy is the whole rule of who may send an order elsewhere and when: the order exists and is the
// member's, it is PENDING, and the address is one of the member's. nil: it may be changed.
//
// While it is PENDING, nobody but order knows of an address: shipping hears of it by OrderCompleted. Afterwards the
// parcel has been addressed, or is about to be, and the way to another address is to cancel.
func ChangeAddressPolicy(o Order, exists bool, member Member, addressID string) *fault.Refusal {
	switch {
	case !exists, o.UserID != member.UserID:
		return fault.NotFound()
	case o.AddressID == addressID:
		return nil // it goes there already, whatever has become of it
	case o.Status != Pending:
		return fault.Conflict(fault.CodeAddressFixed, "The order is no longer pending, so its address stays.")
	case !slices.Contains(member.AddressIDs, addressID):
		return fault.Unprocessable(fault.CodeUnknownAddress, "There is no such address of the member.",
			fault.FieldError{Pointer: "/shippingAddressId", Code: fault.CodeUnknownAddress, Detail: "it is not one of the member's"})
	}
	return nil
}

// OnChangeAddress changes the order's own row, under its lock: a payment that comes at the same moment completes the
// order with the address as it is then. No event tells of it, as OrderCompleted will say where the order goes.
func OnChangeAddress(w *World, c ChangeAddress, m flow.Meta) (flow.Reply, []flow.Event) {
	o, known := w.Orders.Get(c.OrderID)
	member, _ := w.Members.Get(c.UserID)
	member.UserID = c.UserID // one who has no copy here has no address either
	if refusal := ChangeAddressPolicy(o, known, member, c.AddressID); refusal != nil {
		return flow.Refuse(refusal)
	}
	if o.AddressID != c.AddressID {
		o.AddressID = c.AddressID
		o.changed(m)
		w.Orders.Put(o.OrderID, o)
		w.Addresses.Put(o.OrderID, o.AddressID)
	}
	return flow.Reply{Status: 200, Body: ViewOf(o)}, nil
}
