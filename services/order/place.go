package order

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// OnPlace accepts an order, or says why not. It is answered as soon as it is committed; whether there is
// stock for it is the next step's to say.
func OnPlace(w *World, c Place, m flow.Meta) (flow.Reply, []flow.Event) {
	if o, again := doubleClick(w, c, m); again {
		return flow.Reply{Status: 202, Body: ViewOf(o)}, nil
	}
	return accept(w, c, m)
}

// accept places an order that is no double click, or refuses it.
func accept(w *World, c Place, m flow.Meta) (flow.Reply, []flow.Event) {
	o, refusal := Check(w, c, m.Now)
	if refusal != nil {
		return flow.Refuse(refusal)
	}
	timeout := c.Rules.PendingTimeout
	if c.PaymentType == Transfer {
		timeout = c.Rules.TransferTimeout
	}
	o.Version, o.Status, o.Progress = 1, Pending, AtStock
	o.UndoPayment, o.UndoCoupon, o.UndoStock = UndoNone, UndoNone, UndoNone
	o.DeadlineAt, o.CouponTimeout = m.Now.Add(timeout), c.Rules.CouponTimeout
	o.CreatedEvent = m.EventID(0)
	o.CreatedAt, o.UpdatedAt = m.Now, m.Now
	w.Orders.Put(o.OrderID, o)
	if c.Rules.DoubleClickWindow > 0 {
		w.Recent.Put(RecentKey(c.UserID, c.BodyHash), Recent{OrderID: o.OrderID, At: m.Now})
	}
	return flow.Reply{Status: 202, Body: ViewOf(o)}, []flow.Event{&orderv1.OrderCreated{
		OrderId: o.OrderID, UserId: o.UserID, OrderItems: itemsOf(o), TotalAmount: o.ItemsAmount + o.DeliveryFee,
		CreatedAt: timestamppb.New(m.Now), Checkout: checkoutOf(o),
	}}
}

// doubleClick finds the identical order that the member placed a moment ago. One that was cancelled
// since, or is being cancelled, is no reason not to order again.
func doubleClick(w *World, c Place, m flow.Meta) (Order, bool) {
	recent, known := w.Recent.Get(RecentKey(c.UserID, c.BodyHash))
	if !known || recent.OrderID == "" || !m.Now.Before(recent.At.Add(c.Rules.DoubleClickWindow)) {
		return Order{}, false
	}
	o, known := w.Orders.Get(recent.OrderID)
	return o, known && o.Status != Cancelling && o.Status != Cancelled
}

// itemsOf is the order's items as events carry them.
func itemsOf(o Order) []*orderv1.OrderItem {
	items := make([]*orderv1.OrderItem, len(o.Items))
	for i, item := range o.Items {
		items[i] = &orderv1.OrderItem{
			ProductId: item.ProductID, ProductName: item.ProductName,
			Quantity: item.Quantity, ProductPrice: item.ProductPrice,
		}
	}
	return items
}

// checkoutOf is what the later steps need to know, as every event on the way forward carries it.
func checkoutOf(o Order) *orderv1.Checkout {
	return &orderv1.Checkout{
		ItemsAmount: o.ItemsAmount, DiscountAmount: o.DiscountAmount, DeliveryFee: o.DeliveryFee,
		PointAmount: o.PointAmount, PaymentAmount: o.PaymentAmount, Currency: o.Currency,
		PaymentType: orderv1.PaymentType(orderv1.PaymentType_value["PAYMENT_TYPE_"+string(o.PaymentType)]),
		// The provider's token is opaque and worth nothing without the merchant's key.
		PaymentToken: o.PaymentToken, CouponRefs: o.CouponRefs,
		CouponFailurePolicy: orderv1.CouponFailurePolicy(
			orderv1.CouponFailurePolicy_value["COUPON_FAILURE_POLICY_"+string(o.CouponPolicy)]),
		ShippingAddressId: o.AddressID, DeadlineAt: timestamppb.New(o.DeadlineAt),
	}
}
