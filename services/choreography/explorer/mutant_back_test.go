package explorer

import (
	"slices"

	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
)

func payments(w *payment.World) *flow.Rows[string, payment.Payment] { return &w.Payments }

// paymentMutants take out tombstones, guards, and the care with unknown outcomes.
func paymentMutants() []mutant {
	is := func(states ...payment.State) func(payment.Payment) bool {
		return func(p payment.Payment) bool { return slices.Contains(states, p.State) }
	}
	any := func(payment.Payment) bool { return true }
	pretend := func(w *payment.World, from, to payment.State) {
		if p, known := w.Payments.Get(orderID); known && p.State == from {
			p.State = to
			w.Payments.Put(orderID, p)
		}
	}
	return []mutant{
		{name: "payment leaves no tombstone", late: true, in: "card", put: func(s *system) { forget(s.payment, payments, is(payment.Cancelled)) }},
		{name: "payment opens over a tombstone", late: true, in: "points alone", put: func(s *system) {
			blind[*stockv1.StockDecreased](s.payment, payments, is(payment.Cancelled))
		}},
		{name: "payment opens over a tombstone, with a coupon", late: true, in: "coupon, points alone", put: func(s *system) {
			blind[*couponv1.CouponUsed](s.payment, payments, is(payment.Cancelled))
		}},
		{name: "payment takes a second trigger", late: true, in: "coupon or full price, points alone", put: func(s *system) {
			blind[*orderv1.OrderCouponWaived](s.payment, payments, any)
		}},
		{name: "payment guesses that a charge in flight took nothing", in: "card", put: func(s *system) {
			on(s.payment, func(w *payment.World, _ *orderv1.OrderCancelled) { pretend(w, payment.Charging, payment.Failed) })
		}},
		{name: "payment guesses that an unknown charge took nothing", in: "card", put: func(s *system) {
			on(s.payment, func(w *payment.World, _ *orderv1.OrderCancelled) { pretend(w, payment.Asking, payment.Failed) })
		}},
		{name: "payment guesses that nobody will pay a transfer", in: "transfer", put: func(s *system) {
			on(s.payment, func(w *payment.World, _ *orderv1.OrderCancelled) { pretend(w, payment.Awaiting, payment.Failed) })
		}},
		{name: "payment keeps what a webhook tells while it closes the key", in: "transfer", put: func(s *system) {
			onValue(s.payment, func(w *payment.World, a payment.Notify) payment.Notify {
				if p, _ := w.Payments.Get(orderID); p.State == payment.Closing {
					a.Outcome = payment.KeyVoided
				}
				return a
			})
		}},
		{name: "payment takes an unknown outcome for a decline", in: "card", put: func(s *system) {
			onValue(s.payment, func(_ *payment.World, a payment.Charged) payment.Charged {
				if a.Outcome == payment.ChargeIsUnknown {
					a.Outcome = payment.Declined
				}
				return a
			})
		}},
		{name: "payment takes an unknown key for final", in: "card", put: func(s *system) {
			onValue(s.payment, func(_ *payment.World, a payment.ChargeAsked) payment.ChargeAsked {
				if a.Outcome == payment.ChargeNotFound {
					a.Outcome = payment.Declined
				}
				return a
			})
		}},
		{name: "payment keeps a capture that nobody wants any more", in: "card", put: func(s *system) {
			onValue(s.payment, func(w *payment.World, a payment.ChargeVoided) payment.ChargeVoided {
				if p, _ := w.Payments.Get(orderID); p.State == payment.Closing {
					a.Outcome = payment.KeyVoided
				}
				return a
			})
		}},
		{name: "payment forgets the cancel while it waits for the provider", in: "card", put: func(s *system) {
			onValue(s.payment, func(w *payment.World, a payment.ChargeVoided) payment.ChargeVoided {
				pretend(w, payment.Closing, payment.Voiding)
				return a
			})
		}},
		{name: "payment lets a charge complete what is being closed", in: "card", put: func(s *system) {
			after[*orderv1.OrderCancelled](s.payment, func(_, w *payment.World, out *flow.Outcome) {
				pretend(w, payment.Closing, payment.Charging)
				out.Withdrawn = nil
			})
		}},
		{name: "payment cancels twice", in: "points alone", put: func(s *system) {
			blind[*orderv1.OrderCancelled](s.payment, payments, is(payment.Cancelled))
		}},
		{name: "payment does not cancel what has failed", in: "card", put: func(s *system) {
			after[*orderv1.OrderCancelled](s.payment, func(was, w *payment.World, out *flow.Outcome) {
				if p, _ := was.Payments.Get(orderID); p.State == payment.Failed {
					revert(was, w, out)
				}
			})
		}},
		{name: "payment says nothing where nothing was taken", in: "sold out", put: func(s *system) {
			mute(s.payment, func(e *paymentv1.PaymentCancelled) bool { return e.GetPaymentAmount()+e.GetPointAmount() == 0 })
		}},
		{name: "payment keeps the points of a declined card", in: "card and points", put: func(s *system) {
			after[payment.Charged](s.payment, func(was, w *payment.World, _ *flow.Outcome) {
				w.Points, w.Ledger = was.Points, was.Ledger
			})
		}},
		{name: "payment keeps the points of a cancelled order", in: "points alone", put: func(s *system) {
			after[*orderv1.OrderCancelled](s.payment, func(was, w *payment.World, _ *flow.Outcome) {
				w.Points, w.Ledger = was.Points, was.Ledger
			})
		}},
		{name: "payment books no ledger entry", in: "points alone", put: func(s *system) {
			after[*stockv1.StockDecreased](s.payment, func(was, w *payment.World, _ *flow.Outcome) { w.Ledger = was.Ledger })
		}},
		{name: "payment never refunds", in: "no address", put: func(s *system) { uncall(s.payment, payment.CallRefund) }},
		{name: "payment takes an unknown refund for done", in: "no address", put: func(s *system) {
			onValue(s.payment, func(_ *payment.World, a payment.Refunded) payment.Refunded {
				if a.Outcome == payment.RefundIsUnknown {
					a.Outcome = payment.RefundIsDone
				}
				return a
			})
		}},
		{name: "payment never asks about an unknown charge", in: "card", put: func(s *system) { uncall(s.payment, payment.CallAskCharge) }},
		{name: "payment never closes a key", in: "card", put: func(s *system) { uncall(s.payment, payment.CallVoid) }},
	}
}

