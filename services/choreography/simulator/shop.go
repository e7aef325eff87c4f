package simulator

import (
	"fmt"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/stock"
)

// rules are what a new order is held to.
var rules = order.Rules{
	DoubleClickWindow: 10 * time.Second, PendingTimeout: time.Minute, TransferTimeout: 15 * time.Minute,
	CouponTimeout: 10 * time.Second, DeliveryFee: 300, FreeDeliveryFrom: 5000, MaxQuantity: 100, MaxItems: 10, PointCurrency: "KRW",
}

// shop is the merchant's data and the customers.
type shop struct {
	*sim
	products []string
	price    map[string]int64
	members  []string
	policies []string
	// discount is what a policy's coupon takes off.
	discount map[string]int64
	// answers are what each key was answered first.
	answers map[commandKey]told
	refused map[string]int
	// restocks are the different requests to add pieces.
	restocks int
	// waiting are commands that were not answered yet.
	waiting int
}

// told is an answer somebody was given.
type told struct {
	hash   string
	answer answer
}

func newShop(s *sim) *shop {
	return &shop{
		sim: s, price: map[string]int64{}, discount: map[string]int64{}, answers: map[commandKey]told{}, refused: map[string]int{},
	}
}

// open fills the databases and sends the customers.
func (p *shop) open() {
	stocks, orders := p.tablesOf(atStock).(*stocks), p.tablesOf(atOrder).(*orders)
	demand := 8 + p.rng.IntN(33)
	for i := range 1 + p.rng.IntN(3) {
		id := fmt.Sprintf("product-%d", i+1)
		price := int64(500 * (1 + p.rng.IntN(6)))
		quantity := int64(p.rng.IntN(8 * demand))
		if i == 0 && p.chance(0.5) {
			quantity = int64(1 + p.rng.IntN(demand/2)) // a flash sale
		}
		p.products, p.price[id] = append(p.products, id), price
		product := stock.Product{ProductID: id, Name: id, Price: price, Currency: "KRW", Quantity: quantity, OnSale: true, CreatedAt: beginning, UpdatedAt: beginning}
		if p.chance(0.4) {
			product.Sale.MaxPerMember = int64(1 + p.rng.IntN(6))
		}
		if p.chance(0.5) {
			product.LowThreshold = int64(1 + p.rng.IntN(10))
		}
		stocks.products[id] = product
		orders.prices[id] = order.Price{ProductID: id, Name: id, Price: price, PreviousPrice: price, Currency: "KRW", OnSale: true, ChangedAt: beginning}
		p.oracle.pieces[id] = quantity
	}
	p.openMembers(orders)
	p.openCoupons()
	p.operate()
	for range demand {
		p.after(p.between(0, 40*time.Second), p.customer)
	}
}

func (p *shop) tablesOf(service int) any {
	switch m := p.services[service].machine.(type) {
	case *unit[order.World]:
		return m.tables
	case *unit[stock.World]:
		return m.tables
	case *unit[coupon.World]:
		return m.tables
	case *unit[payment.World]:
		return m.tables
	case *unit[shipping.World]:
		return m.tables
	}
	return nil
}

func (p *shop) openMembers(orders *orders) {
	payments, shipments := p.tablesOf(atPayment).(*payments), p.tablesOf(atShipping).(*shipments)
	for i := range 2 + p.rng.IntN(4) {
		id := fmt.Sprintf("member-%d", i+1)
		address := fmt.Sprintf("address-%d", i+1)
		p.members = append(p.members, id)
		orders.members[id] = order.Member{UserID: id, AddressIDs: []string{address}, DefaultAddressID: address}
		if p.chance(0.9) { // else shipping does not know the address
			shipments.addresses[address] = shipping.Address{AddressID: address, UserID: id}
		}
		if p.chance(0.8) {
			balance := int64(1000 * p.rng.IntN(12))
			payments.points[id] = payment.Points{UserID: id, Balance: balance}
			if balance > 0 {
				payments.ledger[payment.GrantKey("opening-"+id)] = payment.Entry{UserID: id, Kind: payment.EntryGranted, GrantID: "opening-" + id, Amount: balance}
			}
		}
	}
}

