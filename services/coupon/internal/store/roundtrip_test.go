package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/coupon/internal/store"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(r *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(r, "µs")).UTC()
	})
}

func optional(r *rapid.T, what string) time.Time {
	if rapid.Bool().Draw(r, what+" is set") {
		return times().Draw(r, what)
	}
	return time.Time{}
}

func texts() *rapid.Generator[string] { return rapid.StringMatching(`[ -~가-힣"\\{},]{1,12}`) }

func drawPolicy(r *rapid.T, id string) coupon.Policy {
	p := coupon.Policy{
		PolicyID: id, Name: texts().Draw(r, "name"), MinimumAmount: rapid.Int64Min(0).Draw(r, "minimum"),
		Currency: rapid.SampledFrom([]string{"", "KRW", "EUR"}).Draw(r, "currency"), Limit: rapid.Int64Min(1).Draw(r, "limit"),
		ValidFrom: optional(r, "from"), ValidUntil: optional(r, "until"), CreatedAt: times().Draw(r, "created"),
	}
	if p.Issued = rapid.Int64Range(0, p.Limit).Draw(r, "issued"); rapid.Bool().Draw(r, "percentage") {
		p.Percent, p.MaxAmount = rapid.Int64Range(1, 100).Draw(r, "percent"), rapid.Int64Min(0).Draw(r, "max")
	} else {
		p.Amount = rapid.Int64Min(1).Draw(r, "amount")
	}
	return p
}

// drawWorld makes policies, a member's coupons of them, and orders that use some and have given back others.
func drawWorld(r *rapid.T) *coupon.World {
	w := &coupon.World{}
	for _, id := range rapid.SliceOfNDistinct(texts(), 1, 4, rapid.ID).Draw(r, "policies") {
		w.Policies.Put(id, drawPolicy(r, id))
		c := coupon.Coupon{CouponID: uuid.NewString(), PolicyID: id, UserID: texts().Draw(r, "user"), IssuedAt: times().Draw(r, "issued")}
		u := coupon.Use{
			OrderID: uuid.NewString(), UserID: c.UserID, CreatedAt: times().Draw(r, "created"), UpdatedAt: times().Draw(r, "updated"),
			State: rapid.SampledFrom([]coupon.State{coupon.Used, coupon.Refused, coupon.Closed, coupon.GivenBack, coupon.Cancelled}).Draw(r, "state"),
		}
		switch u.State {
		case coupon.Used:
			u.CouponIDs, u.Discount = []string{c.CouponID}, rapid.Int64Min(0).Draw(r, "discount")
			c.UsedBy, c.UsedAt = u.OrderID, times().Draw(r, "used")
		case coupon.GivenBack, coupon.Cancelled:
			u.CouponIDs = []string{c.CouponID}
		}
		w.Coupons.Put(c.CouponID, c)
		w.Uses.Put(u.OrderID, u)
	}
	return w
}

// What Save writes, Load brings back equal: new rows, and rows that were there and changed.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	rapid.Check(t, func(r *rapid.T) {
		first := drawWorld(r)
		save(r, pool, first, `TRUNCATE coupon_policy, coupon, coupon_spent, coupon_use`)
		second := reload(r, pool, first)
		equal(r, first, second)

		for id, u := range second.Uses.All() {
			if u.State != coupon.Used {
				continue
			}
			u.State, u.UpdatedAt = coupon.Cancelled, times().Draw(r, "cancelled")
			second.Uses.Put(id, u)
			c, _ := second.Coupons.Get(u.CouponIDs[0])
			c.UsedBy, c.UsedAt = "", time.Time{}
			second.Coupons.Put(c.CouponID, c)
		}
		for id, p := range second.Policies.All() {
			p.Issued = rapid.Int64Range(0, p.Limit).Draw(r, "issued later")
			second.Policies.Put(id, p)
		}
		save(r, pool, second, `SELECT`)
		equal(r, second, reload(r, pool, second))
	})
}

func save(r *rapid.T, pool *pgxpool.Pool, w *coupon.World, before string) {
	r.Helper()
	rig.Transact(r, pool, func(_ context.Context, tx *pg.Tx) error {
		tx.Last().Queue("before", before)
		return store.Store{}.Save(tx.Last(), w)
	})
}

// reload loads every row of w by inputs that need them.
func reload(r *rapid.T, pool *pgxpool.Pool, w *coupon.World) (loaded *coupon.World) {
	r.Helper()
	var in []flow.Input
	for id, u := range w.Uses.All() {
		in = append(in, input(&paymentv1.PaymentCancelled{OrderId: id, UserId: u.UserID, HasCoupons: true}))
	}
	for id, c := range w.Coupons.All() {
		in = append(in, input(decreased("looks-"+id, c.UserID, id)))
	}
	rig.Transact(r, pool, func(ctx context.Context, tx *pg.Tx) (err error) {
		loaded, err = store.Store{}.Load(ctx, tx, in)
		return err
	})
	return loaded
}

func equal(r *rapid.T, want, got *coupon.World) {
	r.Helper()
	collect := func(w *coupon.World) (all []any) {
		for _, p := range w.Policies.All() {
			all = append(all, p)
		}
		for _, c := range w.Coupons.All() {
			all = append(all, c)
		}
		for _, u := range w.Uses.All() {
			all = append(all, u)
		}
		return all
	}
	if diff := cmp.Diff(collect(want), collect(got), cmpopts.EquateEmpty()); diff != "" {
		r.Fatalf("saved and loaded differ (-saved +loaded):\n%s", diff)
	}
	for id, c := range got.Coupons.All() {
		if held, _ := got.Held.Get(coupon.HeldKey(c.PolicyID, c.UserID)); held != id {
			r.Fatalf("the member's coupon of %q is %q, want %q", c.PolicyID, held, id)
		}
	}
}
