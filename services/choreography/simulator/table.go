package simulator

import (
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/stock"
)

// set collects keys.
type set map[string]struct{}

func (s set) add(key string)   { s[key] = struct{}{} }
func (s set) sorted() []string { return sortedKeys(s) }

// keys are the locks of a table's rows, in the order in which every replica takes them.
func (s set) locks(kind string) []lockKey {
	keys := make([]lockKey, 0, len(s))
	for _, key := range s.sorted() {
		keys = append(keys, lockKey{kind, key})
	}
	return keys
}

// orders is order's database.
type orders struct {
	rows    map[string]order.Order
	prices  map[string]order.Price
	recent  map[string]order.Recent
	members map[string]order.Member
	// wait has a deadline looked at when it has passed.
	wait func(at time.Time)
}

func newOrders(wait func(time.Time)) *orders {
	return &orders{
		wait: wait,
		rows: map[string]order.Order{}, prices: map[string]order.Price{},
		recent: map[string]order.Recent{}, members: map[string]order.Member{},
	}
}

// guards are the rows of the double-click guard that placing needs.
func guards(in []flow.Input) set {
	keys := set{}
	for _, i := range in {
		if place, ok := i.Msg.(order.Place); ok && place.Rules.DoubleClickWindow > 0 {
			keys.add(order.RecentKey(place.UserID, place.BodyHash))
		}
	}
	return keys
}

// locks: orders are covered by their subjects' locks.
func (t *orders) locks(in []flow.Input) []lockKey { return guards(in).locks("recent") }

func (t *orders) load(w *order.World, in []flow.Input) {
	for _, key := range guards(in).sorted() {
		recent := t.recent[key]
		w.Recent.Loaded(key, recent) // made where it was missing, to be locked
		fetch(&w.Orders, t.rows, recent.OrderID)
	}
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case order.Place:
			fetch(&w.Members, t.members, msg.UserID)
			for _, item := range msg.Items {
				fetch(&w.Prices, t.prices, item.ProductID)
			}
		case *stockv1.ProductListed, *stockv1.ProductPriceChanged:
			fetch(&w.Prices, t.prices, i.Subject)
		default:
			fetch(&w.Orders, t.rows, i.Subject)
		}
	}
}

func (t *orders) save(w *order.World) ([]func(), error) {
	changed := w.Orders.Changed()
	for _, c := range changed {
		o := c.Row
		cancelled := o.Status == order.Cancelling || o.Status == order.Cancelled
		switch {
		case (o.Reason != "") != cancelled:
			return nil, check("cancelled_for_a_reason")
		case o.DiscountAmount < 0 || o.PointAmount < 0 || o.PaymentAmount < 0:
			return nil, check("amounts_never_negative")
		}
	}
	rows, err := write(t.rows, changed, "orders_pkey")
	if err != nil {
		return nil, err
	}
	waits := func() {
		for _, c := range changed {
			if c.Row.Status == order.Pending {
				t.wait(deadlineOf(c.Row))
			}
		}
	}
	return []func(){upsert(t.recent, w.Recent.Changed()), upsert(t.prices, w.Prices.Changed()), rows, waits}, nil
}

// due is order's Due: pending orders with a deadline that has passed.
func (t *orders) due(now time.Time) []string {
	var ids []string
	for id, o := range t.rows {
		if at := deadlineOf(o); o.Status == order.Pending && !at.IsZero() && !at.After(now) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// deadlineOf is LEAST(deadline_at, coupon_deadline_at).
func deadlineOf(o order.Order) time.Time {
	if !o.CouponDeadlineAt.IsZero() && o.CouponDeadlineAt.Before(o.DeadlineAt) {
		return o.CouponDeadlineAt
	}
	return o.DeadlineAt
}

// stocks is stock's database.
type stocks struct {
	products     map[string]stock.Product
	reservations map[string]stock.Reservation
	purchases    map[string]stock.Purchase
	movements    map[string]stock.Movement
	// wait has products looked at that run low.
	wait func(at time.Time)
}

func newStocks(wait func(time.Time)) *stocks {
	return &stocks{
		wait: wait, products: map[string]stock.Product{}, reservations: map[string]stock.Reservation{},
		purchases: map[string]stock.Purchase{}, movements: map[string]stock.Movement{},
	}
}

// due is stock's Due: products that run low, and nobody was told.
func (t *stocks) due() []string {
	var ids []string
	for id, p := range t.products {
		if !p.LowAt.IsZero() && !p.LowTold {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// locks: products last, in key order; reservations are covered by their orders' locks.
func (t *stocks) locks(in []flow.Input) []lockKey { return t.named(in).locks("product") }

// named are the products that an order, a reservation or an operator names.
func (t *stocks) named(in []flow.Input) set {
	products := set{}
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case stock.List, stock.Restock, stock.Change, stock.Low:
			products.add(i.Subject)
			continue
		case *orderv1.OrderCreated:
			for _, item := range msg.GetOrderItems() {
				products.add(item.GetProductId())
			}
		}
		for _, item := range t.reservations[i.Subject].Items {
			products.add(item.ProductID)
		}
	}
	return products
}

func (t *stocks) load(w *stock.World, in []flow.Input) {
	for _, i := range in {
		fetch(&w.Reservations, t.reservations, i.Subject)
	}
	for _, id := range t.named(in).sorted() {
		fetch(&w.Products, t.products, id)
	}
	for _, i := range in {
		if created, ok := i.Msg.(*orderv1.OrderCreated); ok {
			for _, item := range created.GetOrderItems() {
				if t.products[item.GetProductId()].Sale.MaxPerMember > 0 {
					fetch(&w.Purchases, t.purchases, stock.PurchaseKey(item.GetProductId(), created.GetUserId()))
				}
			}
			continue
		}
		row := t.reservations[i.Subject]
		for _, item := range row.Items {
			if item.Counted {
				fetch(&w.Purchases, t.purchases, stock.PurchaseKey(item.ProductID, row.UserID))
			}
		}
	}
}

func (t *stocks) save(w *stock.World) ([]func(), error) {
	products, reservations := w.Products.Changed(), w.Reservations.Changed()
	for _, c := range products {
		if c.Row.Quantity < 0 {
			return nil, check("stock_never_negative")
		}
	}
	for _, c := range reservations {
		if c.Row.State == stock.Refused && len(c.Row.Items) > 0 {
			return nil, check("refused_takes_nothing")
		}
	}
	taken, err := write(t.reservations, reservations, "reservation_pkey")
	if err != nil {
		return nil, err
	}
	left, err := write(t.products, products, "product_pkey")
	if err != nil {
		return nil, err
	}
	for _, c := range w.Purchases.Changed() {
		if c.Row.Quantity < 0 {
			return nil, check("purchase_never_negative")
		}
	}
	moved, err := write(t.movements, w.Movements.Changed(), "movement_pkey")
	low := func() {
		for _, c := range products {
			if !c.Row.LowAt.IsZero() && !c.Row.LowTold {
				t.wait(c.Row.LowAt)
			}
		}
	}
	return []func(){taken, left, upsert(t.purchases, w.Purchases.Changed()), moved, low}, err
}
