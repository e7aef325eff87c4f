package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// product is something to buy; price of one piece, minor unit.
type product struct {
	id    string
	price int64
}

// goods is what the shop sells.
type goods struct {
	// plain never run out; hot ones do all the time, and soldOut ones were never there.
	plain, hot []product
	soldOut    product

	mu sync.Mutex
	// policies are those whose coupons are to be had, the newest last.
	policies []policy
	made     int
	// rich and poor members have points: more than they can spend, and soon none.
	rich, poor []string
}

// policy is a coupon campaign; worth of one coupon, minor unit.
type policy struct {
	id    string
	worth int64
}

const (
	currency  = "KRW"
	plenty    = 50_000_000
	hotPieces = 100
	// restockEvery and restockPieces feed the hot products about half of what is asked of them.
	restockEvery  = 5 * time.Second
	restockPieces = 12
	// A campaign's coupons are fewer than the customers who want one.
	campaignEvery = 20 * time.Second
	campaignLimit = 60
	openCampaigns = 3
	richPoints    = 100_000_000
	poorPoints    = 20_000
)

// Prepare puts goods on sale, begins a coupon campaign, grants points, and returns when everything can be
// ordered. The system has to be whole.
func (c *Client) Prepare(ctx context.Context) error {
	rng := c.random(streamPrepare)
	g := &c.goods
	var plain []product
	for i := range 20 {
		plain = append(plain, product{fmt.Sprintf("PLAIN-%02d", i), int64(1_000 * (i + 1))})
	}
	for i := range 4 {
		g.hot = append(g.hot, product{fmt.Sprintf("HOT-%d", i), int64(5_000 + 100*i)})
	}
	g.soldOut = product{"NONE-LEFT", 7_000}
	for _, p := range plain {
		if err := c.addProduct(ctx, rng, p, plenty); err != nil {
			return err
		}
	}
	for _, p := range g.hot {
		if err := c.addProduct(ctx, rng, p, hotPieces); err != nil {
			return err
		}
	}
	if err := c.addProduct(ctx, rng, g.soldOut, 0); err != nil {
		return err
	}
	half := min(len(c.opt.Members)/4, 60)
	g.rich, g.poor = c.opt.Members[:half], c.opt.Members[half:2*half]
	for i, member := range c.opt.Members[:2*half] {
		amount := int64(richPoints)
		if i >= half {
			amount = poorPoints
		}
		if err := c.grant(ctx, rng, member, amount); err != nil {
			return err
		}
	}
	if !c.campaign(ctx, rng) {
		return fmt.Errorf("prepare: no coupon policy could be made")
	}
	all := append(append(append([]product{}, plain...), g.hot...), g.soldOut)
	if err := c.awaitGoods(ctx, rng, all); err != nil {
		return err
	}
	g.plain = plain
	return nil
}

func (c *Client) operator(rng *rand.Rand, op history.Op, key, path string, body map[string]any) request {
	r := request{method: http.MethodPost, path: path, token: c.opt.OperatorToken, body: body}
	r.Op, r.Key, r.Gateway = op, key, c.gateway(rng)
	body["reason"] = "chaos"
	return r
}

func done(what string, end history.Completion) error {
	if end.Outcome == history.OK {
		return nil
	}
	return fmt.Errorf("prepare: %s: %s %d %s %s", what, end.Outcome, end.Status, end.Code, end.Error)
}

func (c *Client) addProduct(ctx context.Context, rng *rand.Rand, p product, pieces int64) error {
	r := c.operator(rng, history.AddProduct, "product-"+p.id, "/ops/v1/products", map[string]any{
		"productId": p.id, "name": "Piece " + p.id, "price": p.price, "currency": currency, "quantity": pieces,
	})
	r.Target, r.Amount = p.id, pieces
	return done("add product "+p.id, c.insist(ctx, rng, r))
}

func (c *Client) grant(ctx context.Context, rng *rand.Rand, member string, amount int64) error {
	r := c.operator(rng, history.Grant, "grant-"+member, "/ops/v1/points/grants", map[string]any{"userId": member, "amount": amount})
	r.Target, r.Amount = member, amount
	return done("grant points", c.insist(ctx, rng, r))
}

// awaitGoods waits until order knows every product: its price list is fed by stock's events.
func (c *Client) awaitGoods(ctx context.Context, rng *rand.Rand, all []product) error {
	lines := make([]map[string]any, len(all))
	for i, p := range all {
		lines[i] = map[string]any{"productId": p.id, "quantity": 1, "productPrice": p.price}
	}
	for {
		end := c.once(ctx, c.preview(rng, c.opt.Members[0], map[string]any{"items": lines, "paymentType": "CREDIT"}))
		if end.Outcome == history.OK && !strings.Contains(end.Code, "unknown_product") {
			return nil
		}
		if !c.pause(ctx, 100*time.Millisecond) {
			return fmt.Errorf("prepare: wait for the goods: %w", context.Cause(ctx))
		}
	}
}

// campaign makes one more coupon policy; false where that is not known to have worked.
func (c *Client) campaign(ctx context.Context, rng *rand.Rand) bool {
	g := &c.goods
	g.mu.Lock()
	g.made++
	p := policy{fmt.Sprintf("SALE-%04d", g.made), int64(500 * (1 + rng.IntN(4)))}
	g.mu.Unlock()
	r := c.operator(rng, history.AddPolicy, "policy-"+p.id, "/ops/v1/coupon-policies", map[string]any{
		"policyId": p.id, "name": "Sale " + p.id, "discount": map[string]any{"amount": p.worth}, "limit": campaignLimit,
	})
	r.Target, r.Amount, r.Limit = p.id, p.worth, campaignLimit
	if c.insist(ctx, rng, r).Outcome != history.OK {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.policies = append(g.policies, p)
	if len(g.policies) > openCampaigns {
		g.policies = g.policies[1:]
	}
	return true
}

// campaigns begins a new one now and then until ctx ends.
func (c *Client) campaigns(ctx, background context.Context) {
	rng := c.random(streamCampaigns)
	for c.pause(ctx, campaignEvery) {
		c.campaign(background, rng)
	}
}

// restock adds pieces of the hot products until ctx ends.
func (c *Client) restock(ctx, background context.Context) {
	rng := c.random(streamRestock)
	for n := 1; c.pause(ctx, restockEvery); n++ {
		for _, p := range c.goods.hot {
			r := c.operator(rng, history.Restock, fmt.Sprintf("restock-%s-%d", p.id, n),
				"/ops/v1/products/"+p.id+"/restock", map[string]any{"quantity": restockPieces})
			r.Target, r.Amount = p.id, restockPieces
			c.insist(background, rng, r)
		}
	}
}