// shippingMutants take out the guards of shipping, and the one of the mailer.
func shippingMutants() []mutant {
	shipments := func(w *shipping.World) *flow.Rows[string, shipping.Shipment] { return &w.Shipments }
	is := func(states ...shipping.State) func(shipping.Shipment) bool {
		return func(s shipping.Shipment) bool { return slices.Contains(states, s.State) }
	}
	const in = "points alone"
	return []mutant{
		{name: "shipping books twice", in: in, put: func(s *system) {
			blind[*orderv1.OrderCompleted](s.shipping, shipments, is(shipping.Prepared))
		}},
		{name: "shipping forgets a cancel while it books", in: in, put: func(s *system) {
			after[*orderv1.OrderCancelRequested](s.shipping, func(was, w *shipping.World, out *flow.Outcome) {
				if row, _ := was.Shipments.Get(orderID); row.State == shipping.Booking {
					revert(was, w, out)
				}
			})
		}},
		{name: "shipping ignores a cancel of what has left", in: in, put: func(s *system) {
			after[*orderv1.OrderCancelRequested](s.shipping, func(was, w *shipping.World, out *flow.Outcome) {
				if row, _ := was.Shipments.Get(orderID); row.State == shipping.Dispatched {
					revert(was, w, out)
				}
			})
		}},
		{name: "shipping answers a cancel after it has failed", in: "no address", put: func(s *system) {
			blind[*orderv1.OrderCancelRequested](s.shipping, shipments, is(shipping.Failed))
		}},
		{name: "shipping does not wait for the carrier's word", in: in, put: func(s *system) {
			blind[*orderv1.OrderCancelRequested](s.shipping, shipments, is(shipping.Prepared))
		}},
		{name: "shipping takes an unknown booking for none", in: in, put: func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.Booked) shipping.Booked {
				if a.State == shipping.ParcelUnknown {
					a.State = shipping.ParcelRefused
				}
				return a
			})
		}},
		{name: "shipping takes an unknown key for final", in: in, put: func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.BookingAsked) shipping.BookingAsked {
				if a.State == shipping.ParcelNotFound {
					a.State = shipping.ParcelRefused
				}
				return a
			})
		}},
		{name: "shipping takes an unknown cancel for done", in: in, put: func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.BookingCancelled) shipping.BookingCancelled {
				if a.State == shipping.ParcelUnknown {
					a.State = shipping.ParcelCancelled
				}
				return a
			})
		}},
		{name: "shipping takes an unknown cancel for refused", in: in, put: func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.BookingCancelled) shipping.BookingCancelled {
				if a.State == shipping.ParcelUnknown {
					a.State = shipping.ParcelDispatched
				}
				return a
			})
		}},
		{name: "shipping does not believe the carrier's refusal", in: in, put: func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.BookingCancelled) shipping.BookingCancelled {
				if a.State.OnItsWay() {
					a.State = shipping.ParcelCancelled
				}
				return a
			})
		}},
		{name: "shipping ignores webhooks", in: in, put: func(s *system) {
			after[shipping.Track](s.shipping, revert[shipping.World])
		}},
		{name: "shipping tells of a refusal before its reason", in: in, put: func(s *system) {
			s.shipping.after = func(_, _ *shipping.World, _ flow.Input, out *flow.Outcome) { slices.Reverse(out.Events) }
		}},
		{name: "shipping refuses a cancel in silence", in: in, put: func(s *system) { mute(s.shipping, always[*shippingv1.ShipmentCancelRefused]) }},
		{name: "shipping dispatches twice", in: in, put: func(s *system) {
			onValue(s.shipping, func(w *shipping.World, c shipping.Track) shipping.Track {
				if row, known := w.Shipments.Get(orderID); known && row.State == shipping.Dispatched {
					row.State = shipping.Prepared
					w.Shipments.Put(orderID, row)
				}
				return c
			})
		}},
		{name: "shipping never cancels at the carrier", in: in, put: func(s *system) { uncall(s.shipping, shipping.CallCancel) }},
		{name: "mailer mails a repeated event again", in: in, put: func(s *system) {
			s.mailer.before = func(w *mailer.World, in *flow.Input) {
				if in.Kind == flow.KindEvent {
					w.Mails = flow.Rows[string, mailer.Mail]{}
				}
			}
		}},
	}
}

