package order

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// OnProductListed puts a product on the price list.
func OnProductListed(w *World, e *stockv1.ProductListed, m flow.Meta) []flow.Event {
	if _, known := w.Prices.Get(e.GetProductId()); known {
		return nil
	}
	w.Prices.Put(e.GetProductId(), Price{
		ProductID: e.GetProductId(), Name: e.GetName(), Price: e.GetPrice(), PreviousPrice: e.GetPrice(),
		Currency: e.GetCurrency(), OnSale: e.GetOnSale(), ChangedAt: e.GetListedAt().AsTime(),
	}.soldAs(e.GetSale()))
	return nil
}

// OnProductPriceChanged changes the price list. A product's events come in the order in which they were
// decided, each once, so the last one that came is the price. Their times say nothing about that: changes
// that were decided in one batch have the same time, and a clock may have been set back between two.
func OnProductPriceChanged(w *World, e *stockv1.ProductPriceChanged, m flow.Meta) []flow.Event {
	price, known := w.Prices.Get(e.GetProductId())
	previous := price.PreviousPrice
	changedAt := price.ChangedAt
	if price.Price != e.GetPrice() {
		previous, changedAt = price.Price, e.GetChangedAt().AsTime()
	}
	if !known {
		previous = e.GetPrice()
	}
	w.Prices.Put(e.GetProductId(), Price{
		ProductID: e.GetProductId(), Name: e.GetName(), Price: e.GetPrice(), PreviousPrice: previous,
		Currency: e.GetCurrency(), OnSale: e.GetOnSale(), ChangedAt: changedAt,
	}.soldAs(e.GetSale()))
	return nil
}

// soldAs takes over when and how much of a product is sold.
func (p Price) soldAs(sale *stockv1.Sale) Price {
	p.SaleStartsAt, p.SaleEndsAt, p.MaxPerOrder = time.Time{}, time.Time{}, sale.GetMaxPerOrder()
	if at := sale.GetStartsAt(); at != nil {
		p.SaleStartsAt = at.AsTime()
	}
	if at := sale.GetEndsAt(); at != nil {
		p.SaleEndsAt = at.AsTime()
	}
	return p
}

// Costs is what one piece costs whoever claims a price (nil: none), and whether that is the claim.
//
// Who has looked at a product and orders it a moment later claims the price that stood there. Within the grace after a
// change that is honoured, whichever way the price went: the price before the last change, and no older one. The
// change was timed by stock's clock; where that is far from order's, either way, there is no grace.
func (p Price) Costs(claim *int64, grace time.Duration, now time.Time) (price int64, honoured bool) {
	since := now.Sub(p.ChangedAt)
	switch {
	case claim == nil || *claim == p.Price:
		return p.Price, true
	case *claim == p.PreviousPrice && since < grace && since > -grace:
		return p.PreviousPrice, true
	}
	return p.Price, false
}
