package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// judgeCounts judges what is counted: products, prices, coupons, policies, members.
func (s *sweep) judgeCounts(ctx context.Context) error {
	if err := s.judgeProducts(ctx); err != nil {
		return err
	}
	for _, judge := range []func(context.Context) error{s.judgePrices, s.judgeCoupons, s.judgeAccounts} {
		if err := judge(ctx); err != nil {
			return err
		}
	}
	return nil
}

// judgeProducts counts each in one statement with what is left of it. That reads all reservations, so it may
// be given up for its time: those products are open then.
func (s *sweep) judgeProducts(ctx context.Context) error {
	slices.Sort(s.products)
	ids := slices.Compact(s.products)
	off := map[string]bool{}
	err := byID(ctx, s.reader, "stock", "counts", ids, func(p book.Product) {
		off[p.ProductID] = p.Received-p.Held-p.Quantity != 0
		if d, wrong := product(p, s.held[p.ProductID]); wrong {
			s.counted = append(s.counted, d)
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.report.Open = append(s.report.Open, fmt.Sprintf(
			"%d products could not be counted, which reads all reservations at one moment: %v", len(ids), err))
		return nil
	}
	for i := range s.found {
		s.found[i] = recounted(s.found[i], off)
	}
	return nil
}

// recounted adds the recount to the repair of a reservation: its product's pieces do not go with it, so
// after the undo they are one too many.
func recounted(d Difference, off map[string]bool) Difference {
	if len(d.Repair) == 0 {
		return d
	}
	for _, id := range d.products {
		if off[id] {
			d.Repair = append(d.Repair, recountProduct(id))
		}
	}
	return d
}

func (s *sweep) judgePrices(ctx context.Context) error {
	if len(s.prices) == 0 {
		return nil
	}
	listed, sold := map[string]book.Product{}, map[string]book.Price{}
	if err := byID(ctx, s.reader, "order", "prices", s.prices, func(p book.Price) { sold[p.ProductID] = p }); err != nil {
		return err
	}
	if err := byID(ctx, s.reader, "stock", "products", s.prices, func(p book.Product) { listed[p.ProductID] = p }); err != nil {
		return err
	}
	s.counted = append(s.counted, prices(listed, sold)...)
	return nil
}

// judgeCoupons leaves out what an order's own difference says already.
func (s *sweep) judgeCoupons(ctx context.Context) error {
	said := map[string]bool{}
	for _, d := range s.found {
		if d.Services[0] == "coupon" || d.Row == "order.orders" {
			said[d.OrderID], said[d.CouponID] = true, d.CouponID != ""
		}
	}
	if err := byID(ctx, s.reader, "coupon", "spent", s.coupons, func(x book.Spent) {
		if d, wrong := spentWithoutUse(x); wrong && !said[x.OrderID] && !said[x.CouponID] {
			s.counted = append(s.counted, d)
		}
	}); err != nil {
		return err
	}
	return byID(ctx, s.reader, "coupon", "policies", s.policies, func(p book.Policy) {
		if d, wrong := policy(p); wrong {
			s.counted = append(s.counted, d)
		}
	})
}

func (s *sweep) judgeAccounts(ctx context.Context) error {
	return byID(ctx, s.reader, "payment", "members", s.members, func(a book.Account) {
		if d, wrong := account(a, s.ledger[a.UserID]); wrong {
			s.counted = append(s.counted, d)
		}
	})
}