func (p *shop) openCoupons() {
	coupons := p.tablesOf(atCoupon).(*coupons)
	for i := range 1 + p.rng.IntN(2) {
		id := fmt.Sprintf("policy-%d", i+1)
		p.policies, p.discount[id] = append(p.policies, id), int64(100*(1+p.rng.IntN(4)))
		policy := coupon.Policy{PolicyID: id, Name: id, Amount: p.discount[id], Limit: int64(1 + p.rng.IntN(2*len(p.members)))}
		for _, member := range p.members {
			if policy.Issued < policy.Limit && p.chance(0.8) {
				policy.Issued++
				coupons.put(coupon.Coupon{CouponID: id + "-of-" + member, PolicyID: id, UserID: member})
			}
		}
		coupons.policies[id] = policy
	}
}

// operate is what operators do meanwhile: they list a product, restock, change a price, grant points; and
// members ask for coupons.
func (p *shop) operate() {
	soon := func(service int, member, key string, c flow.Command) {
		q := request{member: member, key: key, hash: key, command: c}
		p.after(p.between(0, 30*time.Second), func() { p.send(service, q, 1, func(answer) {}) })
		if p.chance(0.3) {
			p.after(p.between(0, 30*time.Second), func() { p.send(service, q, 1, func(answer) {}) })
		}
	}
	soon(atStock, "operator", "list", stock.List{ProductID: "product-new", Name: "new", Price: 700, Currency: "KRW", Quantity: 5})
	p.oracle.pieces["product-new"] = 0
	price := int64(900)
	soon(atStock, "operator", "change", stock.Change{ProductID: "product-new", Price: &price})
	for i := range 1 + p.rng.IntN(4) {
		p.restocks++
		soon(atStock, "operator", fmt.Sprintf("restock-%d", i), stock.Restock{ProductID: p.products[0], Quantity: int64(1 + p.rng.IntN(5))})
	}
	for _, member := range p.members {
		if p.chance(0.4) {
			soon(atPayment, "operator", "grant-"+member, payment.GrantPoints{GrantID: "grant-" + member, UserID: member, Amount: 2000})
		}
		for _, policy := range p.policies {
			if p.chance(0.5) {
				soon(atCoupon, member, "issue-"+policy, coupon.Issue{PolicyID: policy, UserID: member, CouponID: p.id("coupon")})
			}
		}
	}
}

// customer places one order, in one of the ways customers do.
func (p *shop) customer() {
	member := p.members[p.rng.IntN(len(p.members))]
	place := p.draw(member)
	hash := place.BodyHash
	send := func(key string) {
		again := place
		again.OrderID = p.id("order") // made by the edge, for every request
		if key == "" {
			p.oracle.clicked(again.OrderID, member+"/"+hash)
		}
		p.send(atOrder, request{member: member, key: key, hash: hash, command: again}, 1, func(a answer) { p.placed(member, a) })
	}
	switch way := p.rng.Float64(); {
	case way < 0.15: // a double click, without a key
		place.Rules.DoubleClickWindow = rules.DoubleClickWindow
		send("")
		p.after(p.between(0, 200*time.Millisecond), func() { send("") })
	case way < 0.4: // the same key twice, or three times
		key := p.id("key")
		send(key)
		for range 1 + p.rng.IntN(2) {
			p.after(p.between(0, 200*time.Millisecond), func() { send(key) })
		}
	case way < 0.45: // the key of another request
		key := p.id("key")
		send(key)
		p.after(p.between(0, time.Second), func() {
			other := p.draw(member)
			other.OrderID = p.id("order")
			p.send(atOrder, request{member: member, key: key, hash: other.BodyHash, command: other}, 1, func(answer) {})
		})
	default:
		send(p.id("key"))
	}
}

// draw makes an order's request.
func (p *shop) draw(member string) order.Place {
	c := order.Place{UserID: member, PaymentType: order.Credit, PaymentToken: tokenOK, CouponPolicy: order.CancelOrder, Rules: rules}
	c.Rules.DoubleClickWindow = 0
	var sum int64
	for range 1 + p.rng.IntN(3) {
		id := p.products[p.rng.IntN(len(p.products))]
		quantity := int64(1 + p.rng.IntN(3))
		c.Items = append(c.Items, order.PlaceItem{ProductID: id, Quantity: quantity})
		sum += quantity * p.price[id]
	}
	if p.chance(0.05) {
		c.Items = append(c.Items, order.PlaceItem{ProductID: "product-new", Quantity: 1})
		sum += 700
	}
	c.DeliveryFee = c.Rules.Fee(sum)
	if p.chance(0.3) {
		p.drawCoupon(&c, member, sum)
	}
	left := sum + c.DeliveryFee - c.DiscountAmount
	switch way := p.rng.Float64(); {
	case way < 0.15:
		c.PaymentType, c.PointAmount = order.Points, left
	case way < 0.4:
		c.PointAmount = min(left, int64(100*p.rng.IntN(30)))
	case way < 0.55:
		c.PaymentType = order.Transfer
	}
	c.PaymentAmount = left - c.PointAmount
	switch way := p.rng.Float64(); {
	case way < 0.1:
		c.PaymentToken = tokenDecline
	case way < 0.18:
		c.PaymentToken = tokenRefundRefused
	}
	c.BodyHash = p.id("hash")
	return c
}

