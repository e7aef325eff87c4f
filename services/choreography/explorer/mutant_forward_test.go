package explorer

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/stock"
)

// change edits the order's row.
func change(w *order.World, f func(o *order.Order)) {
	o, known := w.Orders.Get(orderID)
	if known {
		f(&o)
		w.Orders.Put(orderID, o)
	}
}

func pretendPending(w *order.World) { change(w, func(o *order.Order) { o.Status = order.Pending }) }

// orderMutants take out the guards of the pivot, the deadlines and the policy.
func orderMutants() []mutant {
	return []mutant{
		{"order completes what it has cancelled", "card", func(s *system) {
			on(s.order, func(w *order.World, _ *paymentv1.PaymentCompleted) { pretendPending(w) })
		}},
		{"order cancels for a failed payment what it has cancelled already", "card", func(s *system) {
			on(s.order, func(w *order.World, _ *paymentv1.PaymentFailed) { pretendPending(w) })
		}},
		{"order cancels as sold out what it has cancelled already", "sold out", func(s *system) {
			on(s.order, func(w *order.World, _ *stockv1.StockDecreaseFailed) { pretendPending(w) })
		}},
		{"order cancels for a refused coupon what it has cancelled already", "coupon refused", func(s *system) {
			on(s.order, func(w *order.World, _ *couponv1.CouponUseFailed) { pretendPending(w) })
		}},
		{"order cancels a completed order without asking shipping", "points alone", func(s *system) {
			onValue(s.order, func(w *order.World, c order.Cancel) order.Cancel {
				change(w, func(o *order.Order) {
					if o.Status == order.Completed {
						o.Status = order.Pending
					}
				})
				return c
			})
		}},
		{"order forgets that it has asked shipping to cancel", "points alone", func(s *system) {
			after[order.Cancel](s.order, func(_, w *order.World, _ *flow.Outcome) {
				change(w, func(o *order.Order) { o.CancelRequest = order.NotRequested })
			})
		}},
		{"order lets the deadline cancel what is completed", "points alone", func(s *system) {
			onValue(s.order, func(w *order.World, d order.Due) order.Due { pretendPending(w); return d })
		}},
		{"order does not look at its own deadline", "coupon down", func(s *system) {
			s.order.before = func(_ *order.World, in *flow.Input) { in.Meta.Now = now }
		}},
		{"order waives the coupon twice", "coupon or full price, down", func(s *system) {
			after[order.Due](s.order, func(was, w *order.World, _ *flow.Outcome) {
				before, _ := was.Orders.Get(orderID)
				change(w, func(o *order.Order) {
					if o.Status == order.Pending {
						o.CouponDeadlineAt = before.CouponDeadlineAt
					}
				})
			})
		}},
		{"order waives the coupon before it knows of the stock", "coupon or full price, sold out", func(s *system) {
			onValue(s.order, func(w *order.World, d order.Due) order.Due {
				change(w, func(o *order.Order) { o.CouponDeadlineAt = now.Add(couponTimeout) })
				return d
			})
		}},
		{"order waives the coupon against the customer's word", "coupon", func(s *system) {
			on(s.order, func(w *order.World, _ *stockv1.StockDecreased) {
				change(w, func(o *order.Order) { o.CouponPolicy = order.PayFullPrice })
			})
		}},
		{"order cancels for a refused coupon against the customer's word", "coupon or full price, refused", func(s *system) {
			on(s.order, func(w *order.World, _ *couponv1.CouponUseFailed) {
				change(w, func(o *order.Order) { o.CouponPolicy = order.CancelOrder })
			})
		}},
		{"order lets a late StockDecreased reopen the wait for coupon", "coupon or full price", func(s *system) {
			on(s.order, func(w *order.World, _ *stockv1.StockDecreased) {
				change(w, func(o *order.Order) { o.StockDecreased, o.Progress = false, order.AtStock })
			})
		}},
		{"order goes back from SHIPPED", "points alone", func(s *system) {
			after[*stockv1.StockDecreased](s.order, func(_, w *order.World, _ *flow.Outcome) {
				change(w, func(o *order.Order) {
					if o.Status == order.Shipped {
						o.Status = order.Completed
					}
				})
			})
		}},
	}
}

func reservations(w *stock.World) *flow.Rows[string, stock.Reservation] { return &w.Reservations }

