package main

import (
	"context"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
)

func TestEventComesBackAsItWasSent(t *testing.T) {
	t.Parallel()
	sent := event{
		OrderID: "order-1", UserID: "user-2", ProductID: "product-3", Quantity: 4, Amount: 5,
		CouponID: "coupon-6", Discount: 7, PaymentID: "payment-8",
	}
	msg, err := sent.message()
	if err != nil {
		t.Fatal(err)
	}
	record, err := marshaler().Marshal("topic", msg)
	if err != nil {
		t.Fatal(err)
	}
	key, err := record.Key.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(key) != sent.OrderID {
		t.Errorf("the partition key is %q, want the order", key)
	}
	got, err := parseEvent(msg)
	if err != nil {
		t.Fatal(err)
	}
	if got != sent {
		t.Errorf("read %+v, sent %+v", got, sent)
	}
	if _, err := parseEvent(message.NewMessage("id", []byte("{"))); err == nil {
		t.Error("half an event is read without an error")
	}
}

// A slot taken is free again with the order's completion, and not before.
func TestTrackerLetsALimitedNumberIn(t *testing.T) {
	t.Parallel()
	tr := newTracker(1)
	if err := tr.begin(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.begin(gone, "second"); err == nil {
		t.Fatal("a second order is let in beside the first")
	}
	tr.completed("first")
	if err := tr.begin(t.Context(), "third"); err != nil {
		t.Fatal(err)
	}
	if n := len(tr.latencies); n != 1 || tr.done.Load() != 1 {
		t.Errorf("%d latencies and %d completed, want one each", n, tr.done.Load())
	}
}
