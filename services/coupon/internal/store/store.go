// Package store is coupon's SQL: whole batches for the engine here, single reads for callers in read.go.
package store

import (
	"context"
	"embed"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/coupon"
)

//go:embed migrations
var files embed.FS

// Migrate brings coupon's tables in the database at url up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, files)
}

// Store is coupon's engine.Store.
type Store struct{}

// needs is what the inputs of one batch have to see.
type needs struct {
	orders   []string    // whose uses
	undo     bool        // the coupons of these uses, too
	coupons  []string    // by id
	held     [][2]string // by policy and member
	policies []string    // to be locked: a command is about to change them
	counted  []string    // policies whose coupons are counted
}

func needsOf(in []flow.Input) *needs {
	n := &needs{}
	for _, i := range in {
		switch m := i.Msg.(type) {
		case *stockv1.StockDecreased:
			// Coupon has no part in an order without coupons, and most orders have none.
			if refs := m.GetCheckout().GetCouponRefs(); len(refs) > 0 {
				n.orders, n.coupons = append(n.orders, m.GetOrderId()), append(n.coupons, refs...)
				for _, ref := range refs {
					n.held = append(n.held, [2]string{ref, m.GetUserId()})
				}
			}
		case *paymentv1.PaymentCompleted:
			n.undoOf(m.GetOrderId(), m.GetHasCoupons())
		case *paymentv1.PaymentCancelled:
			n.undoOf(m.GetOrderId(), m.GetHasCoupons())
		case *orderv1.OrderCancelled:
			n.undoOf(m.GetOrderId(), m.GetHasCoupons())
		case coupon.CreatePolicy:
			n.policies = append(n.policies, m.PolicyID)
		case coupon.Recount:
			n.policies, n.counted = append(n.policies, m.PolicyID), append(n.counted, m.PolicyID)
		case coupon.Issue:
			n.policies = append(n.policies, m.PolicyID)
			n.held = append(n.held, [2]string{m.PolicyID, m.UserID})
		}
	}
	return n
}

func (n *needs) undoOf(order string, hasCoupons bool) {
	if hasCoupons {
		n.orders, n.undo = append(n.orders, order), true
	}
}

// Load brings uses, coupons and policies. The uses are covered by the locks of their orders, which the
// engine holds; coupons are locked here, in key order, and last the policies that a command changes.
// Policies of coupons that are spent are only read: what they are worth never changes.
//
// An order that comes refers to its coupons itself, so that they are locked in the batch that reads the uses; an undo
// gives back those that its use names.
func (Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*coupon.World, error) {
	w, n, b := &coupon.World{}, needsOf(in), &pg.Batch{}
	loadUses(b, w, n.orders)
	if n.undo {
		if err := tx.Send(ctx, b); err != nil {
			return nil, err
		}
		b = &pg.Batch{}
		for _, u := range w.Uses.All() {
			n.coupons = append(n.coupons, u.CouponIDs...)
		}
	}
	lockCoupons(b, w, n)
	if err := tx.Send(ctx, b); err != nil {
		return nil, err
	}
	b = &pg.Batch{}
	loadSpent(b, w)
	loadPolicies(b, w, n.policies)
	loadCounted(b, w, n.counted)
	return w, tx.Send(ctx, b)
}

func loadUses(b *pg.Batch, w *coupon.World, orders []string) {
	if len(orders) == 0 {
		return
	}
	pg.Collect(b, "load uses", scanUse, func(u coupon.Use) { w.Uses.Loaded(u.OrderID, u) }, `
		SELECT order_id, user_id, state, coupon_ids, discount, created_at, updated_at
		FROM coupon_use WHERE order_id = ANY($1)`, sorted(orders))
}

func scanUse(row pgx.CollectableRow) (coupon.Use, error) {
	var u coupon.Use
	err := row.Scan(&u.OrderID, &u.UserID, &u.State, &u.CouponIDs, &u.Discount, &u.CreatedAt, &u.UpdatedAt)
	if len(u.CouponIDs) == 0 {
		u.CouponIDs = nil
	}
	return u, err
}

