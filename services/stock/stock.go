package stock

import (
	"math"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// OnOrderCreated takes every piece the order asks for, or none. An order whose undo came first (its
// topic is another one) finds the tombstone and takes nothing, silently: its undo is answered already.
func OnOrderCreated(w *World, e *orderv1.OrderCreated, m flow.Meta) []flow.Event {
	if _, known := w.Reservations.Get(e.GetOrderId()); known {
		return nil
	}
	row := Reservation{OrderID: e.GetOrderId(), UserID: e.GetUserId(), State: Taken, CreatedAt: m.Now, UpdatedAt: m.Now}
	wanted, items := sum(e.GetOrderItems())
	by := buyer{userID: e.GetUserId(), at: m.Now}
	if e.GetCreatedAt() != nil {
		by.at = e.GetCreatedAt().AsTime()
	}
	if short := shortages(w, wanted, by); len(short) > 0 {
		row.State = Refused
		w.Reservations.Put(row.OrderID, row)
		return []flow.Event{&stockv1.StockDecreaseFailed{
			OrderId: row.OrderID, UserId: row.UserID, Shortages: short, FailedAt: timestamppb.New(m.Now),
		}}
	}
	row.Items = items
	for i, item := range items {
		product, _ := w.Products.Get(item.ProductID)
		w.Products.Put(item.ProductID, product.left(product.Quantity-int64(item.Quantity), m.Now))
		items[i].Counted = count(w, product, row.UserID, item)
	}
	w.Reservations.Put(row.OrderID, row)
	return []flow.Event{&stockv1.StockDecreased{
		OrderId: row.OrderID, UserId: row.UserID, OrderItems: e.GetOrderItems(), Checkout: e.GetCheckout(),
		DecreasedAt: timestamppb.New(m.Now),
	}}
}

// want is what an order asks of one product, all its lines together.
type want struct {
	productID string
	quantity  int64
}

// sum adds up the lines of one product: two lines of three pieces each need six to be there, however
// each alone would have been satisfied.
func sum(lines []*orderv1.OrderItem) (wanted []want, items []Item) {
	at := map[string]int{}
	for _, line := range lines {
		i, known := at[line.GetProductId()]
		if !known {
			i = len(wanted)
			at[line.GetProductId()] = i
			wanted = append(wanted, want{productID: line.GetProductId()})
			items = append(items, Item{
				ProductID: line.GetProductId(), ProductName: line.GetProductName(), ProductPrice: line.GetProductPrice(),
			})
		}
		// A line of no pieces, or of fewer, takes none: stock must never grow by an order.
		wanted[i].quantity += int64(max(line.GetQuantity(), 0))
		items[i].Quantity = int32(min(wanted[i].quantity, math.MaxInt32))
	}
	return wanted, items
}

// shortages lists what cannot be given. More than an int32 of one product is never there.
func shortages(w *World, wanted []want, by buyer) []*stockv1.Shortage {
	var short []*stockv1.Shortage
	for _, x := range wanted {
		product, _ := w.Products.Get(x.productID)
		reason, available := limited(w, product, x, by)
		if reason == unlimited {
			if x.quantity <= product.Quantity && x.quantity <= math.MaxInt32 && product.ProductID != "" {
				continue
			}
			reason, available = stockv1.ShortageReason_SHORTAGE_REASON_OUT_OF_STOCK, product.Quantity
		}
		short = append(short, &stockv1.Shortage{
			ProductId: x.productID, Requested: int32(min(x.quantity, math.MaxInt32)), Available: available, Reason: reason,
		})
	}
	return short
}

// OnOrderCancelled gives back at once where the undo begins here, or where it would begin at coupon and
// the order has none. An undo that begins at payment comes by way of PaymentCancelled.
func OnOrderCancelled(w *World, e *orderv1.OrderCancelled, m flow.Meta) []flow.Event {
	if !undoneFromHere(e) {
		return nil
	}
	return giveBack(w, e.GetOrderId(), e.GetUserId(), m)
}

// OnPaymentCancelled gives back where no coupon stands between payment and stock.
func OnPaymentCancelled(w *World, e *paymentv1.PaymentCancelled, m flow.Meta) []flow.Event {
	if !withoutCoupons(e) {
		return nil
	}
	return giveBack(w, e.GetOrderId(), e.GetUserId(), m)
}

// OnCouponUseCancelled gives back: the step after stock has been undone.
func OnCouponUseCancelled(w *World, e *couponv1.CouponUseCancelled, m flow.Meta) []flow.Event {
	return giveBack(w, e.GetOrderId(), e.GetUserId(), m)
}

// giveBack undoes what was taken. It answers also where nothing was: the order waits for StockIncreased
// as the sign that nothing is left to undo. The row it leaves refuses a late OrderCreated for good.
func giveBack(w *World, orderID, userID string, m flow.Meta) []flow.Event {
	row, known := w.Reservations.Get(orderID)
	if row.State == Returned {
		return nil
	}
	if !known {
		row = Reservation{OrderID: orderID, UserID: userID, CreatedAt: m.Now}
	}
	back := &stockv1.StockIncreased{OrderId: orderID, UserId: userID, IncreasedAt: timestamppb.New(m.Now)}
	if row.State == Taken {
		for _, item := range row.Items {
			product, _ := w.Products.Get(item.ProductID)
			w.Products.Put(item.ProductID, product.left(product.Quantity+int64(item.Quantity), m.Now))
			uncount(w, row.UserID, item)
			back.OrderItems = append(back.OrderItems, &orderv1.OrderItem{
				ProductId: item.ProductID, ProductName: item.ProductName,
				Quantity: item.Quantity, ProductPrice: item.ProductPrice,
			})
		}
	}
	row.State, row.UpdatedAt = Returned, m.Now
	w.Reservations.Put(orderID, row)
	return []flow.Event{back}
}
