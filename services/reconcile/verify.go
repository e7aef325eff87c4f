package reconcile

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// looks is how often an order that moved is looked at again, and told how many orders get their timeline.
const (
	looks = 3
	told  = 50
)

// Verify compares the books twice and reports what does not agree both times. An error wraps ErrUnread
// and names the service: then nothing is known, which is not the same as nothing found.
func (r Reader) Verify(ctx context.Context, o Options) (Report, error) {
	if o.Stuck == 0 {
		o.Stuck = defaultStuck
	}
	first, err := r.Queues(ctx)
	if err != nil {
		return Report{}, err
	}
	s := &sweep{reader: r, options: o, suspects: map[string]int64{}}
	s.report.Checked.Money = map[string]Money{}
	if o.Only != nil {
		err = s.some(ctx)
	} else {
		err = s.all(ctx)
	}
	if err != nil {
		return Report{}, err
	}
	if err := s.again(ctx, first); err != nil {
		return Report{}, err
	}
	s.report.Differences = slices.Concat(s.found, s.counted)
	if s.report.Differences == nil {
		s.report.Differences = []Difference{}
	}
	if s.report.Open == nil {
		s.report.Open = []string{}
	}
	return s.report, r.timelines(ctx, s.report.Differences)
}

// sweep is one comparison under way.
type sweep struct {
	reader  Reader
	options Options
	report  Report

	// suspects are orders to look at again, with the version they had (-1: order did not know them).
	suspects map[string]int64
	// what else has to be looked at again, by key
	products, prices, coupons, policies, members []string

	found   []Difference // about orders
	counted []Difference // about everything else
	// Reservations and ledgers that were found to be off, by product and by member.
	held, ledger map[string]int64
}

// some looks at the orders that were asked for.
func (s *sweep) some(ctx context.Context) error {
	only := s.options.Only
	s.products, s.prices, s.coupons = only.Products, only.Prices, only.Coupons
	s.policies, s.members = only.Policies, only.Members
	views, err := s.reader.Look(ctx, only.Orders)
	if err != nil {
		return err
	}
	for _, v := range views {
		s.glance(v)
	}
	return nil
}

// all goes through every book once.
func (s *sweep) all(ctx context.Context) error {
	r, held := s.reader, map[string]int64{}
	before, err := r.products(ctx)
	if err != nil {
		return err
	}
	if err := r.Views(ctx, func(v View) {
		for id, n := range holds(v.Stock) {
			held[id] += n
		}
		s.glance(v)
	}); err != nil {
		return err
	}
	after, err := r.products(ctx)
	if err != nil {
		return err
	}
	s.count(before, after, held)
	sold := map[string]book.Price{}
	if err := each(ctx, r, "order", "prices", priceKey, func(p book.Price) { sold[p.ProductID] = p }); err != nil {
		return err
	}
	for _, d := range prices(after, sold) {
		s.prices = append(s.prices, d.ProductID)
	}
	return s.rest(ctx)
}

// rest goes through the books that are not of orders.
func (s *sweep) rest(ctx context.Context) error {
	if err := each(ctx, s.reader, "coupon", "spent", spentKey, func(x book.Spent) {
		s.report.Checked.Coupons++
		if _, wrong := spentWithoutUse(x); wrong {
			s.coupons = append(s.coupons, x.CouponID)
		}
	}); err != nil {
		return err
	}
	if err := each(ctx, s.reader, "coupon", "policies", func(p book.Policy) string { return p.PolicyID }, func(p book.Policy) {
		s.report.Checked.Policies++
		if _, wrong := policy(p); wrong {
			s.policies = append(s.policies, p.PolicyID)
		}
	}); err != nil {
		return err
	}
	return each(ctx, s.reader, "payment", "members", accountKey, func(a book.Account) {
		s.report.Checked.Members++
		s.report.Checked.Points += a.Balance
		if _, wrong := account(a, 0); wrong {
			s.members = append(s.members, a.UserID)
		}
	})
}

func priceKey(p book.Price) string     { return p.ProductID }
func productKey(p book.Product) string { return p.ProductID }
func spentKey(s book.Spent) string     { return s.CouponID }
func accountKey(a book.Account) string { return a.UserID }

// products reads what stock has of each product.
func (r Reader) products(ctx context.Context) (map[string]book.Product, error) {
	all := map[string]book.Product{}
	err := each(ctx, r, "stock", "products", productKey, func(p book.Product) { all[p.ProductID] = p })
	return all, err
}

// glance is the first look at an order: it counts it, and remembers it if there is anything to it.
func (s *sweep) glance(v View) {
	c := &s.report.Checked
	if p := v.Payment; p != nil && p.ChargeID != "" {
		m := c.Money[p.Currency]
		m.Captured += p.Amount
		if p.Refund == "DONE" {
			m.Refunded += p.Amount
		}
		c.Money[p.Currency] = m
	}
	if v.Order == nil {
		if len(v.unknown()) > 0 {
			s.suspects[v.OrderID] = -1
		}
		return
	}
	c.Orders++
	if inFlight(v.Order) || len(v.judge(s.options.Stuck)) > 0 {
		s.suspects[v.OrderID] = v.Order.Version
	}
}

