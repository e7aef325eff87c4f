package check

import (
	"slices"
)

// sumRules add up: pieces, money, points and coupons, to the unit.
var sumRules = []Rule{
	{"stock-sum", "Pieces at the start and restocked are those left and those held.", stockSum},
	{"points-sum", "A balance is the sum of its ledger and never negative; an order that stands took its points once, any other none.", pointsSum},
	{"coupon-sum", "A coupon is used by one order at most, and no more are issued than a policy allows.", couponSum},
	{"charge", "Every captured charge is one order's; an order that stands has one, of its amount, and any other has its money back.", charge},
}

func stockSum(j *judge) {
	total := map[string]int64{}
	for _, e := range j.event {
		if e.Type == "ProductListed" || e.Type == "StockRestocked" {
			total[e.Subject] += e.Amount
		}
	}
	held := map[string]int64{}
	for _, r := range j.Reservations {
		if r.State != "TAKEN" {
			continue
		}
		for _, item := range r.Items {
			held[item.Product] += item.Quantity
		}
	}
	for _, p := range j.Products {
		if p.Quantity < 0 || p.Quantity+held[p.ID] != total[p.ID] {
			j.violated("", "%s: %d pieces came in, %d are left and %d held", p.ID, total[p.ID], p.Quantity, held[p.ID])
		}
		delete(held, p.ID)
	}
	for _, id := range sorted(held) {
		j.violated("", "%s: %d pieces are held of a product that is not there", id, held[id])
	}
}

func pointsSum(j *judge) {
	balance, taken := map[string]int64{}, map[string]int64{}
	seen := map[[2]string]bool{}
	for _, l := range j.Ledger {
		balance[l.Member] += l.Amount
		if l.Order == "" {
			continue
		}
		taken[l.Order] -= l.Amount
		k := [2]string{l.Order, l.Kind}
		if seen[k] {
			j.violated(l.Order, "its points are %s twice", l.Kind)
		}
		seen[k] = true
		if o := j.order[l.Order]; o != nil && o.Member != l.Member {
			j.violated(l.Order, "it is %s's, and points of %s are booked for it", o.Member, l.Member)
		}
	}
	for _, member := range sorted(j.Points) {
		if is := j.Points[member]; is < 0 || is != balance[member] {
			j.violated("", "%s has %d points, and the ledger adds up to %d", member, is, balance[member])
		}
		delete(balance, member)
	}
	for _, member := range sorted(balance) {
		j.violated("", "the ledger has %d points of %s, who has no account", balance[member], member)
	}
	for i := range j.Orders {
		o := &j.Orders[i]
		want := int64(0)
		if o.live() {
			want = o.Points
		}
		if o.final() && taken[o.ID] != want {
			j.violated(o.ID, "the order is %s, %d points are taken for it and %d should be", o.Status, taken[o.ID], want)
		}
	}
}

func couponSum(j *judge) {
	issued := map[string]int64{}
	for _, c := range j.Coupons {
		issued[c.Policy]++
	}
	for _, p := range j.Policies {
		if p.Issued != issued[p.ID] || issued[p.ID] > p.Limit {
			j.violated("", "%s: %d coupons are issued, its count is %d, its limit %d", p.ID, issued[p.ID], p.Issued, p.Limit)
		}
	}
	coupons := index(j.Coupons, func(c *Coupon) string { return c.ID })
	user := map[string]string{}
	for i := range j.Uses {
		u := &j.Uses[i]
		if u.State != "USED" {
			continue
		}
		for _, id := range u.Coupons {
			if other := user[id]; other != "" {
				j.violated(u.Order, "coupon %s is used by it and by %s", id, other)
			}
			user[id] = u.Order
			if o, c := j.order[u.Order], coupons[id]; c == nil || o != nil && c.Member != o.Member {
				j.violated(u.Order, "it uses coupon %s, which is not its member's: %+v", id, c)
			}
		}
	}
	for _, s := range j.Spent {
		if user[s.Coupon] != s.Order {
			j.violated(s.Order, "coupon %s is spent by it, and used by %q", s.Coupon, user[s.Coupon])
		}
		delete(user, s.Coupon)
	}
	for _, id := range sorted(user) {
		j.violated(user[id], "it uses coupon %s, which is not spent", id)
	}
}

func charge(j *judge) {
	for order, charges := range j.charges {
		if len(charges) > 1 {
			j.violated(order, "it was charged %d times", len(charges))
		}
		if j.order[order] == nil {
			j.violated(order, "the provider charged %d for an order that is not there", charges[0].Amount)
		}
		for _, c := range charges {
			if p := j.payment[order]; p == nil || c.Amount != p.Amount {
				j.violated(order, "the provider charged %d, and payment wanted %+v", c.Amount, p)
			}
			if c.Refunded > c.Amount {
				j.violated(order, "the provider charged %d and gave %d back", c.Amount, c.Refunded)
			}
		}
	}
	for i := range j.Orders {
		o := &j.Orders[i]
		if !o.final() {
			continue
		}
		holds := int64(0)
		for _, c := range j.charges[o.ID] {
			holds += c.Amount - c.Refunded
		}
		want := int64(0)
		if o.live() {
			want = o.Payment
		}
		if holds != want {
			j.violated(o.ID, "the order is %s, the provider holds %d of it and should hold %d", o.Status, holds, want)
		}
		if p := j.payment[o.ID]; o.live() && o.Payment > 0 && p != nil &&
			!slices.ContainsFunc(j.charges[o.ID], func(c *Charge) bool { return c.ID == p.Charge }) {
			j.violated(o.ID, "payment says charge %q, which the provider does not know for it", p.Charge)
		}
	}
}
