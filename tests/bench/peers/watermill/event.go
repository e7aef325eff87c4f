package main

import (
	"encoding/json"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
)

// The events, one topic each: what happened, as the name of its topic.
const (
	orderCreated     = "OrderCreated"
	stockDecreased   = "StockDecreased"
	couponUsed       = "CouponUsed"
	paymentCompleted = "PaymentCompleted"
	orderCompleted   = "OrderCompleted"
)

func events() []string {
	return []string{orderCreated, stockDecreased, couponUsed, paymentCompleted, orderCompleted}
}

// keyField is the metadata that the marshaler takes for the partition key.
const keyField = "order_id"

// event is the payload of all five: each step hands on what the next ones need,
// so that nobody has to ask back.
type event struct {
	OrderID   string `json:"order_id"`
	UserID    string `json:"user_id"`
	ProductID string `json:"product_id"`
	Quantity  int64  `json:"quantity"`
	Amount    int64  `json:"amount"` // minor unit
	CouponID  string `json:"coupon_id"`
	Discount  int64  `json:"discount,omitempty"` // minor unit
	PaymentID string `json:"payment_id,omitempty"`
}

// message returns the event as Watermill carries it.
func (e event) message() (*message.Message, error) {
	payload, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("marshal event of order %s: %w", e.OrderID, err)
	}
	msg := message.NewMessage(watermill.NewUUID(), payload)
	msg.Metadata.Set(keyField, e.OrderID)
	return msg, nil
}

func parseEvent(msg *message.Message) (event, error) {
	var e event
	if err := json.Unmarshal(msg.Payload, &e); err != nil {
		return event{}, fmt.Errorf("read message %s: %w", msg.UUID, err)
	}
	return e, nil
}