func (p *shop) drawCoupon(c *order.Place, member string, sum int64) {
	policy := p.policies[p.rng.IntN(len(p.policies))]
	c.CouponRefs, c.DiscountAmount = []string{policy}, min(p.discount[policy], sum)
	switch way := p.rng.Float64(); {
	case way < 0.3:
		c.CouponRefs = []string{policy + "-of-" + member}
	case way < 0.4:
		c.DiscountAmount /= 2 // not what it is worth
	}
	if p.chance(0.5) {
		c.CouponPolicy = order.PayFullPrice
	}
}

// placed is what a customer does who has an order: perhaps cancel it, perhaps twice.
func (p *shop) placed(member string, a answer) {
	id := orderIn(a)
	if a.status != 202 || id == "" {
		return
	}
	p.oracle.promised(id)
	if !p.chance(0.3) {
		return
	}
	cancel := func() {
		c := order.Cancel{OrderID: id, UserID: member, Reason: "changed my mind"}
		by := member
		if p.chance(0.2) {
			by, c.UserID, c.Operator = "operator", "operator", true
		}
		p.send(atOrder, request{member: by, key: p.id("key"), hash: id, command: c}, 1, func(answer) {})
	}
	within := []time.Duration{100 * time.Millisecond, time.Second, 90 * time.Second, 10 * time.Minute}[p.rng.IntN(4)]
	p.after(p.between(0, within), cancel)
	if p.chance(0.3) {
		p.after(p.between(0, within), cancel)
	}
}

// patience is how long a customer waits for an answer.
const patience = 35 * time.Second

// send brings a command to any replica of a service, until it is answered. A command without a key is sent
// once: nobody could tell the second from a new one.
func (p *shop) send(service int, q request, attempt int, heard func(answer)) {
	v := p.services[service]
	settled := false
	p.waiting++
	again := func() {
		if settled {
			return
		}
		settled = true
		p.waiting--
		if q.key != "" {
			p.after(min(100*time.Millisecond<<min(attempt, 10), 10*time.Second), func() { p.send(service, q, attempt+1, heard) })
		}
	}
	up := v.alive()
	if len(up) == 0 {
		again()
		return
	}
	up[0].after(p.between(time.Millisecond, 20*time.Millisecond), func() {
		up[0].do(q, func(a answer, err error) {
			p.after(p.between(time.Millisecond, 20*time.Millisecond), func() {
				if settled {
					return
				}
				if err != nil || a.status == 503 || p.hit(AnswerLost) {
					again()
					return
				}
				settled = true
				p.waiting--
				p.answered(q, a)
				heard(a)
			})
		})
	})
	p.after(patience, again)
}

// answered holds an answer against what the same key was answered before.
func (p *shop) answered(q request, a answer) {
	p.tell("customer", q.command.Subject(), "%s is answered %d %s %s (key %q)", strip(q.command), a.status, a.code, orderIn(a), q.key)
	if a.code != "" {
		p.refused[a.code]++
	}
	if q.key == "" {
		return
	}
	key := commandKey{q.member, q.key}
	if a.code == fault.CodeIdempotencyKeyReused {
		return // another request has the key
	}
	first, before := p.answers[key]
	a.replayed = false
	switch {
	case !before:
		p.answers[key] = told{q.hash, a}
	case first.hash != q.hash:
		p.oracle.violate(q.command.Subject(), "two requests with the key %s were both answered", q.key)
	case first.answer != a:
		p.oracle.violate(q.command.Subject(), "the key %s was answered %+v and then %+v", q.key, first.answer, a)
	}
}

// orderIn is the order that an answer names.
func orderIn(a answer) string {
	_, after, found := strings.Cut(a.body, `"orderId":"`)
	if !found {
		return ""
	}
	id, _, _ := strings.Cut(after, `"`)
	return id
}
