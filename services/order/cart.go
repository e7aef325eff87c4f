package order

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// MaxCartLines is the most different products in a cart where Rules.MaxItems sets no limit.
const MaxCartLines = 1000

// Cart is what a member has put in and not ordered yet.
type Cart struct {
	// Lines in the order in which they were put in. A product stands once.
	Lines []CartLine
	// Erased: the member is gone, and the row with it.
	Erased bool
}

// CartLine is one product in a cart.
type CartLine struct {
	ProductID string `json:"productId"`
	// Quantity in pieces, at least 1.
	Quantity int32 `json:"quantity"`
	// Price of one piece, minor unit of Currency, when the product was last put in. It is there to tell of a change;
	// what is charged is the price list's word.
	Price    int64  `json:"price"`
	Currency string `json:"currency"`
}

// PutInCart is PUT /api/v1/cart/items/{productId}: so many pieces, whatever was in the cart.
type PutInCart struct {
	UserID    string
	ProductID string
	// Quantity is 1 to MaxInt32; the edge has checked it.
	Quantity int64
	Rules    Rules
}

// Subject is the member's cart.
func (c PutInCart) Subject() string { return cartSubject(c.UserID) }

// TakeFromCart is DELETE /api/v1/cart/items/{productId}.
type TakeFromCart struct {
	UserID    string
	ProductID string
	Rules     Rules
}

// Subject is the member's cart.
func (c TakeFromCart) Subject() string { return cartSubject(c.UserID) }

// PlaceCart is POST /api/v1/cart/order: a Place whose items are those of the member's cart.
//
// Its subject is the order, as that is what it emits an event about. What keeps it apart from the other commands about
// the cart is the lock on the cart's row, which Load takes for all of them.
type PlaceCart struct{ Place }

// cartSubject is a name that no order, product or member has: whatever stands still for one of these, the cart goes on.
func cartSubject(userID string) string { return "cart/" + userID }

// OnPutInCart sets how many pieces of a product the cart holds. What could not be ordered now is refused; what cannot
// be ordered any more, as the world has moved on since, stays in the cart with a note (see CartOf).
func OnPutInCart(w *World, c PutInCart, m flow.Meta) (flow.Reply, []flow.Event) {
	if member, _ := w.Members.Get(c.UserID); member.Erased {
		return flow.Refuse(fault.Forbidden("The member was deleted."))
	}
	cart, _ := w.Carts.Get(c.UserID)
	line, refusal := cart.check(w, c, m.Now)
	if refusal != nil {
		return flow.Refuse(refusal)
	}
	cart.Lines = slices.Clone(cart.Lines)
	if k := cart.find(c.ProductID); k >= 0 {
		cart.Lines[k] = line
	} else {
		cart.Lines = append(cart.Lines, line)
	}
	w.Carts.Put(c.UserID, cart)
	return flow.Reply{Status: 200, Body: CartOf(w, cart, c.Rules, m.Now)}, nil
}

// OnTakeFromCart takes a product out. One that is not in the cart is out already.
func OnTakeFromCart(w *World, c TakeFromCart, m flow.Meta) (flow.Reply, []flow.Event) {
	cart, _ := w.Carts.Get(c.UserID)
	if k := cart.find(c.ProductID); k >= 0 {
		cart.Lines = slices.Delete(slices.Clone(cart.Lines), k, k+1)
		w.Carts.Put(c.UserID, cart)
	}
	return flow.Reply{Status: 200, Body: CartOf(w, cart, c.Rules, m.Now)}, nil
}

