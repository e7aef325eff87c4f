package check

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// historyRules hold what clients were told against what there is.
var historyRules = []Rule{
	{"accepted-lost", "An order that was answered with 2xx is in the tables, and is that member's.", acceptedLost},
	{"other-terms", "An accepted order is what was asked for.", otherTerms},
	{"key-two-orders", "One Idempotency-Key is one order, whatever became of the calls.", keyTwoOrders},
	{"refused-effect", "A refused order has no effect.", refusedEffect},
	{"wrongly-answered", "What should be accepted is not refused, and what should be refused is, for the right reason.", wronglyAnswered},
	{"unexplained-order", "Every order in the tables was asked for by a call that may have placed it.", unexplainedOrder},
	{"double-click", "Identical orders of a member within 5 s, without a key, are one, unless it was cancelled meanwhile.", doubleClick},
	{"read-lost", "An accepted order is found by whoever may see it.", readLost},
	{"read-went-back", "What is read of an order is never older than what was read before.", readWentBack},
	{"cancel-ignored", "An order whose cancel was accepted is cancelled, or was on its way; one whose cancel was refused is on its way.", cancelIgnored},
	{"coupon-answer", "A coupon that was issued is the member's, one per policy, and none is refused for a limit not reached.", couponAnswer},
	{"operator-answer", "What an operator was told is done is done, once.", operatorAnswer},
}

func acceptedLost(j *judge) {
	for i := range j.Calls {
		c := &j.Calls[i]
		if !c.Accepted() {
			continue
		}
		switch o := j.order[c.End.Order]; {
		case o == nil:
			j.violated(c.End.Order, "call %d was answered %d with this order, and there is none", c.N, c.End.Status)
		case o.Member != c.Member:
			j.violated(o.ID, "call %d of %s was answered with an order of %s", c.N, c.Member, o.Member)
		}
	}
}

// terms is what was asked or is kept, as text that can be compared: one line per product.
func terms(items []history.Item, coupons []string, policy, kind, token string) string {
	var lines []history.Item
	for _, line := range items {
		at := slices.IndexFunc(lines, func(l history.Item) bool { return l.Product == line.Product })
		if at < 0 {
			lines = append(lines, line)
		} else {
			lines[at].Quantity += line.Quantity
		}
	}
	if len(coupons) == 0 {
		policy = ""
	}
	return fmt.Sprintf("%v %v %s %s %s", lines, coupons, policy, kind, token)
}

func asked(a *history.Asked) string {
	return terms(a.Items, a.Coupons, a.CouponPolicy, a.PaymentType, a.Token) + fmt.Sprint(" ", a.Discount, a.Points, a.Payment)
}

// kept is what the order's row and its first event say. The amounts of the row change when it is paid.
func (j *judge) kept(o *Order) string {
	text := terms(o.Items, o.Coupons, o.CouponPolicy, o.PaymentType, o.Token)
	if created := j.first(o.ID, "OrderCreated"); created != nil {
		text += fmt.Sprint(" ", created.Discount, created.Points, created.Amount)
	}
	return text
}

func otherTerms(j *judge) {
	for i := range j.Calls {
		c := &j.Calls[i]
		o := j.order[c.End.Order]
		if !c.Accepted() || o == nil || c.Asked == nil {
			continue
		}
		if want, is := asked(c.Asked), j.kept(o); want != is {
			j.violated(o.ID, "call %d asked for %s, and the order is %s", c.N, want, is)
		}
	}
}

func (j *judge) commands() map[memberKey]Command {
	m := make(map[memberKey]Command, len(j.Commands))
	for _, c := range j.Commands {
		m[memberKey{c.Member, c.Key}] = c
	}
	return m
}

func keyTwoOrders(j *judge) {
	stored := j.commands()
	for k, calls := range j.byKey {
		answered := ""
		for _, c := range calls {
			if !c.Accepted() {
				continue
			}
			if answered != "" && answered != c.End.Order {
				j.violated(answered, "key %s of %s was answered with this order, and with %s in call %d", k.key, k.member, c.End.Order, c.N)
			}
			answered = c.End.Order
		}
		if answered == "" {
			continue
		}
		if row, there := stored[k]; !there || row.Order != answered {
			j.violated(answered, "key %s of %s was answered with this order, and the table says %q", k.key, k.member, row.Order)
		}
	}
}

// refusals are answers that say for good that there is no order. 429 is none: it says nothing of another try.
func refused(c *history.Call) bool {
	return c.End.Outcome == history.Fail && c.End.Status != 0 && c.End.Status != http.StatusTooManyRequests
}

