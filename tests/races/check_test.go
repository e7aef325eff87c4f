package races_test

import (
	"fmt"
	"slices"
	"strings"
)

// differences holds the books against each other and says each difference in a sentence.
func (b *books) differences(a *arena) (all []string) {
	for _, o := range b.orders {
		say := func(format string, args ...any) {
			all = append(all, fmt.Sprintf("order %s, %s: ", o.OrderID, strings.TrimSpace(o.Status+" "+o.Reason))+fmt.Sprintf(format, args...))
		}
		b.checkSum(o, say)
		b.checkStock(o, say)
		b.checkMoney(o, say)
		b.checkCoupon(o, say)
		b.checkParcel(o, say)
		b.checkStory(o, say)
	}
	all = append(all, b.strangers()...)
	all = append(all, b.pieces(a.pieces)...)
	all = append(all, b.points(a.points)...)
	all = append(all, b.policyCounts()...)
	slices.Sort(all)
	return all
}

// sayer notes a difference.
type sayer func(format string, args ...any)

// kept says that the customer gets the goods; an order that is not kept is cancelled.
func (o orderRow) kept() bool {
	return o.Status == "COMPLETED" || o.Status == "SHIPPED" || o.Status == "DELIVERED"
}

func (b *books) checkSum(o orderRow, say sayer) {
	sum := int64(0)
	for _, line := range o.Items {
		sum += line.Quantity * line.Price
	}
	if sum != o.ItemsAmount || o.ItemsAmount+o.Fee-o.Discount-o.Points != o.Payment {
		say("items %d (said: %d) + fee %d - discount %d - points %d is not %d", sum, o.ItemsAmount, o.Fee, o.Discount, o.Points, o.Payment)
	}
	if !o.kept() && o.Status != "CANCELLED" {
		say("is not settled at rest")
	}
}

func (b *books) checkStock(o orderRow, say sayer) {
	r, found := b.reservations[o.OrderID]
	switch {
	case !found:
		say("stock does not know it")
	case o.kept() && (r.State != "TAKEN" || !slices.EqualFunc(r.Items, o.Items, samePieces)):
		say("stock has %s %v for %v", r.State, r.Items, o.Items)
	case !o.kept() && r.State == "TAKEN":
		say("stock still holds %v", r.Items)
	case !o.kept() && o.UndoStock == "PENDING":
		say("the pieces were never given back")
	}
}

func samePieces(a, b item) bool { return a.ProductID == b.ProductID && a.Quantity == b.Quantity }

func (b *books) checkMoney(o orderRow, say sayer) {
	p, found := b.payments[o.OrderID]
	at := b.charges[o.OrderID]
	taken, returned := int64(0), int64(0)
	for _, entry := range b.ledger[o.OrderID] {
		if entry.UserID != o.UserID {
			say("took points of %s", entry.UserID)
		}
		if entry.Kind == "TAKEN" {
			taken -= entry.Amount
		} else {
			returned += entry.Amount
		}
	}
	if at.Charges > 1 {
		say("was charged %d times", at.Charges)
	}
	if !o.kept() {
		if at.Charged != at.Refunded || taken != returned {
			say("charged %d and refunded %d, took %d points and gave %d back", at.Charged, at.Refunded, taken, returned)
		}
		if found && (p.State != "FAILED" && p.State != "CANCELLED" || p.Refund != "NONE" && p.Refund != "DONE") {
			say("the payment is %s, its refund %s", p.State, p.Refund)
		}
		return
	}
	if at.Charged != o.Payment || at.Refunded != 0 || taken-returned != o.Points {
		say("charged %d, refunded %d, took %d points; agreed were %d and %d points", at.Charged, at.Refunded, taken-returned, o.Payment, o.Points)
	}
	if !found || p.State != "COMPLETED" || p.Amount != o.Payment || p.Points != o.Points || p.Discount != o.Discount || p.UserID != o.UserID {
		say("the payment is %+v", p)
	}
}

func (b *books) checkCoupon(o orderRow, say sayer) {
	use, used := b.uses[o.OrderID]
	var spent []string
	for _, s := range b.spent[o.OrderID] {
		spent = append(spent, s.CouponID)
		if owner := b.coupons[s.CouponID].UserID; owner != o.UserID {
			say("spent the coupon %s of %s", s.CouponID, owner)
		}
	}
	counted := o.kept() && b.payments[o.OrderID].CouponCounted
	switch {
	case counted && (!used || use.State != "USED" || use.Discount != o.Discount || len(spent) == 0 || !slices.Equal(spent, use.CouponIDs)):
		say("counts a discount of %d, coupon has %+v and spent %v", o.Discount, use, spent)
	case !counted && len(spent) > 0:
		say("has no discount, and spent %v", spent)
	case o.kept() && !counted && o.Discount != 0:
		say("has a discount of %d that nothing was spent for", o.Discount)
	case !o.kept() && used && use.State != "REFUSED" && use.State != "CANCELLED":
		say("its coupon is still %s", use.State)
	}
	if counted {
		worth := int64(0)
		for _, id := range spent {
			worth += b.policies[b.coupons[id].PolicyID].Amount
		}
		if worth != o.Discount {
			say("got a discount of %d for coupons worth %d", o.Discount, worth)
		}
	}
}

