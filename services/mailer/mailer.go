package mailer

import (
	"strings"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
)

// OnOrderCompleted mails the confirmation.
func OnOrderCompleted(w *World, e *orderv1.OrderCompleted, m flow.Meta) []flow.Event {
	data := Data{
		DiscountAmount: e.GetDiscountAmount(), DeliveryFee: e.GetDeliveryFee(), PointAmount: e.GetPointAmount(),
		PaymentAmount: e.GetPaymentAmount(), Currency: e.GetCurrency(), At: e.GetCompletedAt().AsTime(),
	}
	for _, item := range e.GetOrderItems() {
		data.Items = append(data.Items, Item{
			ProductName: item.GetProductName(), Quantity: item.GetQuantity(), ProductPrice: item.GetProductPrice(),
		})
	}
	return mail(w, Completed, e.GetOrderId(), e.GetUserId(), data, m)
}

// OnOrderCancelled mails that the order will not come, and why.
func OnOrderCancelled(w *World, e *orderv1.OrderCancelled, m flow.Meta) []flow.Event {
	reason := strings.TrimPrefix(e.GetReason().String(), "CANCEL_REASON_")
	notCharged := false
	switch e.GetUndoFrom() {
	case orderv1.UndoFrom_UNDO_FROM_NOTHING, orderv1.UndoFrom_UNDO_FROM_STOCK, orderv1.UndoFrom_UNDO_FROM_COUPON:
		notCharged = true // payment comes after these, and has not taken anything
	}
	return mail(w, Cancelled, e.GetOrderId(), e.GetUserId(), Data{Reason: reason, NotCharged: notCharged, At: e.GetCancelledAt().AsTime()}, m)
}

// OnShipmentDispatched mails where the parcel can be followed.
func OnShipmentDispatched(w *World, e *shippingv1.ShipmentDispatched, m flow.Meta) []flow.Event {
	return mail(w, Dispatched, e.GetOrderId(), e.GetUserId(), Data{
		Carrier: e.GetCarrier(), TrackingNumber: e.GetTrackingNumber(), At: e.GetDispatchedAt().AsTime(),
	}, m)
}

// OnShipmentDelivered mails that the parcel has arrived.
func OnShipmentDelivered(w *World, e *shippingv1.ShipmentDelivered, m flow.Meta) []flow.Event {
	return mail(w, Delivered, e.GetOrderId(), e.GetUserId(), Data{
		Carrier: e.GetCarrier(), TrackingNumber: e.GetTrackingNumber(), At: e.GetDeliveredAt().AsTime(),
	}, m)
}

// OnPaymentRefunded mails that the money is on its way back.
func OnPaymentRefunded(w *World, e *paymentv1.PaymentRefunded, m flow.Meta) []flow.Event {
	return mail(w, Refunded, e.GetOrderId(), e.GetUserId(), Data{
		PaymentAmount: e.GetPaymentAmount(), Currency: e.GetCurrency(), At: e.GetRefundedAt().AsTime(),
	}, m)
}

// mail asks for one mail, once per order and kind: the row that is there already says that it was asked
// for, whatever became of it.
func mail(w *World, kind Kind, orderID, userID string, data Data, m flow.Meta) []flow.Event {
	key := MailKey(orderID, kind)
	if _, known := w.Mails.Get(key); known {
		return nil
	}
	row := Mail{OrderID: orderID, UserID: userID, Kind: kind, State: Waiting, Data: data, CreatedAt: m.Now, UpdatedAt: m.Now}
	if w.Strangers[userID] {
		row.State = Skipped
		w.Mails.Put(key, row)
		return nil
	}
	w.Mails.Put(key, row)
	w.Call(flow.Call{Subject: orderID, Kind: CallOf(kind), Body: MailCall{
		OrderID: orderID, UserID: userID, Kind: kind, MessageKey: MessageKey(orderID, kind), Data: data,
	}})
	return nil
}