func refusedEffect(j *judge) {
	stored := j.commands()
	for k, calls := range j.byKey {
		at := slices.IndexFunc(calls, refused)
		if at < 0 {
			continue
		}
		if row := stored[k]; row.Order != "" {
			j.violated(row.Order, "call %d with key %s was refused (%d %s), and there is this order under the key",
				calls[at].N, k.key, calls[at].End.Status, calls[at].End.Code)
		}
	}
}

func wronglyAnswered(j *judge) {
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.Op != history.Place {
			continue
		}
		switch {
		case c.Expect == "" && refused(c):
			j.violated("", "call %d should have been accepted, and was refused: %d %s", c.N, c.End.Status, c.End.Code)
		case c.Expect != "" && c.End.Outcome == history.OK:
			j.violated(c.End.Order, "call %d should have been refused as %s, and was accepted", c.N, c.Expect)
		case c.Expect != "" && refused(c) && c.End.Code != c.Expect:
			j.violated("", "call %d should have been refused as %s, and was as %d %s", c.N, c.Expect, c.End.Status, c.End.Code)
		}
	}
}

// unexplainedOrder: an order is its key's, or was answered, or is one that a call without a key, whose
// outcome nobody knows, has placed: each of those at most one.
func unexplainedOrder(j *judge) {
	explained := map[string]bool{}
	for _, row := range j.Commands {
		if len(j.byKey[memberKey{row.Member, row.Key}]) > 0 {
			explained[row.Order] = true
		}
	}
	unknown := map[string][]*history.Call{}
	for _, c := range j.bare {
		if c.Accepted() {
			explained[c.End.Order] = true
		} else if c.End.Outcome == history.Unknown {
			text := c.Member + " " + asked(c.Asked)
			unknown[text] = append(unknown[text], c)
		}
	}
	for i := range j.Orders {
		o := &j.Orders[i]
		if explained[o.ID] {
			continue
		}
		text := o.Member + " " + j.kept(o)
		at := slices.IndexFunc(unknown[text], func(c *history.Call) bool { return !c.At.After(o.Created.Add(time.Second)) })
		if at < 0 {
			j.violated(o.ID, "no call can have placed this order of %s: %s", o.Member, text)
			continue
		}
		unknown[text] = slices.Delete(unknown[text], at, at+1)
	}
}

// doubleClickWindow is the product's default, DOUBLE_CLICK_WINDOW.
const doubleClickWindow = 5 * time.Second

func doubleClick(j *judge) {
	same := map[string][]*Order{}
	seen := map[string]bool{}
	for _, c := range j.bare {
		if o := j.order[c.End.Order]; o != nil && !seen[o.ID] {
			seen[o.ID] = true
			text := o.Member + " " + j.kept(o)
			same[text] = append(same[text], o)
		}
	}
	for _, orders := range same {
		slices.SortFunc(orders, func(a, b *Order) int { return a.Created.Compare(b.Created) })
		for i := 1; i < len(orders); i++ {
			a, b := orders[i-1], orders[i]
			cancelled := j.first(a.ID, "OrderCancelled")
			if b.Created.Sub(a.Created) < doubleClickWindow && (cancelled == nil || cancelled.At.After(b.Created)) {
				j.violated(b.ID, "it is the same as %s, which was placed %s before it and stood", a.ID, b.Created.Sub(a.Created))
			}
		}
	}
}

func readLost(j *judge) {
	for i := range j.Calls {
		c := &j.Calls[i]
		switch c.Op {
		case history.Get, history.Timeline, history.Cancel:
			if c.End.Status == http.StatusNotFound || c.End.Status == http.StatusForbidden {
				j.violated(c.Target, "call %d (%s) of %s was answered %d for an order that was accepted", c.N, c.Op, c.Member, c.End.Status)
			}
		case history.List, history.Preview, history.Issue:
			if refused(c) && c.End.Code != "coupon_limit_reached" {
				j.violated("", "call %d (%s) was refused: %d %s", c.N, c.Op, c.End.Status, c.End.Code)
			}
		}
	}
}

