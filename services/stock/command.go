package stock

import "time"

// List is POST /ops/v1/products: a new product.
type List struct {
	ProductID string
	Name      string
	// Price of one piece, minor unit of Currency; above 0.
	Price    int64
	Currency string
	// Quantity of pieces at the start, 0 or more.
	Quantity int64
	// PictureURL is an https address, or "".
	PictureURL string
	// LowThreshold is how many pieces left are few; 0: none are.
	LowThreshold int64
	Sale         Sale
	// Reason is the operator's, or "": for the ledger.
	Reason string
}

// Subject is the product.
func (c List) Subject() string { return c.ProductID }

// Restock is POST /ops/v1/products/{productId}/restock: pieces are added.
type Restock struct {
	ProductID string
	// Quantity of pieces to add, at least 1.
	Quantity int64
	// Reason is the operator's, or "".
	Reason string
}

// Subject is the product.
func (c Restock) Subject() string { return c.ProductID }

// Recount is POST /ops/v1/products/{productId}/recount: the pieces left do not go with those that came in
// and those that are held, and a person wants them to.
//
// By is the difference as it was counted. Sales, returns and restocks change quantity, held and received
// alike, so it stays the same however many come between; another recount does not, and Corrections tells.
type Recount struct {
	ProductID   string
	By          int64
	Corrections int64
	// Reason is the operator's, or "".
	Reason string
}

// Subject is the product.
func (c Recount) Subject() string { return c.ProductID }

// Change is PATCH /ops/v1/products/{productId}. What is nil stays; what is zero is taken away, where there need not
// be any.
type Change struct {
	ProductID    string
	Name         *string
	Price        *int64
	OnSale       *bool
	PictureURL   *string
	Frozen       *bool
	LowThreshold *int64
	SaleStartsAt *time.Time
	SaleEndsAt   *time.Time
	MaxPerOrder  *int64
	MaxPerMember *int64
}

// Subject is the product.
func (c Change) Subject() string { return c.ProductID }

// View is a product as the API shows it. A limit of 0 is none.
type View struct {
	ProductID    string     `json:"productId"`
	Name         string     `json:"name"`
	Price        int64      `json:"price"`
	Currency     string     `json:"currency"`
	OnSale       bool       `json:"onSale"`
	Quantity     int64      `json:"quantity"`
	PictureURL   *string    `json:"pictureUrl"`
	Frozen       bool       `json:"frozen"`
	LowThreshold int64      `json:"lowStockThreshold"`
	SaleStartsAt *time.Time `json:"saleStartsAt"`
	SaleEndsAt   *time.Time `json:"saleEndsAt"`
	MaxPerOrder  int64      `json:"maxPerOrder"`
	MaxPerMember int64      `json:"maxPerMember"`
}

// ViewOf shows a product.
func ViewOf(p Product) View {
	return View{
		ProductID: p.ProductID, Name: p.Name, Price: p.Price, Currency: p.Currency,
		OnSale: p.OnSale, Quantity: p.Quantity, PictureURL: orNull(p.PictureURL), Frozen: p.Frozen,
		LowThreshold: p.LowThreshold, SaleStartsAt: orNull(p.Sale.StartsAt), SaleEndsAt: orNull(p.Sale.EndsAt),
		MaxPerOrder: p.Sale.MaxPerOrder, MaxPerMember: p.Sale.MaxPerMember,
	}
}

func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
