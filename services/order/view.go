package order

import "time"

// View is an order as the API shows it. Command and query code both answer with it.
type View struct {
	OrderID        string      `json:"orderId"`
	OrderNumber    string      `json:"orderNumber"`
	Version        int64       `json:"version"`
	UserID         string      `json:"userId"`
	Status         Status      `json:"status"`
	Reason         *Reason     `json:"reason"`
	Progress       Progress    `json:"progress"`
	Items          []Item      `json:"items"`
	DiscountAmount int64       `json:"discountAmount"`
	DeliveryFee    int64       `json:"deliveryFee"`
	PointAmount    int64       `json:"pointAmount"`
	PaymentAmount  int64       `json:"paymentAmount"`
	Currency       string      `json:"currency"`
	PaymentType    PaymentType `json:"paymentType"`
	// ShippingAddressID is where the order goes, or went.
	ShippingAddressID string     `json:"shippingAddressId"`
	Shipment          *Shipment  `json:"shipment"`
	Undo              *UndoView  `json:"undo"`
	NextActions       []string   `json:"nextActions"`
	DeadlineAt        *time.Time `json:"deadlineAt"`
	CreatedAt         time.Time  `json:"createdAt"`
	UpdatedAt         time.Time  `json:"updatedAt"`
}

// Shipment is what the order knows of its parcel.
type Shipment struct {
	Carrier        string `json:"carrier"`
	TrackingNumber string `json:"trackingNumber"`
	Status         string `json:"status"`
}

// UndoView is how far the undo of each step is; absent while nothing is undone.
type UndoView struct {
	Payment Undo `json:"payment"`
	Coupon  Undo `json:"coupon"`
	Stock   Undo `json:"stock"`
}

// ViewOf shows an order.
func ViewOf(o Order) View {
	v := View{
		OrderID: o.OrderID, OrderNumber: NumberOf(o.OrderID), Version: o.Version, UserID: o.UserID, Status: o.Status, Progress: o.Progress,
		Items: o.Items, DiscountAmount: o.DiscountAmount, DeliveryFee: o.DeliveryFee, PointAmount: o.PointAmount,
		PaymentAmount: o.PaymentAmount, Currency: o.Currency, PaymentType: o.PaymentType,
		ShippingAddressID: o.AddressID, NextActions: []string{}, CreatedAt: o.CreatedAt.UTC(), UpdatedAt: o.UpdatedAt.UTC(),
	}
	if v.Items == nil {
		v.Items = []Item{}
	}
	if o.Reason != "" {
		v.Reason = &o.Reason
	}
	if o.ShipmentStatus != "" {
		v.Shipment = &Shipment{Carrier: o.Carrier, TrackingNumber: o.TrackingNumber, Status: o.ShipmentStatus}
	}
	if o.Status == Cancelling || o.Status == Cancelled {
		v.Undo = &UndoView{Payment: o.UndoPayment, Coupon: o.UndoCoupon, Stock: o.UndoStock}
	}
	switch CancelOrderPolicy(o, true, o.UserID, false) {
	case CancelAtOnce, AskShipping:
		v.NextActions = append(v.NextActions, "cancel")
	}
	if o.Status == Pending && !o.DeadlineAt.IsZero() {
		at := o.DeadlineAt.UTC()
		v.DeadlineAt = &at
	}
	return v
}