// stockMutants take out tombstones and guards of stock.
func stockMutants() []mutant {
	returned := func(r stock.Reservation) bool { return r.State == stock.Returned }
	return []mutant{
		{"stock leaves no tombstone", "card", func(s *system) { forget(s.stock, reservations, returned) }},
		{"stock decreases over a tombstone", "card", func(s *system) {
			blind[*orderv1.OrderCreated](s.stock, reservations, returned)
		}},
		{"stock decreases twice", "card", func(s *system) {
			blind[*orderv1.OrderCreated](s.stock, reservations, func(r stock.Reservation) bool { return r.State == stock.Taken })
		}},
		{"stock answers twice that it is sold out", "sold out", func(s *system) {
			blind[*orderv1.OrderCreated](s.stock, reservations, func(r stock.Reservation) bool { return r.State == stock.Refused })
		}},
		{"stock gives back twice", "card", func(s *system) {
			on(s.stock, func(w *stock.World, _ *paymentv1.PaymentCancelled) {
				if r, known := w.Reservations.Get(orderID); known {
					r.State = stock.Taken
					w.Reservations.Put(orderID, r)
				}
			})
		}},
		{"stock gives back what it has refused", "sold out", func(s *system) {
			on(s.stock, func(w *stock.World, _ *paymentv1.PaymentCancelled) {
				if r, known := w.Reservations.Get(orderID); known && r.State == stock.Refused {
					r.State, r.Items = stock.Taken, []stock.Item{{ProductID: productID, Quantity: pieces}}
					w.Reservations.Put(orderID, r)
				}
			})
		}},
		{"stock says nothing where there is nothing to give back", "card", func(s *system) {
			mute(s.stock, func(e *stockv1.StockIncreased) bool { return len(e.GetOrderItems()) == 0 })
		}},
		{"stock undoes before coupon, on OrderCancelled", "coupon or full price, points for the discounted price only", func(s *system) {
			on(s.stock, func(_ *stock.World, e *orderv1.OrderCancelled) { e.HasCoupons = false })
		}},
		{"stock undoes before payment", "card", func(s *system) {
			on(s.stock, func(_ *stock.World, e *orderv1.OrderCancelled) { e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_STOCK })
		}},
		{"stock undoes before coupon, on PaymentCancelled", "coupon", func(s *system) {
			on(s.stock, func(_ *stock.World, e *paymentv1.PaymentCancelled) { e.HasCoupons = false })
		}},
		{"stock undoes what nobody has cancelled", "card", func(s *system) {
			after[*orderv1.OrderCreated](s.stock, func(_, w *stock.World, out *flow.Outcome) {
				product, _ := w.Products.Get(productID)
				product.Quantity = stockBefore
				w.Products.Put(productID, product)
			})
		}},
	}
}

const stockBefore = pieces + 1

func uses(w *coupon.World) *flow.Rows[string, coupon.Use] { return &w.Uses }

// couponMutants take out tombstones and guards of coupon.
func couponMutants() []mutant {
	is := func(states ...coupon.State) func(coupon.Use) bool {
		return func(u coupon.Use) bool {
			for _, state := range states {
				if u.State == state {
					return true
				}
			}
			return false
		}
	}
	const pointsOnly = "coupon or full price, points alone"
	return []mutant{
		{"coupon leaves no tombstone of an undo", "coupon", func(s *system) { forget(s.coupon, uses, is(coupon.Cancelled)) }},
		{"coupon leaves no tombstone of a payment without it", pointsOnly, func(s *system) {
			forget(s.coupon, uses, is(coupon.Closed))
		}},
		{"coupon is used over a tombstone", "coupon", func(s *system) {
			blind[*stockv1.StockDecreased](s.coupon, uses, is(coupon.Cancelled))
		}},
		{"coupon is used after a payment without it", pointsOnly, func(s *system) {
			blind[*stockv1.StockDecreased](s.coupon, uses, is(coupon.Closed))
		}},
		{"coupon is used again after it was given back", pointsOnly, func(s *system) {
			blind[*stockv1.StockDecreased](s.coupon, uses, is(coupon.GivenBack))
		}},
		{"coupon refuses twice", "coupon refused", func(s *system) {
			blind[*stockv1.StockDecreased](s.coupon, uses, is(coupon.Refused))
		}},
		{"coupon undoes twice", "coupon", func(s *system) {
			blind[*paymentv1.PaymentCancelled](s.coupon, uses, is(coupon.Cancelled))
		}},
		{"coupon says nothing where there is nothing to give back", "coupon", func(s *system) {
			mute(s.coupon, func(e *couponv1.CouponUseCancelled) bool { return len(e.GetCouponIds()) == 0 })
		}},
		{"coupon does not give back what a payment did not count", pointsOnly, func(s *system) {
			blind[*paymentv1.PaymentCompleted](s.coupon, uses, is(coupon.Used))
		}},
		{"coupon gives back in silence", "coupon", func(s *system) {
			mute(s.coupon, always[*couponv1.CouponUseCancelled])
		}},
		{"coupon undoes before payment", "coupon", func(s *system) {
			on(s.coupon, func(_ *coupon.World, e *orderv1.OrderCancelled) { e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_COUPON })
		}},
		{"coupon gives back what the payment has counted", "coupon", func(s *system) {
			on(s.coupon, func(_ *coupon.World, e *paymentv1.PaymentCompleted) { e.CouponCounted = false })
		}},
		{"coupon is marked as used by nobody", "coupon", func(s *system) {
			after[*stockv1.StockDecreased](s.coupon, func(_, w *coupon.World, _ *flow.Outcome) {
				c, _ := w.Coupons.Get(couponID)
				c.UsedBy = ""
				w.Coupons.Put(couponID, c)
			})
		}},
	}
}
