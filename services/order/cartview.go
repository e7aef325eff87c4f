package order

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// CartView is a cart as the API shows it, at the prices of the moment.
type CartView struct {
	Items []CartItem `json:"items"`
	// Total is what the items without a problem cost, minor unit, without delivery.
	Total int64 `json:"total"`
	// Currency of the prices and the total; nil while the cart is empty.
	Currency *string `json:"currency"`
}

// CartItem is one product of a cart.
type CartItem struct {
	ProductID string `json:"productId"`
	Name      string `json:"name"`
	Quantity  int32  `json:"quantity"`
	// Price of one piece now, minor unit.
	Price int64 `json:"price"`
	// PriceChanged is set where the price is another one than when the product was last put in.
	PriceChanged *PriceChange `json:"priceChanged"`
	// Problem is set where the item could not be ordered now. It keeps the whole cart from being ordered.
	Problem *CartProblem `json:"problem"`
}

// PriceChange is a price of one piece then and now, minor unit.
type PriceChange struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// CartProblem says why an item could not be ordered: the code that an order would be refused with.
type CartProblem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// CartOf shows a cart. The World has the prices of its products. A cart has one currency, that of the first item that
// can be ordered: a product whose currency became another one since is a problem, and so is one that is not sold any
// more or whose sum has grown beyond any order's.
func CartOf(w *World, cart Cart, rules Rules, now time.Time) CartView {
	v := CartView{Items: make([]CartItem, 0, len(cart.Lines))}
	o := Order{}
	for _, line := range cart.Lines {
		price, cost, wrong := o.checkLine(w, Place{Rules: rules}, PlaceItem{ProductID: line.ProductID, Quantity: int64(line.Quantity)}, -1, now)
		item := CartItem{ProductID: line.ProductID, Name: price.Name, Quantity: line.Quantity, Price: cost}
		if line.Price != price.Price || line.Currency != price.Currency {
			item.PriceChanged = &PriceChange{From: line.Price, To: price.Price}
		}
		switch {
		case wrong != nil:
			item.Problem = &CartProblem{Code: wrong.Code, Detail: wrong.Detail}
		case cost > 0 && int64(line.Quantity) > (MaxAmount-v.Total)/cost:
			item.Problem = &CartProblem{Code: fault.CodeQuantityLimit, Detail: "the sum is higher than any order's can be"}
		default:
			o.Currency = price.Currency
			v.Total += int64(line.Quantity) * cost
		}
		if v.Currency == nil {
			v.Currency = &price.Currency // until there is an item that can be ordered
		}
		v.Items = append(v.Items, item)
	}
	if o.Currency != "" {
		v.Currency = &o.Currency
	}
	return v
}
