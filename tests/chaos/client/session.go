package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// kinds of sessions, each with its share of a thousand.
var kinds = []struct {
	share int
	run   func(s *session)
}{
	{590, (*session).plain},
	{70, (*session).several},
	{130, (*session).hot},
	{15, (*session).soldOut},
	{80, (*session).coupon},
	{60, (*session).points},
	{15, (*session).wrong},
	{40, (*session).doubleClick},
}

// tokens of cards, each with its share of a thousand: what the card provider does with them.
var tokens = []struct {
	share int
	token string
}{
	{900, "tok_ok"}, {45, "tok_decline"}, {6, "tok_unknown"}, {4, "tok_unknown_failed"}, {25, "tok_flaky"}, {20, "tok_slow"},
}

// session is one customer's visit.
type session struct {
	*Client
	ctx    context.Context // a session is a call tree of its own, and ends with it
	rng    *rand.Rand
	number uint64
	member string
	orders int
	sides  uint64
}

func (c *Client) session(ctx context.Context, number uint64) {
	s := &session{Client: c, ctx: ctx, rng: c.random(number), number: number}
	s.member = pick(s.rng, c.opt.Members)
	at := s.rng.IntN(1000)
	for _, kind := range kinds {
		if at -= kind.share; at < 0 {
			kind.run(s)
			return
		}
	}
}

