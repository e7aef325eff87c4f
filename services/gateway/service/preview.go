package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
)

const (
	// previewTimeout is how long each part may take: somebody looks at a page meanwhile.
	previewTimeout = time.Second
	// previewProducts bounds how many products' stock is looked up.
	previewProducts = 50
)

// previewRequest is what the gateway reads of the request; whether the rest makes sense is for order to say.
type previewRequest struct {
	Items []struct {
		ProductID string `json:"productId"`
		Quantity  int64  `json:"quantity"`
	} `json:"items"`
	DiscountPolicyID string   `json:"discountPolicyId"`
	CouponIDs        []string `json:"couponIds"`
	PointAmount      int64    `json:"pointAmount"`
}

// available is what stock says about one product of a preview.
type available struct {
	ProductID string `json:"productId"`
	Requested int64  `json:"requested"`
	Available int64  `json:"available"`
	Enough    bool   `json:"enough"`
}

// pointsView is the member's balance against what the order wants of it.
type pointsView struct {
	Balance int64 `json:"balance"`
	Enough  bool  `json:"enough"`
}

// couponQuote is what coupon says; Problem is null where the coupons would be accepted.
type couponQuote struct {
	DiscountAmount int64           `json:"discountAmount"`
	Problem        json.RawMessage `json:"problem"`
}

// preview is what the parts of the answer are collected in.
type preview struct {
	mu sync.Mutex
	// notes say which parts could not be had, by service.
	notes        map[string]string
	availability []available
	points       *pointsView
	coupon       *couponQuote
}

// orderPart is what the other parts need of order's answer.
type orderPart struct {
	ItemsAmount int64  `json:"itemsAmount"`
	Currency    string `json:"currency"`
}

// preview puts together what order, stock, coupon and payment say about an order that does not exist yet. order's part
// is the body of it: without it there is no preview, and its refusal is the answer. The others are added as they are;
// one that does not answer in time is left out and noted.
func (s *server) preview(ctx context.Context, c upstream.Caller, member string, body []byte) (map[string]json.RawMessage, error) {
	passed := c
	c.ContentType = ""
	var req previewRequest
	// What cannot be read here is refused by order, with the pointer to it; then nothing else is asked for.
	readable := json.Unmarshal(body, &req) == nil
	p := &preview{notes: map[string]string{}}
	var group sync.WaitGroup
	if readable {
		group.Go(func() { s.addStock(ctx, c, req, p) })
		group.Go(func() { s.addPoints(ctx, c, req, p) })
	}
	answer, err := s.services["order"].Ask(ctx, passed, previewTimeout, http.MethodPost, "/api/v1/orders/preview", body)
	if err == nil && answer.OK() && readable {
		s.addCoupon(ctx, c, member, req, answer.Body, p)
	}
	group.Wait()
	switch {
	case errors.Is(err, upstream.ErrUnreachable):
		return nil, fault.Unavailable(fault.CodeServiceUnavailable, "The order service does not answer at the moment.", time.Second)
	case err != nil:
		return nil, err
	case !answer.OK():
		return nil, answer.Refusal()
	}
	return p.join(answer.Body)
}

func (s *server) addStock(ctx context.Context, c upstream.Caller, req previewRequest, p *preview) {
	wanted := map[string]int64{}
	for _, item := range req.Items {
		if item.ProductID != "" && (len(wanted) < previewProducts || wanted[item.ProductID] > 0) {
			wanted[item.ProductID] += item.Quantity
		}
	}
	products, missing, err := gather(slices.Sorted(maps.Keys(wanted)), func(id string) (available, error) {
		var product struct {
			Quantity int64 `json:"quantity"`
			OnSale   bool  `json:"onSale"`
			Frozen   bool  `json:"frozen"`
		}
		err := s.services["stock"].Read(ctx, c, previewTimeout, "/api/v1/products/"+url.PathEscape(id), &product)
		var refusal *fault.Refusal
		if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
			return available{ProductID: id, Requested: wanted[id]}, nil // order says that it is unknown
		}
		enough := product.OnSale && !product.Frozen && product.Quantity >= wanted[id]
		return available{ProductID: id, Requested: wanted[id], Available: product.Quantity, Enough: enough}, err
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || len(missing) > 0 {
		p.notes["stock"] = "Availability could not be looked up."
	}
	p.availability = make([]available, 0, len(products))
	for _, id := range slices.Sorted(maps.Keys(products)) {
		p.availability = append(p.availability, products[id])
	}
}

func (s *server) addPoints(ctx context.Context, c upstream.Caller, req previewRequest, p *preview) {
	var points struct {
		Balance int64 `json:"balance"`
	}
	err := s.services["payment"].Read(ctx, c, previewTimeout, "/api/v1/points?limit=1", &points)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.notes["payment"] = "The points balance could not be looked up."
		return
	}
	p.points = &pointsView{Balance: points.Balance, Enough: points.Balance >= req.PointAmount}
}

func (s *server) addCoupon(ctx context.Context, c upstream.Caller, member string, req previewRequest, order []byte, p *preview) {
	refs := slices.Clone(req.CouponIDs)
	if req.DiscountPolicyID != "" {
		refs = append([]string{req.DiscountPolicyID}, refs...)
	}
	if len(refs) == 0 {
		return
	}
	var part orderPart
	var quote couponQuote
	err := json.Unmarshal(order, &part)
	if err == nil && part.Currency == "" {
		return // no item is known, so there is nothing that coupons could be worth
	}
	if err == nil {
		var body []byte
		body, err = json.Marshal(map[string]any{
			"userId": member, "couponRefs": refs, "itemsAmount": part.ItemsAmount, "currency": part.Currency,
		})
		if err == nil {
			err = s.services["coupon"].Send(ctx, c, previewTimeout, http.MethodPost, "/api/v1/coupons/quote", body, &quote)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.notes["coupon"] = "The coupons could not be looked up."
		return
	}
	p.coupon = &quote
}

// join adds the parts to order's own answer.
func (p *preview) join(order []byte) (map[string]json.RawMessage, error) {
	whole := map[string]json.RawMessage{}
	if err := json.Unmarshal(order, &whole); err != nil {
		return nil, fmt.Errorf("read order's preview: %w", err)
	}
	notes := []map[string]string{}
	for _, service := range slices.Sorted(maps.Keys(p.notes)) {
		notes = append(notes, map[string]string{"service": service, "detail": p.notes[service]})
	}
	for name, part := range map[string]any{
		"availability": p.availability, "points": p.points, "coupon": p.coupon, "notes": notes,
	} {
		raw, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("encode the preview: %w", err)
		}
		whole[name] = raw
	}
	return whole, nil
}
