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

// OnProductPriceChanged changes the price list. A product's events come in order; one that is not newer
// than what is known has been seen.
func OnProductPriceChanged(w *World, e *stockv1.ProductPriceChanged, m flow.Meta) []flow.Event {
	price, known := w.Prices.Get(e.GetProductId())
	if known && !e.GetChangedAt().AsTime().After(price.ChangedAt) {
		return nil
	}
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
