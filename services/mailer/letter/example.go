package letter

import (
	"time"

	"github.com/quadrille-io/quadrille/services/mailer"
)

// Example is a mail with made-up data, to look at its template.
type Example struct {
	// Name is the kind and what is particular: "cancelled-timed-out".
	Name string
	Mail mailer.MailCall
}

// Examples has every kind of mail, cancellations by each reason, and a mail with as much in it as there can be.
func Examples() []Example {
	const order = "0198e0a4-7c1e-7a35-9d5f-3b1d2c4e5f60"
	at := time.Date(2026, time.November, 21, 6, 4, 0, 0, time.UTC)
	example := func(name string, kind mailer.Kind, data mailer.Data) Example {
		data.At = at
		return Example{Name: name, Mail: mailer.MailCall{
			OrderID: order, UserID: "example", Kind: kind, MessageKey: mailer.MessageKey(order, kind), Data: data,
		}}
	}
	cup := mailer.Item{ProductName: "Celadon tea cup 청자 찻잔", Quantity: 2, ProductPrice: 18_500}
	all := []Example{
		example("completed", mailer.Completed, mailer.Data{
			Items: []mailer.Item{cup}, PaymentAmount: 37_000, Currency: "KRW",
		}),
		example("completed-everything", mailer.Completed, mailer.Data{
			Items: []mailer.Item{
				cup,
				{ProductName: "Quadrille record, 180 g", Quantity: 1, ProductPrice: 10_050},
				{ProductName: "A-product-whose-name-is-one-long-word-without-any-place-to-break-it", Quantity: 120, ProductPrice: 1_234_567},
			},
			DiscountAmount: 3_000, DeliveryFee: 2_500, PointAmount: 1_500, PaymentAmount: 148_193_090, Currency: "KRW",
		}),
		example("completed-abroad", mailer.Completed, mailer.Data{
			Items: []mailer.Item{{ProductName: "Postcards", Quantity: 10, ProductPrice: 120}}, DeliveryFee: 495, PaymentAmount: 1_695, Currency: "EUR",
		}),
	}
	for _, c := range []struct {
		name, reason string
		notCharged   bool
	}{
		{"out-of-stock", "OUT_OF_STOCK", true},
		{"coupon-rejected", "COUPON_REJECTED", true},
		{"payment-declined", "PAYMENT_DECLINED", true},
		{"timed-out", "TIMED_OUT", false},
		{"customer", "CUSTOMER", false},
		{"shipping-failed", "SHIPPING_FAILED", false},
	} {
		all = append(all, example("cancelled-"+c.name, mailer.Cancelled, mailer.Data{Reason: c.reason, NotCharged: c.notCharged}))
	}
	return append(all,
		example("dispatched", mailer.Dispatched, mailer.Data{Carrier: "CJ Logistics", TrackingNumber: "6893 0142 7745"}),
		example("delivered", mailer.Delivered, mailer.Data{Carrier: "CJ Logistics", TrackingNumber: "6893 0142 7745"}),
		example("refunded", mailer.Refunded, mailer.Data{PaymentAmount: 37_000, Currency: "KRW"}),
	)
}