// lockCoupons locks the coupons; who has spent them is [loadSpent]'s question. These are two statements: who waited
// for a lock sees that row as its former holder left it, but everything else in the same statement as it
// stood before the wait, and would take a coupon for unspent that has just been spent.
func lockCoupons(b *pg.Batch, w *coupon.World, n *needs) {
	if len(n.coupons)+len(n.held) == 0 {
		return
	}
	policies, members := make([]string, len(n.held)), make([]string, len(n.held))
	for i, h := range n.held {
		policies[i], members[i] = h[0], h[1]
	}
	pg.Collect(b, "lock coupons", scanCoupon, func(c coupon.Coupon) {
		w.Coupons.Loaded(c.CouponID, c)
		w.Held.Loaded(coupon.HeldKey(c.PolicyID, c.UserID), c.CouponID)
	}, `
		SELECT coupon_id, policy_id, user_id, issued_at
		FROM coupon WHERE coupon_id = ANY(ARRAY(
			SELECT coupon_id FROM coupon WHERE coupon_id = ANY($1)
			UNION
			SELECT c.coupon_id FROM unnest($2::text[], $3::text[]) AS k(policy_id, user_id)
			JOIN coupon c USING (policy_id, user_id)))
		ORDER BY coupon_id FOR NO KEY UPDATE`, sorted(n.coupons), policies, members)
}

func scanCoupon(row pgx.CollectableRow) (c coupon.Coupon, err error) {
	err = row.Scan(&c.CouponID, &c.PolicyID, &c.UserID, &c.IssuedAt)
	return c, err
}

// loadSpent says of the coupons that are locked who has spent them.
func loadSpent(b *pg.Batch, w *coupon.World) {
	if w.Coupons.Len() == 0 {
		return
	}
	var ids []string
	for id := range w.Coupons.All() {
		ids = append(ids, id)
	}
	pg.Collect(b, "load who spent the coupons", scanSpent, func(spent coupon.Coupon) {
		c, _ := w.Coupons.Get(spent.CouponID)
		c.UsedBy, c.UsedAt = spent.UsedBy, spent.UsedAt
		w.Coupons.Loaded(c.CouponID, c)
	}, `SELECT coupon_id, order_id, used_at FROM coupon_spent WHERE coupon_id = ANY($1)`, ids)
}

func scanSpent(row pgx.CollectableRow) (c coupon.Coupon, err error) {
	err = row.Scan(&c.CouponID, &c.UsedBy, &c.UsedAt)
	return c, err
}

const policyColumns = `policy_id, name, amount, percent, max_amount, minimum_amount, currency, issue_limit, issued,
	valid_from, valid_until, created_at`

// loadPolicies locks what commands name and reads what the coupons belong to; a batch has commands or
// events, never both, so it is one statement.
func loadPolicies(b *pg.Batch, w *coupon.World, ids []string) {
	sql := `SELECT ` + policyColumns + ` FROM coupon_policy WHERE policy_id = ANY($1) ORDER BY policy_id`
	if len(ids) > 0 {
		sql += ` FOR NO KEY UPDATE`
	}
	for _, c := range w.Coupons.All() {
		ids = append(ids, c.PolicyID)
	}
	if len(ids) > 0 {
		pg.Collect(b, "load policies", scanPolicy, func(p coupon.Policy) { w.Policies.Loaded(p.PolicyID, p) }, sql, sorted(ids))
	}
}

func scanPolicy(row pgx.CollectableRow) (coupon.Policy, error) {
	var p coupon.Policy
	var from, until *time.Time
	err := row.Scan(&p.PolicyID, &p.Name, &p.Amount, &p.Percent, &p.MaxAmount, &p.MinimumAmount, &p.Currency, &p.Limit, &p.Issued,
		&from, &until, &p.CreatedAt)
	p.ValidFrom, p.ValidUntil = timeOf(from), timeOf(until)
	return p, err
}

// sorted lists the ids in the order in which every replica takes its locks, each once.
func sorted(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}
