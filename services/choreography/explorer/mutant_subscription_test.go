package explorer

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// subscriptionMutants end one subscription each. CouponReturned at order is not among them: it changes
// the version only, which the search leaves out (see TestVersion in package order).
func subscriptionMutants() []mutant {
	deaf := func(who, in string, e flow.Event, put func(*system)) mutant {
		return mutant{name: who + " is deaf to " + string(e.ProtoReflect().Descriptor().Name()), in: in, put: put}
	}
	var all []mutant
	stock := func(in string, e flow.Event) {
		all = append(all, deaf("stock", in, e, func(s *system) { drop(s.stock, e) }))
	}
	coupon := func(in string, e flow.Event) {
		all = append(all, deaf("coupon", in, e, func(s *system) { drop(s.coupon, e) }))
	}
	payment := func(in string, e flow.Event) {
		all = append(all, deaf("payment", in, e, func(s *system) { drop(s.payment, e) }))
	}
	order := func(in string, e flow.Event) {
		all = append(all, deaf("order", in, e, func(s *system) { drop(s.order, e) }))
	}
	shipping := func(in string, e flow.Event) {
		all = append(all, deaf("shipping", in, e, func(s *system) { drop(s.shipping, e) }))
	}
	mailer := func(e flow.Event) {
		all = append(all, deaf("mailer", "points alone", e, func(s *system) { drop(s.mailer, e) }))
	}
	stock("card", &orderv1.OrderCreated{})
	stock("card", &orderv1.OrderCancelled{})
	stock("card", &paymentv1.PaymentCancelled{})
	stock("coupon, points alone", &couponv1.CouponUseCancelled{})
	coupon("coupon, points alone", &stockv1.StockDecreased{})
	coupon("coupon", &orderv1.OrderCancelled{})
	coupon("coupon, points alone", &paymentv1.PaymentCancelled{})
	coupon("coupon or full price, points alone", &paymentv1.PaymentCompleted{})
	payment("card", &stockv1.StockDecreased{})
	payment("coupon, points alone", &couponv1.CouponUsed{})
	payment("coupon or full price, refused, points alone", &couponv1.CouponUseFailed{})
	payment("coupon or full price, down", &orderv1.OrderCouponWaived{})
	payment("card", &orderv1.OrderCancelled{})
	order("coupon or full price, down", &stockv1.StockDecreased{})
	order("sold out", &stockv1.StockDecreaseFailed{})
	order("coupon, points alone", &couponv1.CouponUsed{})
	order("coupon refused", &couponv1.CouponUseFailed{})
	order("card", &paymentv1.PaymentCompleted{})
	order("card", &paymentv1.PaymentFailed{})
	order("points alone", &shippingv1.ShipmentPrepared{})
	order("no address", &shippingv1.ShipmentFailed{})
	order("points alone", &shippingv1.ShipmentDispatched{})
	order("points alone", &shippingv1.ShipmentDelivered{})
	order("points alone", &shippingv1.ShipmentCancelled{})
	order("points alone", &shippingv1.ShipmentCancelRefused{})
	order("points alone", &paymentv1.PaymentCancelled{})
	order("no address", &paymentv1.PaymentRefunded{})
	order("no address", &paymentv1.RefundFailed{})
	order("coupon or full price, points alone", &couponv1.CouponUseCancelled{})
	order("points alone", &stockv1.StockIncreased{})
	shipping("points alone", &orderv1.OrderCompleted{})
	shipping("points alone", &orderv1.OrderCancelRequested{})
	mailer(&orderv1.OrderCompleted{})
	mailer(&orderv1.OrderCancelled{})
	mailer(&shippingv1.ShipmentDispatched{})
	mailer(&shippingv1.ShipmentDelivered{})
	all = append(all, deaf("mailer", "no address", &paymentv1.PaymentRefunded{}, func(s *system) {
		drop(s.mailer, &paymentv1.PaymentRefunded{})
	}))
	return all
}