// count picks the products that have to be counted in one statement: those whose sums are off, and those
// that moved while the pages of their reservations were read, of which the sum says nothing.
func (s *sweep) count(before, after map[string]book.Product, held map[string]int64) {
	for _, id := range sortedKeys(after) {
		s.report.Checked.Products++
		p := after[id]
		if before[id].Changed != p.Changed || p.Received-held[id]-p.Quantity != 0 {
			s.products = append(s.products, id)
		}
	}
}

// again is the second look.
func (s *sweep) again(ctx context.Context, first map[string]host.Queues) error {
	s.held, s.ledger = map[string]int64{}, map[string]int64{}
	waited := false
	for look := 1; look < looks && len(s.suspects) > 0; look++ {
		waited = true
		if err := wait(ctx, s.options.Wait); err != nil {
			return err
		}
		if err := s.look(ctx); err != nil {
			return err
		}
	}
	s.report.Checked.InFlight, s.report.Moving = len(s.suspects), sortedKeys(s.suspects)
	second, err := s.reader.Queues(ctx)
	if err != nil {
		return err
	}
	if !waited && len(queues(first, second)) > 0 {
		if err := wait(ctx, s.options.Wait); err != nil {
			return err
		}
		if second, err = s.reader.Queues(ctx); err != nil {
			return err
		}
	}
	s.counted = queues(first, second)
	return s.judgeCounts(ctx)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// look looks at the suspects again. What is at rest is judged and is no suspect any more; what moved stays
// for the next look. Order's rows are read at both ends: one that changed in between says nothing.
func (s *sweep) look(ctx context.Context) error {
	ids := sortedKeys(s.suspects)
	views, err := s.reader.Look(ctx, ids)
	if err != nil {
		return err
	}
	version := map[string]int64{}
	if err := byID(ctx, s.reader, "order", "orders", ids, func(o book.Order) { version[o.OrderID] = o.Version }); err != nil {
		return err
	}
	for _, v := range views {
		now, known := version[v.OrderID]
		if !known {
			now = -1
		}
		was := s.suspects[v.OrderID]
		if s.suspects[v.OrderID] = now; was != now || v.moving(s.options.Wait) {
			continue
		}
		differences := v.judge(s.options.Stuck)
		if len(differences) == 0 && v.Order != nil && inFlight(v.Order) {
			continue
		}
		delete(s.suspects, v.OrderID)
		s.keep(v, differences)
	}
	return nil
}

// moving says that the order, or what another service has of it, changed since the look before.
func (v View) moving(wait time.Duration) bool {
	// What another service has of an order that order does not know may be about to arrive.
	ages := v.ages()
	if v.Order != nil {
		ages = []float64{v.Order.Idle}
	}
	return slices.ContainsFunc(ages, func(age float64) bool { return age < wait.Seconds() })
}

func (v View) ages() []float64 {
	var ages []float64
	if v.Stock != nil {
		ages = append(ages, v.Stock.Idle)
	}
	if v.Payment != nil {
		ages = append(ages, v.Payment.Idle)
	}
	if v.Line != nil {
		ages = append(ages, v.Line.Idle)
	}
	return ages
}

// keep takes what was found about an order, and notes what it explains of the sums.
func (s *sweep) keep(v View, differences []Difference) {
	for _, d := range differences {
		switch d.Row {
		case "stock.reservation":
			should, is := v.shouldHold(), holds(v.Stock)
			for id := range union(should, is) {
				s.held[id] += should[id] - is[id]
				s.products = append(s.products, id)
			}
		case "payment.ledger":
			s.ledger[v.Payment.UserID] += v.ledgerOff()
		}
	}
	s.found = append(s.found, differences...)
}

func union(a, b map[string]int64) map[string]bool {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

// timelines tells each difference's order, as far as the gateway can.
func (r Reader) timelines(ctx context.Context, differences []Difference) error {
	known := map[string][]json.RawMessage{}
	for i, d := range differences {
		if d.OrderID == "" || len(known) >= told {
			continue
		}
		timeline, asked := known[d.OrderID]
		if !asked {
			var list struct {
				Data []json.RawMessage `json:"data"`
			}
			// What the order service does not know has no timeline; the difference stands without.
			if err := r.Get(ctx, "/api/v1/orders/"+url.PathEscape(d.OrderID)+"/events", &list); err == nil {
				timeline = list.Data
			}
			known[d.OrderID] = timeline
		}
		differences[i].Timeline = timeline
	}
	return ctx.Err()
}
