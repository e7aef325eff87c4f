package stock

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// MaxPictureURL is the longest address of a picture, in bytes.
const MaxPictureURL = 500

// OnChange changes name, price, picture, threshold or how the product is sold. A change that changes nothing is no
// event; nor is a new threshold, which only operators know of.
func OnChange(w *World, c Change, m flow.Meta) (flow.Reply, []flow.Event) {
	before, known := w.Products.Get(c.ProductID)
	if !known {
		return flow.Refuse(fault.NotFound())
	}
	product := c.applied(before)
	if bad := c.invalid(product); len(bad) > 0 {
		return flow.Refuse(fault.Invalid(bad...))
	}
	if product == before {
		return flow.Reply{Status: 200, Body: ViewOf(product)}, nil
	}
	product = product.left(product.Quantity, m.Now) // the threshold may be another one
	w.Products.Put(c.ProductID, product)
	reply := flow.Reply{Status: 200, Body: ViewOf(product)}
	if before.LowThreshold = product.LowThreshold; c.applied(before) == before {
		return reply, nil
	}
	return reply, []flow.Event{&stockv1.ProductPriceChanged{
		ProductId: c.ProductID, Name: product.Name, Price: product.Price, Currency: product.Currency,
		OnSale: product.OnSale, ChangedAt: timestamppb.New(m.Now), PictureUrl: product.PictureURL,
		Sale: saleOf(product), Frozen: product.Frozen,
	}}
}

// applied is the product with what the change names.
func (c Change) applied(p Product) Product {
	set(&p.Name, c.Name)
	set(&p.Price, c.Price)
	set(&p.OnSale, c.OnSale)
	set(&p.PictureURL, c.PictureURL)
	set(&p.Frozen, c.Frozen)
	set(&p.LowThreshold, c.LowThreshold)
	set(&p.Sale.StartsAt, c.SaleStartsAt)
	set(&p.Sale.EndsAt, c.SaleEndsAt)
	set(&p.Sale.MaxPerOrder, c.MaxPerOrder)
	set(&p.Sale.MaxPerMember, c.MaxPerMember)
	return p
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// invalid is what is wrong with what the change would make. What it does not name is as it was, and was good.
func (c Change) invalid(p Product) []fault.FieldError {
	var bad []fault.FieldError
	if p.Name == "" {
		bad = append(bad, fieldError("/name", "must not be empty"))
	}
	if c.Price != nil {
		bad = append(bad, invalidPrice(p.Price)...)
	}
	return append(bad, invalidListing(p.PictureURL, p.LowThreshold, p.Sale)...)
}

// invalidListing is what is wrong with how a product is shown and sold.
func invalidListing(picture string, threshold int64, sale Sale) []fault.FieldError {
	var bad []fault.FieldError
	if picture != "" && !isPicture(picture) {
		bad = append(bad, fieldError("/pictureUrl", fmt.Sprintf("must be an https address of at most %d bytes", MaxPictureURL)))
	}
	for _, number := range []struct {
		pointer string
		value   int64
	}{
		{"/lowStockThreshold", threshold},
		{"/maxPerOrder", sale.MaxPerOrder},
		{"/maxPerMember", sale.MaxPerMember},
	} {
		if number.value < 0 || number.value > MaxQuantity {
			bad = append(bad, fieldError(number.pointer, fmt.Sprintf("must be between 0 and %d", MaxQuantity)))
		}
	}
	if !sale.StartsAt.IsZero() && !sale.EndsAt.IsZero() && !sale.StartsAt.Before(sale.EndsAt) {
		bad = append(bad, fieldError("/saleEndsAt", "must be after saleStartsAt"))
	}
	return bad
}

// isPicture: a shop's page shows the picture as it is, so the address must be one that a page may load, and
// nothing that a browser would run or send credentials to.
func isPicture(address string) bool {
	if len(address) > MaxPictureURL || strings.ContainsAny(address, " \"'<>\\`") {
		return false
	}
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && u.Opaque == ""
}

// saleOf is a product's sale as events tell it; nil where nothing limits it.
func saleOf(p Product) *stockv1.Sale {
	if p.Sale == (Sale{}) {
		return nil
	}
	return &stockv1.Sale{
		StartsAt: stamp(p.Sale.StartsAt), EndsAt: stamp(p.Sale.EndsAt),
		MaxPerOrder: p.Sale.MaxPerOrder, MaxPerMember: p.Sale.MaxPerMember,
	}
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