// shipped is what the states of an order and of its parcel have to be together.
var shipped = map[string]string{"COMPLETED": "PREPARED", "SHIPPED": "DISPATCHED", "DELIVERED": "DELIVERED"}

func (b *books) checkParcel(o orderRow, say sayer) {
	underWay := 0
	for _, parcel := range b.bookings[o.OrderID] {
		switch parcel.State {
		case "booked", "dispatched", "delivered", "lost":
			underWay++
		}
	}
	s := b.shipments[o.OrderID]
	switch {
	case o.kept() && underWay != 1:
		say("the carrier has %d parcels", underWay)
	case !o.kept() && underWay != 0:
		say("the carrier has a parcel: %+v", b.bookings[o.OrderID])
	case o.kept() && (s.State != shipped[o.Status] || o.ShipmentStatus != s.State || s.UserID != o.UserID):
		say("order has the parcel as %s, shipping as %+v", o.ShipmentStatus, s)
	}
}

// checkStory looks at the order's events: each happened once, their numbers have no gap, and the ends
// exclude each other but for a completed order that shipping let go.
func (b *books) checkStory(o orderRow, say sayer) {
	times, numbers := map[string]int{}, map[string][]int64{}
	types := map[string]string{}
	for _, e := range b.events[o.OrderID] {
		types[e.ID] = e.Type
	}
	for _, e := range b.events[o.OrderID] {
		// An event that an operator had sent again is caused by itself, so to speak.
		if types[e.Cause] != e.Type {
			times[e.Type[strings.LastIndexByte(e.Type, '.')+1:]]++
		}
		numbers[e.Service] = append(numbers[e.Service], e.Sequence)
	}
	for name, n := range times {
		if n > 1 {
			say("%s happened %d times", name, n)
		}
	}
	for service, list := range numbers {
		slices.Sort(list)
		for i, n := range list {
			if n != int64(i+1) {
				say("the events of %s have the numbers %v", service, list)
				break
			}
		}
	}
	if (times["OrderCancelled"] == 1) == o.kept() {
		say("OrderCancelled happened %d times", times["OrderCancelled"])
	}
	stopped := times["ShipmentCancelled"] + times["ShipmentFailed"]
	if o.kept() && times["OrderCompleted"] != 1 || !o.kept() && times["OrderCompleted"] == 1 && stopped != 1 {
		say("OrderCompleted happened %d times, and its parcel was stopped %d times", times["OrderCompleted"], stopped)
	}
}

// strangers are rows about orders that nobody placed.
func (b *books) strangers() (all []string) {
	unknown := func(where, id string) {
		if _, known := b.orders[id]; !known {
			all = append(all, fmt.Sprintf("%s has the order %s, which nobody placed", where, id))
		}
	}
	for id := range b.reservations {
		unknown("stock", id)
	}
	for id := range b.payments {
		unknown("payment", id)
	}
	for id := range b.charges {
		unknown("the card provider", id)
	}
	for id := range b.bookings {
		unknown("the carrier", id)
	}
	for id := range b.spent {
		unknown("coupon", id)
	}
	for _, m := range b.mails {
		unknown("mailer", m.OrderID)
	}
	return all
}

// pieces holds what was put in against what is left and what was taken.
func (b *books) pieces(put map[string]int64) (all []string) {
	taken := map[string]int64{}
	for _, r := range b.reservations {
		if r.State == "TAKEN" {
			for _, line := range r.Items {
				taken[line.ProductID] += line.Quantity
			}
		}
	}
	for _, p := range b.products {
		if had, known := put[p.ProductID]; known && (p.Quantity < 0 || p.Quantity+taken[p.ProductID] != had) {
			all = append(all, fmt.Sprintf("product %s: %d were put in, %d are left, %d are taken", p.ProductID, had, p.Quantity, taken[p.ProductID]))
		}
	}
	return all
}

// points holds every balance against its ledger and what was granted.
func (b *books) points(granted map[string]int64) (all []string) {
	sum, grants := map[string]int64{}, map[string]int64{}
	for _, entries := range b.ledger {
		for _, entry := range entries {
			sum[entry.UserID] += entry.Amount
			if entry.Kind == "GRANTED" {
				grants[entry.UserID] += entry.Amount
			}
		}
	}
	for member, balance := range b.balances {
		if balance < 0 || balance != sum[member] {
			all = append(all, fmt.Sprintf("member %s has %d points, and the ledger adds up to %d", member, balance, sum[member]))
		}
		if grants[member] != granted[member] {
			all = append(all, fmt.Sprintf("member %s was granted %d points, and the ledger has %d", member, granted[member], grants[member]))
		}
	}
	return all
}

// policyCounts holds what each policy says it has issued against the coupons there are.
func (b *books) policyCounts() (all []string) {
	count := map[string]int64{}
	held := map[[2]string]int{}
	for _, c := range b.coupons {
		count[c.PolicyID]++
		held[[2]string{c.PolicyID, c.UserID}]++
	}
	for _, p := range b.policies {
		if p.Issued != count[p.PolicyID] || p.Issued > p.Limit {
			all = append(all, fmt.Sprintf("policy %s: says %d issued of %d, and there are %d coupons", p.PolicyID, p.Issued, p.Limit, count[p.PolicyID]))
		}
	}
	for at, n := range held {
		if n > 1 {
			all = append(all, fmt.Sprintf("member %s has %d coupons of %s", at[1], n, at[0]))
		}
	}
	return all
}
