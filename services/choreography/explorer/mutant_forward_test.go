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
		{name: "order completes what it has cancelled", in: "card", put: func(s *system) {
			on(s.order, func(w *order.World, _ *paymentv1.PaymentCompleted) { pretendPending(w) })
		}},
		{name: "order cancels for a failed payment what it has cancelled already", in: "card", put: func(s *system) {
			on(s.order, func(w *order.World, _ *paymentv1.PaymentFailed) { pretendPending(w) })
		}},
		{name: "order cancels as sold out what it has cancelled already", in: "sold out", put: func(s *system) {
			on(s.order, func(w *order.World, _ *stockv1.StockDecreaseFailed) { pretendPending(w) })
		}},
		{name: "order cancels for a refused coupon what it has cancelled already", in: "coupon refused", put: func(s *system) {
			on(s.order, func(w *order.World, _ *couponv1.CouponUseFailed) { pretendPending(w) })
		}},
		{name: "order cancels a completed order without asking shipping", in: "points alone", put: func(s *system) {
			onValue(s.order, func(w *order.World, c order.Cancel) order.Cancel {
				change(w, func(o *order.Order) {
					if o.Status == order.Completed {
						o.Status = order.Pending
					}
				})
				return c
			})
		}},
		{name: "order forgets that it has asked shipping to cancel", in: "points alone", put: func(s *system) {
			after[order.Cancel](s.order, func(_, w *order.World, _ *flow.Outcome) {
				change(w, func(o *order.Order) { o.CancelRequest = order.NotRequested })
			})
		}},
		{name: "order lets the deadline cancel what is completed", in: "points alone", put: func(s *system) {
			onValue(s.order, func(w *order.World, d order.Due) order.Due { pretendPending(w); return d })
		}},
		{name: "order does not look at its own deadline", in: "coupon down", put: func(s *system) {
			s.order.before = func(_ *order.World, in *flow.Input) { in.Meta.Now = now }
		}},
		{name: "order waives the coupon twice", in: "coupon or full price, down", put: func(s *system) {
			after[order.Due](s.order, func(was, w *order.World, _ *flow.Outcome) {
				before, _ := was.Orders.Get(orderID)
				change(w, func(o *order.Order) {
					if o.Status == order.Pending {
						o.CouponDeadlineAt = before.CouponDeadlineAt
					}
				})
			})
		}},
		{name: "order waives the coupon before it knows of the stock", in: "coupon or full price, sold out", put: func(s *system) {
			onValue(s.order, func(w *order.World, d order.Due) order.Due {
				change(w, func(o *order.Order) { o.CouponDeadlineAt = now.Add(couponTimeout) })
				return d
			})
		}},
		{name: "order waives the coupon against the customer's word", in: "coupon, points alone", put: func(s *system) {
			on(s.order, func(w *order.World, _ *stockv1.StockDecreased) {
				change(w, func(o *order.Order) { o.CouponPolicy = order.PayFullPrice })
			})
		}},
		{name: "order cancels for a refused coupon against the customer's word", in: "coupon or full price, refused, points alone", put: func(s *system) {
			on(s.order, func(w *order.World, _ *couponv1.CouponUseFailed) {
				change(w, func(o *order.Order) { o.CouponPolicy = order.CancelOrder })
			})
		}},
		{name: "order lets a late StockDecreased reopen the wait for coupon", in: "coupon or full price", put: func(s *system) {
			on(s.order, func(w *order.World, _ *stockv1.StockDecreased) {
				change(w, func(o *order.Order) { o.StockDecreased, o.Progress = false, order.AtStock })
			})
		}},
		{name: "order goes back from SHIPPED", in: "points alone", put: func(s *system) {
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
		{name: "stock leaves no tombstone", late: true, in: "card", put: func(s *system) { forget(s.stock, reservations, returned) }},
		{name: "stock decreases over a tombstone", late: true, in: "card", put: func(s *system) {
			blind[*orderv1.OrderCreated](s.stock, reservations, returned)
		}},
		{name: "stock decreases twice", in: "card", put: func(s *system) {
			blind[*orderv1.OrderCreated](s.stock, reservations, func(r stock.Reservation) bool { return r.State == stock.Taken })
		}},
		{name: "stock answers twice that it is sold out", in: "sold out", put: func(s *system) {
			blind[*orderv1.OrderCreated](s.stock, reservations, func(r stock.Reservation) bool { return r.State == stock.Refused })
		}},
		{name: "stock gives back twice", in: "card", put: func(s *system) {
			on(s.stock, func(w *stock.World, _ *paymentv1.PaymentCancelled) {
				if r, known := w.Reservations.Get(orderID); known {
					r.State = stock.Taken
					w.Reservations.Put(orderID, r)
				}
			})
		}},
		{name: "stock gives back what it has refused", in: "sold out", put: func(s *system) {
			on(s.stock, func(w *stock.World, _ *paymentv1.PaymentCancelled) {
				if r, known := w.Reservations.Get(orderID); known && r.State == stock.Refused {
					r.State, r.Items = stock.Taken, []stock.Item{{ProductID: productID, Quantity: pieces}}
					w.Reservations.Put(orderID, r)
				}
			})
		}},
		{name: "stock says nothing where there is nothing to give back", in: "card", put: func(s *system) {
			mute(s.stock, func(e *stockv1.StockIncreased) bool { return len(e.GetOrderItems()) == 0 })
		}},
		{name: "stock undoes before coupon, on OrderCancelled", in: "coupon or full price, points for the discounted price only", put: func(s *system) {
			on(s.stock, func(_ *stock.World, e *orderv1.OrderCancelled) { e.HasCoupons = false })
		}},
		{name: "stock undoes before payment", in: "card", put: func(s *system) {
			on(s.stock, func(_ *stock.World, e *orderv1.OrderCancelled) { e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_STOCK })
		}},
		{name: "stock undoes before coupon, on PaymentCancelled", in: "coupon, points alone", put: func(s *system) {
			on(s.stock, func(_ *stock.World, e *paymentv1.PaymentCancelled) { e.HasCoupons = false })
		}},
		{name: "stock undoes what nobody has cancelled", in: "card", put: func(s *system) {
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
		{name: "coupon leaves no tombstone of an undo", late: true, in: "coupon, points alone", put: func(s *system) { forget(s.coupon, uses, is(coupon.Cancelled)) }},
		{name: "coupon leaves no tombstone of a payment without it", late: true, in: pointsOnly, put: func(s *system) {
			forget(s.coupon, uses, is(coupon.Closed))
		}},
		{name: "coupon is used over a tombstone", late: true, in: "coupon, points alone", put: func(s *system) {
			blind[*stockv1.StockDecreased](s.coupon, uses, is(coupon.Cancelled))
		}},
		{name: "coupon is used after a payment without it", late: true, in: pointsOnly, put: func(s *system) {
			blind[*stockv1.StockDecreased](s.coupon, uses, is(coupon.Closed))
		}},
		{name: "coupon is used again after it was given back", in: pointsOnly, put: func(s *system) {
			blind[*stockv1.StockDecreased](s.coupon, uses, is(coupon.GivenBack))
		}},
		{name: "coupon refuses twice", in: "coupon refused", put: func(s *system) {
			blind[*stockv1.StockDecreased](s.coupon, uses, is(coupon.Refused))
		}},
		{name: "coupon undoes twice", in: "coupon, points alone", put: func(s *system) {
			blind[*paymentv1.PaymentCancelled](s.coupon, uses, is(coupon.Cancelled))
		}},
		{name: "coupon says nothing where there is nothing to give back", in: "coupon, points alone", put: func(s *system) {
			mute(s.coupon, func(e *couponv1.CouponUseCancelled) bool { return len(e.GetCouponIds()) == 0 })
		}},
		{name: "coupon does not give back what a payment did not count", in: pointsOnly, put: func(s *system) {
			blind[*paymentv1.PaymentCompleted](s.coupon, uses, is(coupon.Used))
		}},
		{name: "coupon gives back in silence", in: "coupon, points alone", put: func(s *system) {
			mute(s.coupon, always[*couponv1.CouponUseCancelled])
		}},
		{name: "coupon undoes before payment", in: "coupon, points alone", put: func(s *system) {
			on(s.coupon, func(_ *coupon.World, e *orderv1.OrderCancelled) { e.UndoFrom = orderv1.UndoFrom_UNDO_FROM_COUPON })
		}},
		{name: "coupon gives back what the payment has counted", in: "coupon, points alone", put: func(s *system) {
			on(s.coupon, func(_ *coupon.World, e *paymentv1.PaymentCompleted) { e.CouponCounted = false })
		}},
		{name: "coupon is marked as used by nobody", in: "coupon, points alone", put: func(s *system) {
			after[*stockv1.StockDecreased](s.coupon, func(_, w *coupon.World, _ *flow.Outcome) {
				c, _ := w.Coupons.Get(couponID)
				c.UsedBy = ""
				w.Coupons.Put(couponID, c)
			})
		}},
	}
}