// readWentBack looks at what ended before a read began: that is the least it has to show.
func readWentBack(j *judge) {
	shown := map[string][]*history.Call{}
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.End.Outcome == history.OK && c.End.Order != "" && c.End.Version > 0 && !c.End.Replayed {
			shown[c.End.Order] = append(shown[c.End.Order], c)
		}
	}
	for order, calls := range shown {
		for _, later := range calls {
			if later.Op != history.Get {
				continue
			}
			for _, earlier := range calls {
				if earlier.End.At.Before(later.At) && earlier.End.Version > later.End.Version {
					j.violated(order, "call %d showed version %d, and call %d after it version %d",
						earlier.N, earlier.End.Version, later.N, later.End.Version)
				}
			}
		}
		if o := j.order[order]; o != nil {
			top := slices.MaxFunc(calls, func(a, b *history.Call) int { return cmp.Compare(a.End.Version, b.End.Version) })
			if top.End.Version > o.Version {
				j.violated(order, "call %d showed version %d, and it is %d now", top.N, top.End.Version, o.Version)
			}
		}
	}
}

func cancelIgnored(j *judge) {
	for i := range j.Calls {
		c := &j.Calls[i]
		o := j.order[c.Target]
		if c.Op != history.Cancel || o == nil {
			continue
		}
		gone := o.Status == "SHIPPED" || o.Status == "DELIVERED"
		switch {
		case c.End.Outcome == history.OK && o.Status != "CANCELLED" && !gone:
			j.violated(o.ID, "its cancel was accepted in call %d, and it is %s", c.N, o.Status)
		case refused(c) && c.End.Status == http.StatusConflict && !gone:
			j.violated(o.ID, "its cancel was refused in call %d as %s, and it is %s", c.N, c.End.Code, o.Status)
		case refused(c) && c.End.Status != http.StatusConflict && c.End.Status != http.StatusNotFound:
			j.violated(o.ID, "its cancel was refused in call %d: %d %s", c.N, c.End.Status, c.End.Code)
		}
	}
}

func couponAnswer(j *judge) {
	coupons := index(j.Coupons, func(c *Coupon) string { return c.ID })
	policies := index(j.Policies, func(p *Policy) string { return p.ID })
	held := map[memberKey]string{}
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.Op != history.Issue {
			continue
		}
		if p := policies[c.Target]; c.End.Code == "coupon_limit_reached" && p != nil && p.Issued < p.Limit {
			j.violated("", "call %d was refused as the limit of %s was reached, and %d of %d are issued", c.N, p.ID, p.Issued, p.Limit)
		}
		if c.End.Outcome != history.OK {
			continue
		}
		k := memberKey{c.Member, c.Target}
		row := coupons[c.End.Coupon]
		switch {
		case row == nil || row.Member != c.Member || row.Policy != c.Target:
			j.violated("", "call %d gave %s coupon %s of %s, and the table says %+v", c.N, c.Member, c.End.Coupon, c.Target, row)
		case held[k] != "" && held[k] != c.End.Coupon:
			j.violated("", "%s was given two coupons of %s: %s and %s", c.Member, c.Target, held[k], c.End.Coupon)
		}
		held[k] = c.End.Coupon
	}
}

// sure and possible add up what was asked of one target: what is known to be done, and what may be.
type amounts struct{ sure, possible int64 }

// byTarget adds the operators' calls of one kind up, each key once.
func (j *judge) byTarget(op history.Op) map[string]amounts {
	type state struct {
		target      string
		amount      int64
		done, doubt bool
	}
	keys := map[string]state{}
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.Op != op {
			continue
		}
		s := keys[c.Key]
		s.target, s.amount = c.Target, c.Amount
		s.done = s.done || c.End.Outcome == history.OK
		s.doubt = s.doubt || c.End.Outcome == history.Unknown
		keys[c.Key] = s
	}
	sums := map[string]amounts{}
	for _, s := range keys {
		a := sums[s.target]
		if s.done {
			a.sure += s.amount
		}
		if s.done || s.doubt {
			a.possible += s.amount
		}
		sums[s.target] = a
	}
	return sums
}

func operatorAnswer(j *judge) {
	added, granted := map[string]int64{}, map[string]int64{}
	for _, e := range j.event {
		if e.Type == "StockRestocked" {
			added[e.Subject] += e.Amount
		}
	}
	for _, l := range j.Ledger {
		if l.Kind == "GRANTED" {
			granted[l.Member] += l.Amount
		}
	}
	for op, is := range map[history.Op]map[string]int64{history.Restock: added, history.Grant: granted} {
		sums := j.byTarget(op)
		for _, target := range sorted(sums) {
			if s := sums[target]; is[target] < s.sure || is[target] > s.possible {
				j.violated("", "%s of %s: %d were confirmed, %d asked for at most, and there were %d", op, target, s.sure, s.possible, is[target])
			}
		}
		for _, target := range sorted(is) {
			if _, asked := sums[target]; !asked {
				j.violated("", "%s of %s: nobody asked for it, and there were %d", strings.ToLower(string(op)), target, is[target])
			}
		}
	}
}
