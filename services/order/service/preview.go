package service

import (
	"net/http"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/services/order"
)

// preview is order's part of POST /api/v1/orders/preview: prices and sums as they stand. The gateway adds
// what other services know: availability, coupons, points.
type preview struct {
	Items          []order.Item      `json:"items"`
	ItemsAmount    int64             `json:"itemsAmount"`
	DeliveryFee    int64             `json:"deliveryFee"`
	DiscountAmount int64             `json:"discountAmount"`
	PointAmount    int64             `json:"pointAmount"`
	PaymentAmount  int64             `json:"paymentAmount"`
	Currency       string            `json:"currency"`
	PaymentType    order.PaymentType `json:"paymentType"`
	AddressID      *string           `json:"addressId"`
	// Problems are what POST would refuse, with pointers into the request.
	Problems []fault.FieldError `json:"problems"`
}

// previewOf asks the same check as an order would pass, several times: a check ends at the first kind of
// trouble, so each kind that was found is mended in the command, to see what is behind it. Only a body
// that could never be right is a refusal.
func previewOf(w *order.World, c order.Place, r *placeRequest) (preview, error) {
	p := preview{DiscountAmount: c.DiscountAmount, PointAmount: c.PointAmount, PaymentType: c.PaymentType, Problems: []fault.FieldError{}}
	mended := c
	mended.Items = slices.Clone(c.Items)
	now := time.Now() // where an order would ask the database's clock
	for i, item := range mended.Items {
		price, _ := w.Prices.Get(item.ProductID)
		if _, honoured := price.Costs(item.ProductPrice, c.Rules.PriceGrace, now); !honoured {
			mended.Items[i].ProductPrice = nil
		}
	}
	o, _ := order.Check(w, mended, now)
	p.Items, p.ItemsAmount, p.Currency = o.Items, o.ItemsAmount, o.Currency
	if p.Items == nil {
		p.Items = []order.Item{}
	}
	p.DeliveryFee = c.Rules.Fee(o.ItemsAmount)
	p.PaymentAmount = max(0, p.ItemsAmount+p.DeliveryFee-c.DiscountAmount-c.PointAmount)
	if r.DeliveryFee == nil {
		c.DeliveryFee, mended.DeliveryFee = p.DeliveryFee, p.DeliveryFee
	}
	if r.PaymentAmount == nil {
		c.PaymentAmount, mended.PaymentAmount = p.PaymentAmount, p.PaymentAmount
	}
	settled := mended
	settled.DeliveryFee, settled.PaymentAmount, settled.PaymentType = p.DeliveryFee, p.ItemsAmount+p.DeliveryFee, order.Credit
	settled.DiscountAmount, settled.PointAmount = 0, 0
	for _, attempt := range []order.Place{c, mended, settled} {
		found, refusal := order.Check(w, attempt, now)
		if refusal == nil {
			p.AddressID = &found.AddressID
			break
		}
		if refusal.Status == http.StatusBadRequest {
			return p, refusal
		}
		p.add(refusal)
	}
	return p, nil
}

// add takes over what a refusal says, once.
func (p *preview) add(r *fault.Refusal) {
	for _, problem := range r.Errors {
		same := func(x fault.FieldError) bool { return x.Pointer == problem.Pointer && x.Code == problem.Code }
		if !slices.ContainsFunc(p.Problems, same) {
			p.Problems = append(p.Problems, problem)
		}
	}
}
