package stock

import (
	"time"

	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// buyer is who asks, and when the order was placed. An order that waited to be decided is not late for that: in the
// last second of a sale there are many.
type buyer struct {
	userID string
	at     time.Time
}

const unlimited = stockv1.ShortageReason_SHORTAGE_REASON_UNSPECIFIED

// limited says why a product is not given to the buyer although there may be enough of it, and how many pieces
// could have been had. Intake in order has looked at some of it before, on a copy of the price list that may be older.
func limited(w *World, p Product, x want, by buyer) (reason stockv1.ShortageReason, available int64) {
	purchase, _ := w.Purchases.Get(PurchaseKey(p.ProductID, by.userID))
	sale := p.Sale
	switch {
	case p.Frozen:
		return stockv1.ShortageReason_SHORTAGE_REASON_FROZEN, 0
	case !sale.StartsAt.IsZero() && by.at.Before(sale.StartsAt):
		return stockv1.ShortageReason_SHORTAGE_REASON_NOT_ON_SALE_YET, 0
	case !sale.EndsAt.IsZero() && !by.at.Before(sale.EndsAt):
		return stockv1.ShortageReason_SHORTAGE_REASON_SALE_OVER, 0
	case sale.MaxPerOrder > 0 && x.quantity > sale.MaxPerOrder:
		return stockv1.ShortageReason_SHORTAGE_REASON_ORDER_LIMIT, min(sale.MaxPerOrder, p.Quantity)
	case sale.MaxPerMember > 0 && x.quantity > sale.MaxPerMember-purchase.Quantity:
		// The limit may have been lowered below what the member has.
		return stockv1.ShortageReason_SHORTAGE_REASON_MEMBER_LIMIT, min(max(sale.MaxPerMember-purchase.Quantity, 0), p.Quantity)
	}
	return unlimited, 0
}

// count adds what an order takes to what its member has, where the product has a limit per member. What
// was taken before there was a limit does not count against it.
func count(w *World, p Product, userID string, item Item) bool {
	if p.Sale.MaxPerMember == 0 {
		return false
	}
	key := PurchaseKey(p.ProductID, userID)
	purchase, _ := w.Purchases.Get(key)
	purchase.ProductID, purchase.UserID = p.ProductID, userID
	purchase.Quantity += int64(item.Quantity)
	w.Purchases.Put(key, purchase)
	return true
}

// uncount takes off what was counted, whether or not the limit is still there.
func uncount(w *World, userID string, item Item) {
	if !item.Counted {
		return
	}
	key := PurchaseKey(item.ProductID, userID)
	purchase, _ := w.Purchases.Get(key)
	purchase.Quantity -= int64(item.Quantity)
	w.Purchases.Put(key, purchase)
}
