package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// The seeded goods.
const (
	// Product costs ₩10,050; there are 1,000.
	Product = "PRD_240701120000001_0001_101"
	// Flash costs ₩1,000; there are 100.
	Flash = "FLASH"
	// SoldOut costs ₩1,000; there are none.
	SoldOut = "SOLDOUT"
	// Limited costs ₩5,000; there are 20, two for a member, and operators hear when five are left.
	Limited = "LIMITED"
	// Welcome is a coupon policy: ₩3,000 off, 100 coupons.
	Welcome = "WELCOME"
	// Points is what the customer is granted.
	Points = 50_000
)

// NewProduct is the body of POST /ops/v1/products.
type NewProduct struct {
	ProductID string `json:"productId"`
	Name      string `json:"name"`
	Price     int64  `json:"price"`
	Currency  string `json:"currency"`
	Quantity  int64  `json:"quantity"`
	// MaxPerMember pieces, and the LowThreshold of pieces left; 0 is none.
	MaxPerMember int64 `json:"maxPerMember,omitempty"`
	LowThreshold int64 `json:"lowStockThreshold,omitempty"`
}

// Discount of a coupon policy.
type Discount struct {
	Amount    int64 `json:"amount,omitempty"`
	Percent   int64 `json:"percent,omitempty"`
	MaxAmount int64 `json:"maxAmount,omitempty"`
}

// NewPolicy is the body of POST /ops/v1/coupon-policies.
type NewPolicy struct {
	PolicyID      string    `json:"policyId"`
	Name          string    `json:"name"`
	Discount      Discount  `json:"discount"`
	MinimumAmount int64     `json:"minimumAmount"`
	Limit         int64     `json:"limit"`
	ValidFrom     time.Time `json:"validFrom"`
	ValidUntil    time.Time `json:"validUntil"`
}

// Grant is the body of POST /ops/v1/points/grants.
type Grant struct {
	UserID string `json:"userId"`
	Amount int64  `json:"amount"`
	Reason string `json:"reason"`
}

// Client speaks to the gateway as the subject.
func (s *System) Client(subject string, roles ...string) (rest.Client, error) {
	token, err := s.Token(subject, roles...)
	if err != nil {
		return rest.Client{}, err
	}
	return rest.Client{BaseURL: s.GatewayURL(), Token: token}, nil
}

// Seed puts the goods, the coupon policy and the points there, through the public API, and waits until
// they can be ordered. Seeding again changes nothing.
func (s *System) Seed(ctx context.Context) error {
	ops, err := s.Client(Operator, web.RoleOperator)
	if err != nil {
		return err
	}
	for _, p := range []NewProduct{
		{ProductID: Product, Name: "Quadrille record, 180 g", Price: 10_050, Currency: "KRW", Quantity: 1_000},
		{ProductID: Flash, Name: "Flash sale piece", Price: 1_000, Currency: "KRW", Quantity: 100},
		{ProductID: SoldOut, Name: "Sold out piece", Price: 1_000, Currency: "KRW"},
		{ProductID: Limited, Name: "Numbered print", Price: 5_000, Currency: "KRW", Quantity: 20, MaxPerMember: 2, LowThreshold: 5},
	} {
		if err := AddProduct(ctx, ops, p); err != nil {
			return fmt.Errorf("seed product %s: %w", p.ProductID, err)
		}
	}
	now := time.Now().UTC().Truncate(time.Second)
	policy := NewPolicy{
		PolicyID: Welcome, Name: "Welcome", Discount: Discount{Amount: 3_000}, Limit: 100,
		ValidFrom: now.Add(-time.Hour), ValidUntil: now.AddDate(10, 0, 0),
	}
	if err := ignoreConflict(ops.Post(ctx, "/ops/v1/coupon-policies", policy, nil)); err != nil {
		return fmt.Errorf("seed coupon policy: %w", err)
	}
	if err := s.seedPoints(ctx, ops); err != nil {
		return fmt.Errorf("seed points: %w", err)
	}
	return s.awaitGoods(ctx)
}

// AddProduct adds a product; one that is there already stays as it is.
func AddProduct(ctx context.Context, ops rest.Client, p NewProduct) error {
	return ignoreConflict(ops.Post(ctx, "/ops/v1/products", p, nil))
}

func ignoreConflict(err error) error {
	var problem *rest.Problem
	if errors.As(err, &problem) && problem.Status == http.StatusConflict {
		return nil
	}
	return err
}

// seedPoints grants the points once. The key is forgotten after a day, the ledger never is: so look
// there first, and leave to the key only two grants that race.
func (s *System) seedPoints(ctx context.Context, ops rest.Client) error {
	customer, err := s.Client(Customer)
	if err != nil {
		return err
	}
	var points struct {
		Data []struct{} `json:"data"`
	}
	if err := customer.Get(ctx, "/api/v1/points", &points); err != nil {
		return err
	}
	if len(points.Data) > 0 {
		return nil
	}
	_, err = ops.Call(ctx, rest.Request{
		Method: http.MethodPost, Path: "/ops/v1/points/grants",
		Body:   Grant{UserID: Customer, Amount: Points, Reason: "seed"},
		Header: map[string]string{"Idempotency-Key": "seed-points-" + Customer},
	}, nil)
	return err
}

// awaitGoods waits until order has heard of the goods: its price list is fed by stock's events.
func (s *System) awaitGoods(ctx context.Context) error {
	customer, err := s.Client(Customer)
	if err != nil {
		return err
	}
	for _, id := range []string{Product, Flash, SoldOut, Limited} {
		if err := AwaitOrderable(ctx, customer, id); err != nil {
			return fmt.Errorf("wait for product %s: %w", id, err)
		}
	}
	return nil
}

// AwaitOrderable waits until order knows a product: its price list is fed by stock's events.
func AwaitOrderable(ctx context.Context, customer rest.Client, productID string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := orderable(ctx, customer, productID)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

func orderable(ctx context.Context, customer rest.Client, productID string) error {
	var preview struct {
		Items    []struct{} `json:"items"`
		Problems []struct {
			Pointer string `json:"pointer"`
			Code    string `json:"code"`
			Detail  string `json:"detail"`
		} `json:"problems"`
	}
	err := customer.Post(ctx, "/api/v1/orders/preview", map[string]any{
		"items":       []map[string]any{{"productId": productID, "quantity": 1}},
		"paymentType": "CREDIT",
	}, &preview)
	if err != nil {
		return err
	}
	for _, p := range preview.Problems {
		switch {
		case p.Pointer != "/items/0/productId":
		case p.Code == fault.CodeUnknownProduct:
			return errors.New(p.Detail)
		default:
			return nil // known, and not on sale any more: an operator changed what was seeded
		}
	}
	if len(preview.Items) == 0 {
		return errors.New("order does not know it yet")
	}
	return nil
}