// fieldMutants zero or alter one field of an event that a later step depends on.
func fieldMutants() []mutant {
	const full = "coupon or full price, points alone"
	return []mutant{
		{name: "OrderCreated without items", in: "card", put: func(s *system) { edit(s.order, func(e *orderv1.OrderCreated) { e.OrderItems = nil }) }},
		{name: "OrderCreated without checkout", in: "card", put: func(s *system) { edit(s.order, func(e *orderv1.OrderCreated) { e.Checkout = nil }) }},
		{name: "OrderCompleted without address", in: "points alone", put: func(s *system) {
			edit(s.order, func(e *orderv1.OrderCompleted) { e.ShippingAddressId = "" })
		}},
		{name: "OrderCompleted without member", in: "points alone", put: func(s *system) {
			edit(s.order, func(e *orderv1.OrderCompleted) { e.UserId = "" })
		}},
		{name: "OrderCancelled without undo_from", in: "card", put: func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) { e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_UNSPECIFIED })
		}},
		{name: "OrderCancelled begins the undo at coupon where a charge may be in flight", in: "card", put: func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) {
				if e.UndoFrom == orderv1.UndoFrom_UNDO_FROM_PAYMENT {
					e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_COUPON
				}
			})
		}},
		{name: "OrderCancelled begins the undo at stock after a failed payment", in: "coupon", put: func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) {
				if e.UndoFrom == orderv1.UndoFrom_UNDO_FROM_COUPON {
					e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_STOCK
				}
			})
		}},
		{name: "OrderCancelled undoes nothing after a refused coupon", in: "coupon refused", put: func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) {
				if e.UndoFrom == orderv1.UndoFrom_UNDO_FROM_STOCK {
					e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_NOTHING
				}
			})
		}},
		{name: "OrderCancelled without has_coupons", in: "coupon, points alone", put: func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) { e.HasCoupons = false })
		}},
		{name: "OrderCouponWaived without checkout", in: "coupon or full price, down", put: func(s *system) {
			edit(s.order, func(e *orderv1.OrderCouponWaived) { e.Checkout = nil })
		}},
		{name: "StockDecreased without checkout", in: "coupon, points alone", put: func(s *system) {
			edit(s.stock, func(e *stockv1.StockDecreased) { e.Checkout = nil })
		}},
		{name: "StockDecreased without coupon_refs", in: "coupon, points alone", put: func(s *system) {
			edit(s.stock, func(e *stockv1.StockDecreased) { e.Checkout.CouponRefs = nil })
		}},
		{name: "StockDecreased without member", in: "coupon, points alone", put: func(s *system) { edit(s.stock, func(e *stockv1.StockDecreased) { e.UserId = "" }) }},
		{name: "CouponUsed without discount", in: "coupon, points alone", put: func(s *system) { edit(s.coupon, func(e *couponv1.CouponUsed) { e.DiscountAmount = 0 }) }},
		{name: "CouponUsed without checkout", in: "coupon, points alone", put: func(s *system) { edit(s.coupon, func(e *couponv1.CouponUsed) { e.Checkout = nil }) }},
		{name: "CouponUseFailed without policy", in: "coupon or full price, refused, points alone", put: func(s *system) {
			edit(s.coupon, func(e *couponv1.CouponUseFailed) { e.CouponFailurePolicy = 0 })
		}},
		{name: "PaymentCompleted without has_coupons", in: full, put: func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCompleted) { e.HasCoupons = false })
		}},
		{name: "PaymentCompleted always counts the coupon", in: full, put: func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCompleted) { e.CouponCounted = true })
		}},
		{name: "PaymentCompleted without discount", in: full, put: func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCompleted) { e.DiscountAmount = 0 })
		}},
		{name: "PaymentCompleted without points", in: "points alone", put: func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCompleted) { e.PointAmount = 0 })
		}},
		{name: "PaymentCancelled without has_coupons", in: "coupon, points alone", put: func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCancelled) { e.HasCoupons = false })
		}},
		{name: "PaymentCancelled without amount", in: "no address", put: func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCancelled) { e.PaymentAmount = 0 })
		}},
		{name: "ShipmentPrepared without tracking number", in: "points alone", put: func(s *system) {
			edit(s.shipping, func(e *shippingv1.ShipmentPrepared) { e.TrackingNumber = "" })
		}},
	}
}
