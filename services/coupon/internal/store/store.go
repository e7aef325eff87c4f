// Package store is coupon's SQL: whole batches for the engine here, single reads for callers in read.go.
package store

import (
	"context"
	"embed"
	"fmt"
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
	orders    []string                  // whose uses
	checkouts []*stockv1.StockDecreased // whose coupons, unless their order has a use already
	coupons   []string                  // by id
	held      [][2]string               // by policy and member
	policies  []string                  // to be locked: a command is about to change them
	counted   []string                  // policies whose coupons are counted
}

func needsOf(in []flow.Input) *needs {
	n := &needs{}
	for _, i := range in {
		switch m := i.Msg.(type) {
		case *stockv1.StockDecreased:
			// Coupon has no part in an order without coupons, and most orders have none.
			if len(m.GetCheckout().GetCouponRefs()) > 0 {
				n.orders, n.checkouts = append(n.orders, m.GetOrderId()), append(n.checkouts, m)
			}
		case *paymentv1.PaymentCompleted:
			n.order(m.GetOrderId(), m.GetHasCoupons())
		case *paymentv1.PaymentCancelled:
			n.order(m.GetOrderId(), m.GetHasCoupons())
		case *orderv1.OrderCancelled:
			n.order(m.GetOrderId(), m.GetHasCoupons())
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

func (n *needs) order(id string, hasCoupons bool) {
	if hasCoupons {
		n.orders = append(n.orders, id)
	}
}

// Load brings uses, coupons and policies. The uses are covered by the locks of their orders, which the
// engine holds; coupons are locked here, in key order, and last the policies that a command changes.
// Policies of coupons that are spent are only read: what they are worth never changes.
func (Store) Load(ctx context.Context, tx pgx.Tx, in []flow.Input) (*coupon.World, error) {
	w, n := &coupon.World{}, needsOf(in)
	if err := loadUses(ctx, tx, w, n); err != nil {
		return nil, err
	}
	if err := loadCoupons(ctx, tx, w, n); err != nil {
		return nil, err
	}
	if err := loadPolicies(ctx, tx, w, n); err != nil {
		return nil, err
	}
	return w, loadCounted(ctx, tx, w, n.counted)
}

// loadUses also says which coupons are needed: those of uses that may be undone, and those that orders
// without a use refer to.
func loadUses(ctx context.Context, tx pgx.Tx, w *coupon.World, n *needs) error {
	if len(n.orders) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT order_id, user_id, state, coupon_ids, discount, created_at, updated_at
		FROM coupon_use WHERE order_id = ANY($1)`, sorted(n.orders))
	if err != nil {
		return fmt.Errorf("load uses: %w", err)
	}
	var u coupon.Use
	if _, err = pgx.ForEachRow(rows, []any{&u.OrderID, &u.UserID, &u.State, &u.CouponIDs, &u.Discount, &u.CreatedAt, &u.UpdatedAt}, func() error {
		n.coupons = append(n.coupons, u.CouponIDs...)
		if len(u.CouponIDs) == 0 {
			u.CouponIDs = nil
		}
		w.Uses.Loaded(u.OrderID, u)
		u.CouponIDs = nil // or the next row would be scanned into this one's array
		return nil
	}); err != nil {
		return fmt.Errorf("load uses: %w", err)
	}
	for _, m := range n.checkouts {
		if _, known := w.Uses.Get(m.GetOrderId()); known {
			continue
		}
		for _, ref := range m.GetCheckout().GetCouponRefs() {
			n.coupons, n.held = append(n.coupons, ref), append(n.held, [2]string{ref, m.GetUserId()})
		}
	}
	return nil
}

// loadCoupons locks the coupons and then reads who has spent them. These are two statements: who waited
// for a lock sees that row as its former holder left it, but everything else in the same statement as it
// stood before the wait, and would take a coupon for unspent that has just been spent.
func loadCoupons(ctx context.Context, tx pgx.Tx, w *coupon.World, n *needs) error {
	if len(n.coupons)+len(n.held) == 0 {
		return nil
	}
	policies, members := make([]string, len(n.held)), make([]string, len(n.held))
	for i, h := range n.held {
		policies[i], members[i] = h[0], h[1]
	}
	rows, err := tx.Query(ctx, `
		SELECT coupon_id, policy_id, user_id, issued_at
		FROM coupon WHERE coupon_id = ANY(ARRAY(
			SELECT coupon_id FROM coupon WHERE coupon_id = ANY($1)
			UNION
			SELECT c.coupon_id FROM unnest($2::text[], $3::text[]) AS k(policy_id, user_id)
			JOIN coupon c USING (policy_id, user_id)))
		ORDER BY coupon_id FOR NO KEY UPDATE`, sorted(n.coupons), policies, members)
	if err != nil {
		return fmt.Errorf("lock coupons: %w", err)
	}
	found := map[string]coupon.Coupon{}
	var ids []string
	var c coupon.Coupon
	if _, err = pgx.ForEachRow(rows, []any{&c.CouponID, &c.PolicyID, &c.UserID, &c.IssuedAt}, func() error {
		found[c.CouponID], ids = c, append(ids, c.CouponID)
		return nil
	}); err != nil {
		return fmt.Errorf("lock coupons: %w", err)
	}
	if err := loadSpent(ctx, tx, found, ids); err != nil {
		return err
	}
	for id, c := range found {
		w.Coupons.Loaded(id, c)
		w.Held.Loaded(coupon.HeldKey(c.PolicyID, c.UserID), id)
	}
	return nil
}

func loadSpent(ctx context.Context, tx pgx.Tx, found map[string]coupon.Coupon, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT coupon_id, order_id, used_at FROM coupon_spent WHERE coupon_id = ANY($1)`, ids)
	if err != nil {
		return fmt.Errorf("load who spent the coupons: %w", err)
	}
	var id, order string
	var at time.Time
	if _, err = pgx.ForEachRow(rows, []any{&id, &order, &at}, func() error {
		c := found[id]
		c.UsedBy, c.UsedAt = order, at
		found[id] = c
		return nil
	}); err != nil {
		return fmt.Errorf("load who spent the coupons: %w", err)
	}
	return nil
}

const policyColumns = `policy_id, name, amount, percent, max_amount, minimum_amount, currency, issue_limit, issued,
	valid_from, valid_until, created_at`

// loadPolicies locks what commands name and reads what the coupons belong to; a batch has commands or
// events, never both, so it is one statement.
func loadPolicies(ctx context.Context, tx pgx.Tx, w *coupon.World, n *needs) error {
	sql, ids := `SELECT `+policyColumns+` FROM coupon_policy WHERE policy_id = ANY($1) ORDER BY policy_id`, n.policies
	if len(ids) > 0 {
		sql += ` FOR NO KEY UPDATE`
	}
	for _, c := range w.Coupons.All() {
		ids = append(ids, c.PolicyID)
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, sql, sorted(ids))
	if err != nil {
		return fmt.Errorf("load policies: %w", err)
	}
	policies, err := pgx.CollectRows(rows, scanPolicy)
	if err != nil {
		return fmt.Errorf("load policies: %w", err)
	}
	for _, p := range policies {
		w.Policies.Loaded(p.PolicyID, p)
	}
	return nil
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
