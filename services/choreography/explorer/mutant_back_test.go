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
		{"payment leaves no tombstone", "card", func(s *system) { forget(s.payment, payments, is(payment.Cancelled)) }},
		{"payment opens over a tombstone", "points alone", func(s *system) {
			blind[*stockv1.StockDecreased](s.payment, payments, is(payment.Cancelled))
		}},
		{"payment opens over a tombstone, with a coupon", "coupon", func(s *system) {
			blind[*couponv1.CouponUsed](s.payment, payments, is(payment.Cancelled))
		}},
		{"payment takes a second trigger", "coupon or full price, points alone", func(s *system) {
			blind[*orderv1.OrderCouponWaived](s.payment, payments, any)
		}},
		{"payment guesses that a charge in flight took nothing", "card", func(s *system) {
			on(s.payment, func(w *payment.World, _ *orderv1.OrderCancelled) { pretend(w, payment.Charging, payment.Failed) })
		}},
		{"payment guesses that an unknown charge took nothing", "card", func(s *system) {
			on(s.payment, func(w *payment.World, _ *orderv1.OrderCancelled) { pretend(w, payment.Asking, payment.Failed) })
		}},
		{"payment takes an unknown outcome for a decline", "card", func(s *system) {
			onValue(s.payment, func(_ *payment.World, a payment.Charged) payment.Charged {
				if a.Outcome == payment.ChargeIsUnknown {
					a.Outcome = payment.Declined
				}
				return a
			})
		}},
		{"payment takes an unknown key for final", "card", func(s *system) {
			onValue(s.payment, func(_ *payment.World, a payment.ChargeAsked) payment.ChargeAsked {
				if a.Outcome == payment.ChargeNotFound {
					a.Outcome = payment.Declined
				}
				return a
			})
		}},
		{"payment keeps a capture that nobody wants any more", "card", func(s *system) {
			onValue(s.payment, func(w *payment.World, a payment.ChargeVoided) payment.ChargeVoided {
				if p, _ := w.Payments.Get(orderID); p.State == payment.Closing {
					a.Outcome = payment.KeyVoided
				}
				return a
			})
		}},
		{"payment forgets the cancel while it waits for the provider", "card", func(s *system) {
			onValue(s.payment, func(w *payment.World, a payment.ChargeVoided) payment.ChargeVoided {
				pretend(w, payment.Closing, payment.Voiding)
				return a
			})
		}},
		{"payment lets a charge complete what is being closed", "card", func(s *system) {
			after[*orderv1.OrderCancelled](s.payment, func(_, w *payment.World, out *flow.Outcome) {
				pretend(w, payment.Closing, payment.Charging)
				out.Withdrawn = nil
			})
		}},
		{"payment cancels twice", "points alone", func(s *system) {
			blind[*orderv1.OrderCancelled](s.payment, payments, is(payment.Cancelled))
		}},
		{"payment does not cancel what has failed", "card", func(s *system) {
			after[*orderv1.OrderCancelled](s.payment, func(was, w *payment.World, out *flow.Outcome) {
				if p, _ := was.Payments.Get(orderID); p.State == payment.Failed {
					revert(was, w, out)
				}
			})
		}},
		{"payment says nothing where nothing was taken", "sold out", func(s *system) {
			mute(s.payment, func(e *paymentv1.PaymentCancelled) bool { return e.GetPaymentAmount()+e.GetPointAmount() == 0 })
		}},
		{"payment keeps the points of a declined card", "card and points", func(s *system) {
			after[payment.Charged](s.payment, func(was, w *payment.World, _ *flow.Outcome) {
				w.Points, w.Ledger = was.Points, was.Ledger
			})
		}},
		{"payment keeps the points of a cancelled order", "points alone", func(s *system) {
			after[*orderv1.OrderCancelled](s.payment, func(was, w *payment.World, _ *flow.Outcome) {
				w.Points, w.Ledger = was.Points, was.Ledger
			})
		}},
		{"payment books no ledger entry", "points alone", func(s *system) {
			after[*stockv1.StockDecreased](s.payment, func(was, w *payment.World, _ *flow.Outcome) { w.Ledger = was.Ledger })
		}},
		{"payment never refunds", "no address", func(s *system) { uncall(s.payment, payment.CallRefund) }},
		{"payment takes an unknown refund for done", "no address", func(s *system) {
			onValue(s.payment, func(_ *payment.World, a payment.Refunded) payment.Refunded {
				if a.Outcome == payment.RefundIsUnknown {
					a.Outcome = payment.RefundIsDone
				}
				return a
			})
		}},
		{"payment never asks about an unknown charge", "card", func(s *system) { uncall(s.payment, payment.CallAskCharge) }},
		{"payment never closes a key", "card", func(s *system) { uncall(s.payment, payment.CallVoid) }},
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
		{"shipping books twice", in, func(s *system) {
			blind[*orderv1.OrderCompleted](s.shipping, shipments, is(shipping.Prepared))
		}},
		{"shipping forgets a cancel while it books", in, func(s *system) {
			after[*orderv1.OrderCancelRequested](s.shipping, func(was, w *shipping.World, out *flow.Outcome) {
				if row, _ := was.Shipments.Get(orderID); row.State == shipping.Booking {
					revert(was, w, out)
				}
			})
		}},
		{"shipping ignores a cancel of what has left", in, func(s *system) {
			after[*orderv1.OrderCancelRequested](s.shipping, func(was, w *shipping.World, out *flow.Outcome) {
				if row, _ := was.Shipments.Get(orderID); row.State == shipping.Dispatched {
					revert(was, w, out)
				}
			})
		}},
		{"shipping answers a cancel after it has failed", "no address", func(s *system) {
			blind[*orderv1.OrderCancelRequested](s.shipping, shipments, is(shipping.Failed))
		}},
		{"shipping does not wait for the carrier's word", in, func(s *system) {
			blind[*orderv1.OrderCancelRequested](s.shipping, shipments, is(shipping.Prepared))
		}},
		{"shipping takes an unknown booking for none", in, func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.Booked) shipping.Booked {
				if a.State == shipping.ParcelUnknown {
					a.State = shipping.ParcelRefused
				}
				return a
			})
		}},
		{"shipping takes an unknown key for final", in, func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.BookingAsked) shipping.BookingAsked {
				if a.State == shipping.ParcelNotFound {
					a.State = shipping.ParcelRefused
				}
				return a
			})
		}},
		{"shipping takes an unknown cancel for done", in, func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.BookingCancelled) shipping.BookingCancelled {
				if a.State == shipping.ParcelUnknown {
					a.State = shipping.ParcelCancelled
				}
				return a
			})
		}},
		{"shipping takes an unknown cancel for refused", in, func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.BookingCancelled) shipping.BookingCancelled {
				if a.State == shipping.ParcelUnknown {
					a.State = shipping.ParcelDispatched
				}
				return a
			})
		}},
		{"shipping does not believe the carrier's refusal", in, func(s *system) {
			onValue(s.shipping, func(_ *shipping.World, a shipping.BookingCancelled) shipping.BookingCancelled {
				if a.State.OnItsWay() {
					a.State = shipping.ParcelCancelled
				}
				return a
			})
		}},
		{"shipping ignores webhooks", in, func(s *system) {
			after[shipping.Track](s.shipping, revert[shipping.World])
		}},
		{"shipping tells of a refusal before its reason", in, func(s *system) {
			s.shipping.after = func(_, _ *shipping.World, _ flow.Input, out *flow.Outcome) { slices.Reverse(out.Events) }
		}},
		{"shipping refuses a cancel in silence", in, func(s *system) { mute(s.shipping, always[*shippingv1.ShipmentCancelRefused]) }},
		{"shipping dispatches twice", in, func(s *system) {
			onValue(s.shipping, func(w *shipping.World, c shipping.Track) shipping.Track {
				if row, known := w.Shipments.Get(orderID); known && row.State == shipping.Dispatched {
					row.State = shipping.Prepared
					w.Shipments.Put(orderID, row)
				}
				return c
			})
		}},
		{"shipping never cancels at the carrier", in, func(s *system) { uncall(s.shipping, shipping.CallCancel) }},
		{"mailer mails a repeated event again", in, func(s *system) {
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
		{"OrderCreated without items", "card", func(s *system) { edit(s.order, func(e *orderv1.OrderCreated) { e.OrderItems = nil }) }},
		{"OrderCreated without checkout", "card", func(s *system) { edit(s.order, func(e *orderv1.OrderCreated) { e.Checkout = nil }) }},
		{"OrderCompleted without address", "points alone", func(s *system) {
			edit(s.order, func(e *orderv1.OrderCompleted) { e.ShippingAddressId = "" })
		}},
		{"OrderCompleted without member", "points alone", func(s *system) {
			edit(s.order, func(e *orderv1.OrderCompleted) { e.UserId = "" })
		}},
		{"OrderCancelled without undo_from", "card", func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) { e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_UNSPECIFIED })
		}},
		{"OrderCancelled begins the undo at coupon where a charge may be in flight", "card", func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) {
				if e.UndoFrom == orderv1.UndoFrom_UNDO_FROM_PAYMENT {
					e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_COUPON
				}
			})
		}},
		{"OrderCancelled begins the undo at stock after a failed payment", "coupon", func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) {
				if e.UndoFrom == orderv1.UndoFrom_UNDO_FROM_COUPON {
					e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_STOCK
				}
			})
		}},
		{"OrderCancelled undoes nothing after a refused coupon", "coupon refused", func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) {
				if e.UndoFrom == orderv1.UndoFrom_UNDO_FROM_STOCK {
					e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_NOTHING
				}
			})
		}},
		{"OrderCancelled without has_coupons", "coupon", func(s *system) {
			edit(s.order, func(e *orderv1.OrderCancelled) { e.HasCoupons = false })
		}},
		{"OrderCouponWaived without checkout", "coupon or full price, down", func(s *system) {
			edit(s.order, func(e *orderv1.OrderCouponWaived) { e.Checkout = nil })
		}},
		{"StockDecreased without checkout", "coupon", func(s *system) {
			edit(s.stock, func(e *stockv1.StockDecreased) { e.Checkout = nil })
		}},
		{"StockDecreased without coupon_refs", "coupon", func(s *system) {
			edit(s.stock, func(e *stockv1.StockDecreased) { e.Checkout.CouponRefs = nil })
		}},
		{"StockDecreased without member", "coupon", func(s *system) { edit(s.stock, func(e *stockv1.StockDecreased) { e.UserId = "" }) }},
		{"CouponUsed without discount", "coupon", func(s *system) { edit(s.coupon, func(e *couponv1.CouponUsed) { e.DiscountAmount = 0 }) }},
		{"CouponUsed without checkout", "coupon", func(s *system) { edit(s.coupon, func(e *couponv1.CouponUsed) { e.Checkout = nil }) }},
		{"CouponUseFailed without policy", "coupon or full price, refused", func(s *system) {
			edit(s.coupon, func(e *couponv1.CouponUseFailed) { e.CouponFailurePolicy = 0 })
		}},
		{"PaymentCompleted without has_coupons", full, func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCompleted) { e.HasCoupons = false })
		}},
		{"PaymentCompleted always counts the coupon", full, func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCompleted) { e.CouponCounted = true })
		}},
		{"PaymentCompleted without discount", full, func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCompleted) { e.DiscountAmount = 0 })
		}},
		{"PaymentCompleted without points", "points alone", func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCompleted) { e.PointAmount = 0 })
		}},
		{"PaymentCancelled without has_coupons", "coupon", func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCancelled) { e.HasCoupons = false })
		}},
		{"PaymentCancelled without amount", "no address", func(s *system) {
			edit(s.payment, func(e *paymentv1.PaymentCancelled) { e.PaymentAmount = 0 })
		}},
		{"ShipmentPrepared without tracking number", "points alone", func(s *system) {
			edit(s.shipping, func(e *shippingv1.ShipmentPrepared) { e.TrackingNumber = "" })
		}},
	}
}