// aside is what the same customer does at the same time, with chance of its own.
func (s *session) aside() *session {
	s.sides++
	side := *s
	side.rng, side.orders, side.sides = s.random(s.number+s.sides*streamSide), 0, 100*s.sides
	return &side
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func (s *session) chance(share float64) bool { return s.rng.Float64() < share }

// card is an order paid by card.
func (s *session) card(items ...history.Item) *history.Asked {
	asked := &history.Asked{Items: items, PaymentType: "CREDIT", Token: "tok_ok"}
	at := s.rng.IntN(1000)
	for _, t := range tokens {
		if at -= t.share; at < 0 {
			asked.Token = t.token
			break
		}
	}
	asked.Payment = sum(items)
	return asked
}

func sum(items []history.Item) (total int64) {
	for _, i := range items {
		total += i.Quantity * i.Price
	}
	return total
}

func (s *session) item(from []product, most int64) history.Item {
	p := pick(s.rng, from)
	return history.Item{Product: p.id, Quantity: 1 + s.rng.Int64N(most), Price: p.price}
}

func (s *session) plain() { s.visit(s.card(s.item(s.goods.plain, 3))) }

func (s *session) hot() { s.visit(s.card(s.item(s.goods.hot, 3))) }

// several products, where one may be hot and one may stand there twice.
func (s *session) several() {
	items := []history.Item{s.item(s.goods.plain, 2), s.item(s.goods.plain, 2), s.item(s.goods.plain, 2)}
	if s.chance(0.3) {
		items = append(items, s.item(s.goods.hot, 1))
	}
	s.visit(s.card(items...))
}

func (s *session) soldOut() {
	s.visit(s.card(history.Item{Product: s.goods.soldOut.id, Quantity: 1, Price: s.goods.soldOut.price}))
}

// wrong asks for what has to be refused.
func (s *session) wrong() {
	asked := s.card(s.item(s.goods.plain, 3))
	expect := "amount_mismatch"
	switch s.rng.IntN(3) {
	case 0:
		asked.Payment++
	case 1:
		asked.Items[0].Price++
		asked.Payment = sum(asked.Items)
		expect = "price_changed"
	case 2:
		asked.Items[0].Product = "NOWHERE"
		expect = "unknown_product"
	}
	s.insist(s.ctx, s.rng, s.place(asked, s.key(), expect))
}

// points pay for all of it, or for a part. Half of the time they are those of a member who has few.
func (s *session) points() {
	s.member = pick(s.rng, s.goods.rich)
	if s.chance(0.4) {
		s.member = pick(s.rng, s.goods.poor)
	}
	asked := s.card(s.item(s.goods.plain, 3))
	asked.Points = asked.Payment
	if s.chance(0.5) {
		asked.Points = 1 + s.rng.Int64N(asked.Payment-1)
	} else {
		asked.PaymentType, asked.Token = "POINT", ""
	}
	asked.Payment -= asked.Points
	s.visit(asked)
}

// coupon asks for a coupon, which may be one too many, and uses it, sometimes in two orders at once.
func (s *session) coupon() {
	s.goods.mu.Lock()
	p := pick(s.rng, s.goods.policies)
	s.goods.mu.Unlock()
	r := s.customer(history.Issue, http.MethodPost, "/api/v1/coupon-policies/"+p.id+"/issue", map[string]any{})
	r.Target, r.Key = p.id, s.key()
	end := s.insist(s.ctx, s.rng, r)
	if end.Outcome == history.Unknown || end.Outcome == history.Fail && !s.chance(0.2) {
		return // who has none tries to use one all the same, sometimes
	}
	ref := p.id
	if end.Coupon != "" && s.chance(0.5) {
		ref = end.Coupon
	}
	with := func() *history.Asked {
		asked := s.card(s.item(s.goods.plain, 3))
		asked.Coupons, asked.Discount, asked.CouponPolicy = []string{ref}, min(p.worth, asked.Payment), "CANCEL_ORDER"
		if s.chance(0.5) {
			asked.CouponPolicy = "PAY_FULL_PRICE"
		}
		if s.chance(0.05) {
			asked.Discount-- // not what the coupon is worth
		}
		asked.Payment -= asked.Discount
		return asked
	}
	if s.chance(0.15) {
		second, asked := s.aside(), with()
		s.sessions.Go(func() { second.visit(asked) })
	}
	s.visit(with())
}

// doubleClick sends the same order twice at once, without a key.
func (s *session) doubleClick() {
	asked := s.card(s.item(s.goods.plain, 3))
	r := s.place(asked, "", "")
	if s.chance(0.5) {
		again := r
		again.Gateway = (r.Gateway + 1) % len(s.opt.Gateways)
		s.sessions.Go(func() { s.anywhere(s.ctx, again) })
	}
	end := s.anywhere(s.ctx, r)
	if end.Order != "" {
		s.accepted.Add(1)
		s.after(end.Order)
	}
}

// key is a new idempotency key.
func (s *session) key() string {
	s.orders++
	return fmt.Sprintf("chaos-%d-%d-%d-%d", s.opt.Seed, s.number, s.sides, s.orders)
}

func (s *session) customer(op history.Op, method, path string, body any) request {
	r := request{method: method, path: path, token: s.opt.Token(s.member), body: body}
	r.Op, r.Member, r.Gateway = op, s.member, s.gateway(s.rng)
	return r
}

func (s *session) place(asked *history.Asked, key, expect string) request {
	r := s.customer(history.Place, http.MethodPost, "/api/v1/orders", body(asked))
	r.Key, r.Asked, r.Expect = key, asked, expect
	return r
}

// body is the request for an order.
func body(asked *history.Asked) map[string]any {
	lines := make([]map[string]any, len(asked.Items))
	for i, item := range asked.Items {
		lines[i] = map[string]any{"productId": item.Product, "quantity": item.Quantity, "productPrice": item.Price}
	}
	b := map[string]any{"items": lines, "paymentAmount": asked.Payment, "paymentType": asked.PaymentType}
	if asked.Token != "" {
		b["paymentToken"] = asked.Token
	}
	if len(asked.Coupons) > 0 {
		b["couponIds"], b["discountAmount"], b["couponFailurePolicy"] = asked.Coupons, asked.Discount, asked.CouponPolicy
	}
	if asked.Points > 0 {
		b["pointAmount"] = asked.Points
	}
	return b
}

// visit places an order, most often with a key, and sees what comes of it.
func (s *session) visit(asked *history.Asked) {
	if s.chance(0.1) {
		if end := s.anywhere(s.ctx, s.place(asked, "", "")); end.Order != "" {
			s.accepted.Add(1)
			s.after(end.Order)
		}
		return
	}
	r := s.place(asked, s.key(), "")
	if s.chance(0.04) {
		// The same request twice in parallel: one order.
		again := r
		again.Gateway = (r.Gateway + 1) % len(s.opt.Gateways)
		side := s.aside()
		s.sessions.Go(func() { side.insist(side.ctx, side.rng, again) })
	}
	if s.chance(0.03) {
		r.prefer, r.wait = "wait=8", callTimeout
	}
	end := s.insist(s.ctx, s.rng, r)
	if end.Order == "" {
		return
	}
	s.accepted.Add(1)
	if s.chance(0.01) {
		s.insist(s.ctx, s.rng, r) // out of mistrust, although it was answered
	}
	s.after(end.Order)
}
