package simulator

import (
	"errors"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/payment"
)

// coupons is coupon's database. A coupon's row is written once; who has spent it stands in spent.
type coupons struct {
	policies map[string]coupon.Policy
	rows     map[string]coupon.Coupon
	held     map[string]string
	spent    map[string]spending
	uses     map[string]coupon.Use
}

type spending struct {
	order string
	at    time.Time
}

func newCoupons() *coupons {
	return &coupons{
		policies: map[string]coupon.Policy{}, rows: map[string]coupon.Coupon{}, held: map[string]string{},
		spent: map[string]spending{}, uses: map[string]coupon.Use{},
	}
}

// locks: coupons in key order, then the policies that a command changes.
func (t *coupons) locks(in []flow.Input) []lockKey {
	policies := set{}
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case coupon.CreatePolicy:
			policies.add(msg.PolicyID)
		case coupon.Issue:
			policies.add(msg.PolicyID)
		}
	}
	return append(t.needed(in).locks("coupon"), policies.locks("policy")...)
}

// ofOrder is the order whose use an event is about; "": none, as the order has no coupons.
func ofOrder(msg any) string {
	switch m := msg.(type) {
	case *stockv1.StockDecreased:
		if len(m.GetCheckout().GetCouponRefs()) > 0 {
			return m.GetOrderId()
		}
	case *paymentv1.PaymentCompleted:
		if m.GetHasCoupons() {
			return m.GetOrderId()
		}
	case *paymentv1.PaymentCancelled:
		if m.GetHasCoupons() {
			return m.GetOrderId()
		}
	case *orderv1.OrderCancelled:
		if m.GetHasCoupons() {
			return m.GetOrderId()
		}
	}
	return ""
}

// needed are the coupons of the uses, those that orders without a use refer to, and a command's own.
func (t *coupons) needed(in []flow.Input) set {
	ids := set{}
	refer := func(ref, user string) {
		if id, held := t.held[coupon.HeldKey(ref, user)]; held {
			ids.add(id)
		}
		if _, there := t.rows[ref]; there {
			ids.add(ref)
		}
	}
	for _, i := range in {
		if msg, ok := i.Msg.(coupon.Issue); ok {
			refer(msg.PolicyID, msg.UserID)
			continue
		}
		use, known := t.uses[ofOrder(i.Msg)]
		for _, id := range use.CouponIDs {
			ids.add(id)
		}
		if msg, ok := i.Msg.(*stockv1.StockDecreased); ok && !known {
			for _, ref := range msg.GetCheckout().GetCouponRefs() {
				refer(ref, msg.GetUserId())
			}
		}
	}
	return ids
}

func (t *coupons) load(w *coupon.World, in []flow.Input) {
	for _, i := range in {
		fetch(&w.Uses, t.uses, ofOrder(i.Msg))
		switch msg := i.Msg.(type) {
		case coupon.CreatePolicy:
			fetch(&w.Policies, t.policies, msg.PolicyID)
		case coupon.Issue:
			fetch(&w.Policies, t.policies, msg.PolicyID)
		}
	}
	for _, id := range t.needed(in).sorted() {
		c := t.rows[id]
		c.UsedBy, c.UsedAt = t.spent[id].order, t.spent[id].at
		w.Coupons.Loaded(id, c)
		w.Held.Loaded(coupon.HeldKey(c.PolicyID, c.UserID), id)
		fetch(&w.Policies, t.policies, c.PolicyID)
	}
}

// save gives back what ended uses had spent, then spends.
func (t *coupons) save(w *coupon.World) ([]func(), error) {
	uses, changed, policies := w.Uses.Changed(), w.Coupons.Changed(), w.Policies.Changed()
	var ended []string
	for _, c := range uses {
		for _, id := range c.Row.CouponIDs {
			if c.Row.State != coupon.Used && !c.New && t.spent[id].order == c.Row.OrderID {
				ended = append(ended, id)
			}
		}
	}
	back := func() {
		for _, id := range ended {
			delete(t.spent, id)
		}
	}
	given := map[string]bool{}
	for _, id := range ended {
		given[id] = true
	}
	writes := []func(){upsert(t.uses, uses), back}
	for _, c := range changed {
		row := c.Row
		if _, held := t.held[coupon.HeldKey(row.PolicyID, row.UserID)]; c.New && held {
			return nil, unique("coupon_once_per_member")
		}
		if _, spent := t.spent[c.Key]; row.UsedBy != "" && spent && !given[c.Key] {
			return nil, unique("coupon_used_once")
		}
		writes = append(writes, func() { t.put(row) })
	}
	for _, c := range policies {
		if c.Row.Issued < 0 || c.Row.Issued > c.Row.Limit {
			return nil, check("coupon_limit_kept")
		}
	}
	return append(writes, upsert(t.policies, policies)), nil
}

func (t *coupons) put(c coupon.Coupon) {
	if c.UsedBy != "" {
		t.spent[c.CouponID] = spending{c.UsedBy, c.UsedAt}
	}
	c.UsedBy, c.UsedAt = "", time.Time{}
	t.rows[c.CouponID] = c
	t.held[coupon.HeldKey(c.PolicyID, c.UserID)] = c.CouponID
}

// payments is payment's database.
type payments struct {
	rows   map[string]payment.Payment
	points map[string]payment.Points
	ledger map[string]payment.Entry
}

func newPayments() *payments {
	return &payments{rows: map[string]payment.Payment{}, points: map[string]payment.Points{}, ledger: map[string]payment.Entry{}}
}

// locks: the balances last; payments are covered by their orders' locks.
func (t *payments) locks(in []flow.Input) []lockKey { return t.members(in).locks("points") }

// members are those whose balances are needed: an event names its member, of an answer the payment does.
func (t *payments) members(in []flow.Input) set {
	users := set{}
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case payment.GrantPoints:
			users.add(msg.UserID)
			continue
		case interface{ GetUserId() string }:
			users.add(msg.GetUserId())
		}
		if p, there := t.rows[i.Subject]; there {
			users.add(p.UserID)
		}
	}
	return users
}

func (t *payments) load(w *payment.World, in []flow.Input) {
	for _, i := range in {
		if msg, ok := i.Msg.(payment.GrantPoints); ok {
			fetch(&w.Ledger, t.ledger, payment.GrantKey(msg.GrantID))
			continue
		}
		fetch(&w.Payments, t.rows, i.Subject)
	}
	for _, user := range t.members(in).sorted() {
		fetch(&w.Points, t.points, user)
	}
}

var errChangedEntry = errors.New("a ledger entry is never changed")

func (t *payments) save(w *payment.World) ([]func(), error) {
	rows, ledger, points := w.Payments.Changed(), w.Ledger.Changed(), w.Points.Changed()
	for _, c := range rows {
		if c.Row.Amount < 0 || c.Row.Points < 0 {
			return nil, check("charge_never_negative")
		}
	}
	for _, c := range ledger {
		switch {
		case !c.New:
			return nil, errChangedEntry
		case (c.Row.Kind == payment.EntryTaken) != (c.Row.Amount < 0) || c.Row.Amount == 0:
			return nil, check("ledger_sign")
		}
	}
	for _, c := range points {
		if c.Row.Balance < 0 {
			return nil, check("points_never_negative")
		}
	}
	booked, err := write(t.ledger, ledger, "ledger_once_per_order_and_kind")
	if err != nil {
		return nil, err
	}
	balances, err := write(t.points, points, "points_pkey")
	return []func(){upsert(t.rows, rows), booked, balances}, err
}