// OnPlaceCart places an order of everything in the cart and empties it, or does neither: it is one decision under the
// lock of the cart's row. A product that another request puts in at the same time comes before, and is in the order
// (whose sum is then not what the caller said, so it is most likely refused), or after, and is in the cart.
//
// The second request of a double click finds the cart empty. That alone does not tell it from a member who has nothing
// in the cart, so the guard is asked. With something in the cart again it is a new order: a double click is about the
// same things, and these are others.
func OnPlaceCart(w *World, c PlaceCart, m flow.Meta) (flow.Reply, []flow.Event) {
	cart, _ := w.Carts.Get(c.UserID)
	if len(cart.Lines) == 0 {
		if o, again := doubleClick(w, c.Place, m); again {
			return flow.Reply{Status: 202, Body: ViewOf(o)}, nil
		}
		return flow.Refuse(fault.Unprocessable(fault.CodeCartEmpty, "There is nothing in the cart to order."))
	}
	place := c.Place
	place.Items = make([]PlaceItem, len(cart.Lines))
	for i, line := range cart.Lines {
		place.Items[i] = PlaceItem{ProductID: line.ProductID, Quantity: int64(line.Quantity)}
	}
	reply, events := accept(w, asSeen(w, place, m.Now), m)
	if reply.Refusal == nil {
		w.Carts.Put(c.UserID, Cart{})
	}
	return reply, events
}

// asSeen finds out which prices a member means who says only what all of it costs. It is the price list, unless the
// sum is right by the prices before changes that are still within the grace: the member has looked at those, and an
// order by POST /api/v1/orders would claim them.
func asSeen(w *World, place Place, now time.Time) Place {
	if _, refusal := Check(w, place, now); refusal == nil || refusal.Code != fault.CodeAmountMismatch {
		return place
	}
	before := place
	before.Items = slices.Clone(place.Items)
	for i, item := range before.Items {
		price, _ := w.Prices.Get(item.ProductID)
		if _, honoured := price.Costs(&price.PreviousPrice, place.Rules.PriceGrace, now); honoured {
			before.Items[i].ProductPrice = &price.PreviousPrice
		}
	}
	if _, refusal := Check(w, before, now); refusal != nil {
		return place
	}
	return before
}

// find is where a product stands, or -1.
func (c Cart) find(productID string) int {
	return slices.IndexFunc(c.Lines, func(line CartLine) bool { return line.ProductID == productID })
}

// check makes the line that a command asks for, or says why it may not be.
func (c Cart) check(w *World, put PutInCart, now time.Time) (CartLine, *fault.Refusal) {
	limit, pieces := MaxCartLines, put.Quantity
	if put.Rules.MaxItems > 0 {
		limit = put.Rules.MaxItems
	}
	var o Order
	for _, line := range c.Lines {
		if line.ProductID == put.ProductID {
			continue
		}
		pieces += int64(line.Quantity)
		if price, known := w.Prices.Get(line.ProductID); known && o.Currency == "" {
			o.Currency = price.Currency
		}
	}
	price, cost, wrong := o.checkLine(w, Place{Rules: put.Rules}, PlaceItem{ProductID: put.ProductID, Quantity: put.Quantity}, -1, now)
	switch {
	case wrong != nil && wrong.Pointer == "/quantity":
		return CartLine{}, quantityLimit(wrong.Pointer, wrong.Detail)
	case wrong != nil:
		// The product stands in the path, so there is no field to point at.
		return CartLine{}, fault.Unprocessable(wrong.Code, "The product cannot be put in the cart: "+wrong.Detail+".")
	case c.find(put.ProductID) < 0 && len(c.Lines) >= limit:
		return CartLine{}, fault.Unprocessable(fault.CodeQuantityLimit, fmt.Sprintf("A cart has at most %d different products.", limit))
	case put.Rules.MaxQuantity > 0 && pieces > put.Rules.MaxQuantity:
		return CartLine{}, quantityLimit("/quantity", fmt.Sprintf("an order has at most %d pieces", put.Rules.MaxQuantity))
	case pieces > math.MaxInt32:
		return CartLine{}, quantityLimit("/quantity", "more pieces than any order can hold")
	case cost > 0 && put.Quantity > MaxAmount/cost:
		return CartLine{}, quantityLimit("/quantity", "the sum is higher than any order's can be")
	}
	return CartLine{ProductID: put.ProductID, Quantity: int32(put.Quantity), Price: price.Price, Currency: price.Currency}, nil
}
