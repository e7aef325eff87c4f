package history

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// MemberID names the n-th member of the past, from 0.
func MemberID(n int) string { return fmt.Sprintf("member-%06d", n) }

// AddressID names the n-th member's only address.
func AddressID(n int) string { return fmt.Sprintf("0190a3a0-0000-7000-8000-2%011d", n) }

// ProductID names the n-th product of the past, from 0. It costs Price.
func ProductID(n int) string { return fmt.Sprintf("PRODUCT-%04d", n) }

// PolicyID names the n-th coupon policy, from 0: every member had one coupon of it.
func PolicyID(n int) string { return fmt.Sprintf("POLICY-%03d", n) }

// Price of one piece of every product, in KRW.
const Price = price

// plan says which order was placed when, by whom, of what. It is a function of the order's number, so every table
// is written by somebody of its own without asking the others.
type plan struct {
	seed                      uint64
	orders, members, products int
	begin                     int64 // Unix seconds of the first order
	span                      int64 // seconds from there to the last

	course []class // of order n: course[n % len(course)]
	rank   []int   // how many before it in the course spent a coupon
	coupon int     // how many do in a whole course
	kinds  []kind
}

func newPlan(cfg Config) *plan {
	p := &plan{
		seed: cfg.Seed, orders: cfg.Orders, members: cfg.Members, products: cfg.Products, kinds: kinds(),
		begin: cfg.End.Unix() - int64(cfg.Days)*int64(24*time.Hour/time.Second), span: int64(cfg.Days) * int64(24*time.Hour/time.Second),
	}
	for k, kind := range p.kinds {
		for range kind.share {
			p.course = append(p.course, class(k))
		}
	}
	r := rand.New(rand.NewPCG(cfg.Seed, 1)) // the same past from the same seed
	r.Shuffle(len(p.course), func(i, j int) { p.course[i], p.course[j] = p.course[j], p.course[i] })
	for _, k := range p.course {
		p.rank = append(p.rank, p.coupon)
		if p.kinds[k].coupon {
			p.coupon++
		}
	}
	return p
}

// order is the n-th one. No member spends two coupons of one policy.
func (p *plan) order(n int) copied {
	at := n % len(p.course)
	k := p.course[at]
	h := mix(p.seed, uint64(n))
	c := copied{
		class: k, number: n, at: p.begin + p.span*int64(n)/int64(p.orders),
		member:  int(h % uint64(p.members)),
		product: int(h >> 32 % uint64(p.products)),
	}
	if p.kinds[k].coupon {
		spent := n/len(p.course)*p.coupon + p.rank[at]
		c.member, c.policy = spent%p.members, spent/p.members
	}
	return c
}

// coupons is how many the orders spend.
func (p *plan) coupons() int {
	n := p.orders / len(p.course) * p.coupon
	if at := p.orders % len(p.course); at > 0 {
		n += p.rank[at]
	}
	return n
}

func (p *plan) policies() int { return (p.coupons() + p.members - 1) / p.members }

// before are the goods that stood there before the first order.
func (p *plan) before(c class, n int) copied {
	return copied{class: c, number: n, at: p.begin, member: n, product: n, policy: n}
}

// many says how many copies of a class there are; of orders, of a kind each.
func (p *plan) many(c class) int {
	switch c {
	case ofMember:
		return p.members
	case ofProduct:
		return p.products
	case ofPolicy:
		return p.policies()
	}
	return p.orders * p.kinds[c].share / len(p.course)
}

// sums is what the orders leave of what is counted.
type sums struct {
	balance  []int64 // by member
	quantity []int64 // by product
	issued   []int64 // by policy
}

func (p *plan) sums() *sums {
	s := &sums{balance: make([]int64, p.members), quantity: make([]int64, p.products), issued: make([]int64, p.policies())}
	for i := range s.balance {
		s.balance[i] = granted
	}
	for i := range s.quantity {
		s.quantity[i] = pieces
	}
	for n := range p.orders {
		c := p.order(n)
		k := p.kinds[c.class]
		s.balance[c.member] -= k.points
		s.quantity[c.product] -= k.sold
		if k.coupon {
			s.issued[c.policy]++
		}
	}
	return s
}

// mix is a hash of two numbers: splitmix64's finisher over both.
func mix(a, b uint64) uint64 {
	z := a*0x9e3779b97f4a7c15 + b*0xd1b54a32d192ed03 + 0x632be59bd9b4e019
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
