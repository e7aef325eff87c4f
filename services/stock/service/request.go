package service

import (
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/stock"
)

// Longest product id, name and reason, in characters.
const (
	maxID     = 100
	maxName   = 200
	maxReason = 500
)

// identifier: product ids are the merchant's own words; they stand in paths, in Kafka keys and in headers.
func identifier(id string) bool {
	return id != "" && web.Printable(id, maxID) && !strings.ContainsRune(id, '/') && strings.TrimSpace(id) == id
}

// saleRequest are the fields of a product that say when and to whom it is sold, and when it is scarce. A time is
// RFC 3339, or "" for none.
type saleRequest struct {
	PictureURL   *string `json:"pictureUrl"`
	LowThreshold *int64  `json:"lowStockThreshold"`
	SaleStartsAt *string `json:"saleStartsAt"`
	SaleEndsAt   *string `json:"saleEndsAt"`
	MaxPerOrder  *int64  `json:"maxPerOrder"`
	MaxPerMember *int64  `json:"maxPerMember"`
}

// moment reads a time; nil stays nil. It is cut to the microseconds that a database keeps.
func moment(bad *web.Fields, pointer string, text *string) *time.Time {
	if text == nil {
		return nil
	}
	var t time.Time
	if *text != "" {
		var err error
		t, err = time.Parse(time.RFC3339, *text)
		t = t.UTC().Truncate(time.Microsecond)
		bad.Invalid(pointer, err != nil || t.Year() < 1970 || t.Year() > 9999, "A time is as in 2026-07-01T12:00:00Z, or \"\" for none.")
	}
	return &t
}

func badReason(bad *web.Fields, reason *string) {
	bad.Invalid("/reason", !web.Printable(web.Or(reason, ""), maxReason), "The reason is at most 500 printable characters.")
}

// listRequest is POST /ops/v1/products. Reason is the operator's, for the ledger and for the audit that the gateway keeps.
type listRequest struct {
	ProductID *string `json:"productId"`
	Name      *string `json:"name"`
	Price     *int64  `json:"price"`
	Currency  *string `json:"currency"`
	Quantity  *int64  `json:"quantity"`
	Reason    *string `json:"reason"`
	saleRequest
}

// command checks the form; what the values mean is the decision's to judge.
func (r listRequest) command() (stock.List, error) {
	var bad web.Fields
	bad.Missing("/productId", r.ProductID == nil)
	bad.Missing("/name", r.Name == nil)
	bad.Missing("/price", r.Price == nil)
	bad.Missing("/currency", r.Currency == nil)
	bad.Invalid("/productId", r.ProductID != nil && !identifier(*r.ProductID), "The id is 1 to 100 printable characters without a slash.")
	bad.Invalid("/name", r.Name != nil && !web.Printable(*r.Name, maxName), "The name is at most 200 printable characters.")
	bad.Invalid("/currency", r.Currency != nil && !web.IsCurrency(*r.Currency), "The currency is an ISO 4217 code of three capital letters.")
	badReason(&bad, r.Reason)
	startsAt, endsAt := moment(&bad, "/saleStartsAt", r.SaleStartsAt), moment(&bad, "/saleEndsAt", r.SaleEndsAt)
	if err := bad.Err(); err != nil {
		return stock.List{}, err
	}
	return stock.List{
		ProductID: *r.ProductID, Name: *r.Name, Price: *r.Price, Currency: *r.Currency, Quantity: web.Or(r.Quantity, 0),
		PictureURL: web.Or(r.PictureURL, ""), LowThreshold: web.Or(r.LowThreshold, 0), Reason: web.Or(r.Reason, ""),
		Sale: stock.Sale{
			StartsAt: web.Or(startsAt, time.Time{}), EndsAt: web.Or(endsAt, time.Time{}),
			MaxPerOrder: web.Or(r.MaxPerOrder, 0), MaxPerMember: web.Or(r.MaxPerMember, 0),
		},
	}, nil
}

// restockRequest is POST /ops/v1/products/{productId}/restock.
type restockRequest struct {
	Quantity *int64  `json:"quantity"`
	Reason   *string `json:"reason"`
}

func (r restockRequest) command(productID string) (stock.Restock, error) {
	var bad web.Fields
	bad.Missing("/quantity", r.Quantity == nil)
	badReason(&bad, r.Reason)
	if err := bad.Err(); err != nil {
		return stock.Restock{}, err
	}
	return stock.Restock{ProductID: productID, Quantity: *r.Quantity, Reason: web.Or(r.Reason, "")}, nil
}

// recountRequest is POST /ops/v1/products/{productId}/recount.
type recountRequest struct {
	Reason *string `json:"reason"`
}

// changeRequest is PATCH /ops/v1/products/{productId}. What is absent stays.
type changeRequest struct {
	Name   *string `json:"name"`
	Price  *int64  `json:"price"`
	OnSale *bool   `json:"onSale"`
	Frozen *bool   `json:"frozen"`
	Reason *string `json:"reason"`
	saleRequest
}

func (r changeRequest) command(productID string) (stock.Change, error) {
	var bad web.Fields
	bad.Invalid("/name", r.Name != nil && !web.Printable(*r.Name, maxName), "The name is at most 200 printable characters.")
	badReason(&bad, r.Reason)
	startsAt, endsAt := moment(&bad, "/saleStartsAt", r.SaleStartsAt), moment(&bad, "/saleEndsAt", r.SaleEndsAt)
	if err := bad.Err(); err != nil {
		return stock.Change{}, err
	}
	return stock.Change{
		ProductID: productID, Name: r.Name, Price: r.Price, OnSale: r.OnSale, PictureURL: r.PictureURL, Frozen: r.Frozen,
		LowThreshold: r.LowThreshold, SaleStartsAt: startsAt, SaleEndsAt: endsAt, MaxPerOrder: r.MaxPerOrder, MaxPerMember: r.MaxPerMember,
	}, nil
}
