package order

import (
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
	})
	return nil
}

// OnProductPriceChanged changes the price list. A product's events come in the order in which they were
// decided, each once, so the last one that came is the price. Their times say nothing about that: changes
// that were decided in one batch have the same time, and a clock may have been set back between two.
func OnProductPriceChanged(w *World, e *stockv1.ProductPriceChanged, m flow.Meta) []flow.Event {
	price, known := w.Prices.Get(e.GetProductId())
	previous := price.PreviousPrice
	if price.Price != e.GetPrice() {
		previous = price.Price
	}
	if !known {
		previous = e.GetPrice()
	}
	w.Prices.Put(e.GetProductId(), Price{
		ProductID: e.GetProductId(), Name: e.GetName(), Price: e.GetPrice(), PreviousPrice: previous,
		Currency: e.GetCurrency(), OnSale: e.GetOnSale(), ChangedAt: e.GetChangedAt().AsTime(),
	})
	return nil
}
