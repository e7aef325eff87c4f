package stock

import (
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// MaxQuantity is the most pieces of one product, and MaxPrice the highest price of one piece in the
// minor unit: far above any shop, far below where a sum of them could overflow.
const (
	MaxQuantity = 1_000_000_000
	MaxPrice    = 1_000_000_000_000
)

// OnList adds a product; one of that id that is there already is 409 product_exists.
func OnList(w *World, c List, m flow.Meta) (flow.Reply, []flow.Event) {
	if bad := c.invalid(); len(bad) > 0 {
		return flow.Refuse(fault.Invalid(bad...))
	}
	if _, known := w.Products.Get(c.ProductID); known {
		return flow.Refuse(fault.Conflict(fault.CodeProductExists, "There is a product of this id already."))
	}
	product := Product{
		ProductID: c.ProductID, Name: c.Name, Price: c.Price, Currency: c.Currency, Received: c.Quantity, OnSale: true,
		PictureURL: c.PictureURL, LowThreshold: c.LowThreshold, Sale: c.Sale, CreatedAt: m.Now,
	}.left(c.Quantity, m.Now)
	w.Products.Put(c.ProductID, product)
	move(w, c.ProductID, MovedListed, c.Quantity, c.Reason, m)
	return flow.Reply{Status: 201, Body: ViewOf(product)}, []flow.Event{&stockv1.ProductListed{
		ProductId: c.ProductID, Name: c.Name, Price: c.Price, Currency: c.Currency, Quantity: c.Quantity,
		OnSale: true, ListedAt: timestamppb.New(m.Now), PictureUrl: c.PictureURL, Sale: saleOf(product),
	}}
}

// move writes a line of the ledger.
func move(w *World, productID string, kind MovementKind, amount int64, reason string, m flow.Meta) {
	w.Movements.Put(m.Cause, Movement{
		MovementID: m.Cause, ProductID: productID, Kind: kind, Amount: amount, Reason: reason, At: m.Now,
	})
}

func (c List) invalid() []fault.FieldError {
	var bad []fault.FieldError
	if c.ProductID == "" {
		bad = append(bad, fieldError("/productId", "is required"))
	}
	if c.Name == "" {
		bad = append(bad, fieldError("/name", "is required"))
	}
	bad = append(bad, invalidPrice(c.Price)...)
	bad = append(bad, invalidListing(c.PictureURL, c.LowThreshold, c.Sale)...)
	if c.Quantity < 0 || c.Quantity > MaxQuantity {
		bad = append(bad, fieldError("/quantity", fmt.Sprintf("must be between 0 and %d", MaxQuantity)))
	}
	return bad
}

func invalidPrice(price int64) []fault.FieldError {
	if price < 1 || price > MaxPrice {
		return []fault.FieldError{fieldError("/price", fmt.Sprintf("must be between 1 and %d", int64(MaxPrice)))}
	}
	return nil
}

func fieldError(pointer, detail string) fault.FieldError {
	return fault.FieldError{Pointer: pointer, Code: fault.CodeInvalidField, Detail: detail}
}

// OnRestock adds pieces.
func OnRestock(w *World, c Restock, m flow.Meta) (flow.Reply, []flow.Event) {
	product, known := w.Products.Get(c.ProductID)
	if !known {
		return flow.Refuse(fault.NotFound())
	}
	if c.Quantity < 1 || c.Quantity > MaxQuantity-product.Quantity {
		return flow.Refuse(fault.Invalid(fieldError("/quantity",
			fmt.Sprintf("must be at least 1, and there can be no more than %d pieces", MaxQuantity))))
	}
	product = product.left(product.Quantity+c.Quantity, m.Now)
	product.Received += c.Quantity
	w.Products.Put(c.ProductID, product)
	move(w, c.ProductID, MovedRestock, c.Quantity, c.Reason, m)
	return flow.Reply{Status: 200, Body: ViewOf(product)}, []flow.Event{&stockv1.StockRestocked{
		ProductId: c.ProductID, Quantity: c.Quantity, Available: product.Quantity, RestockedAt: timestamppb.New(m.Now),
	}}
}

// OnRecount corrects the pieces left by what was counted, once.
func OnRecount(w *World, c Recount, m flow.Meta) (flow.Reply, []flow.Event) {
	product, known := w.Products.Get(c.ProductID)
	switch {
	case !known:
		return flow.Refuse(fault.NotFound())
	case product.Corrections != c.Corrections:
		return flow.Refuse(fault.Conflict(fault.CodeConflict, "It was corrected meanwhile: count again."))
	case product.Quantity+c.By < 0 || c.By > MaxQuantity-product.Quantity:
		return flow.Refuse(fault.Conflict(fault.CodeConflict, "More pieces are held than ever came in: look at the reservations first."))
	}
	product = product.left(product.Quantity+c.By, m.Now)
	product.Corrections++
	w.Products.Put(c.ProductID, product)
	move(w, c.ProductID, MovedRecount, c.By, c.Reason, m)
	return flow.Reply{Status: 200, Body: ViewOf(product)}, nil
}
