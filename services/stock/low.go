package stock

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// left sets the pieces that are left. The moment they fall to the threshold or below it opens the wait for
// LowStockReached, and more than that closes it.
//
// The event is not emitted here: what takes pieces is about an order, and LowStockReached is about the product,
// numbered under the product's own lock, which an order does not take. So the row remembers that it is to be told,
// and the sweeper does it. A product that has more again before the sweeper came is not told of: nobody has to act.
func (p Product) left(quantity int64, now time.Time) Product {
	p.Quantity, p.UpdatedAt = quantity, now
	switch low := p.LowThreshold > 0 && quantity <= p.LowThreshold; {
	case !low:
		p.LowAt, p.LowTold = time.Time{}, false
	case p.LowAt.IsZero():
		p.LowAt = now
	}
	return p
}

// Low says that few pieces of a product are left and nobody has been told.
type Low struct{ ProductID string }

// Subject is the product.
func (l Low) Subject() string { return l.ProductID }

// OnLow tells once. The sweeper claims nothing: another replica may have told, or pieces may have come.
func OnLow(w *World, l Low, _ flow.Meta) []flow.Event {
	product, known := w.Products.Get(l.ProductID)
	if !known || product.LowAt.IsZero() || product.LowTold {
		return nil
	}
	product.LowTold = true
	w.Products.Put(l.ProductID, product)
	return []flow.Event{&stockv1.LowStockReached{
		ProductId: l.ProductID, Available: product.Quantity, Threshold: product.LowThreshold,
		ReachedAt: timestamppb.New(product.LowAt),
	}}
}
