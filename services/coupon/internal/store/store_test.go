package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/coupon/internal/store"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// input is an event or command as the engine hands it on.
func input(msg any) flow.Input {
	kind := flow.KindEvent
	if _, is := msg.(flow.Command); is {
		kind = flow.KindCommand
	}
	return flow.Input{Kind: kind, Msg: msg, Meta: flow.Meta{
		Now: noon, Cause: uuid.NewString(), IDs: func(int) string { return uuid.NewString() },
	}}
}

// decide runs one batch within tx and returns what each input led to.
func decide(ctx context.Context, tx *pg.Tx, messages ...any) ([]flow.Outcome, error) {
	inputs := make([]flow.Input, len(messages))
	for i, m := range messages {
		inputs[i] = input(m)
	}
	w, err := store.Store{}.Load(ctx, tx, inputs)
	if err != nil {
		return nil, err
	}
	outcomes := make([]flow.Outcome, len(inputs))
	for i, in := range inputs {
		if outcomes[i], err = coupon.Topology.Decide(w, in); err != nil {
			return nil, err
		}
	}
	return outcomes, store.Store{}.Save(tx.Last(), w)
}

func batch(t *testing.T, pool *pgxpool.Pool, messages ...any) []flow.Outcome {
	t.Helper()
	var outcomes []flow.Outcome
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) (err error) {
		outcomes, err = decide(ctx, tx, messages...)
		return err
	})
	return outcomes
}

func policy(id string, limit int64) coupon.CreatePolicy {
	return coupon.CreatePolicy{PolicyID: id, Name: id, Amount: 3000, Currency: "KRW", Limit: limit}
}

func decreased(orderID, userID string, refs ...string) *stockv1.StockDecreased {
	return &stockv1.StockDecreased{OrderId: orderID, UserId: userID, Checkout: &orderv1.Checkout{
		ItemsAmount: 10_050, DiscountAmount: 3000, Currency: "KRW", CouponRefs: refs,
		CouponFailurePolicy: orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_CANCEL_ORDER,
	}}
}

func event(t *testing.T, o flow.Outcome) proto.Message {
	t.Helper()
	if len(o.Events) != 1 {
		t.Fatalf("%d events, want one", len(o.Events))
	}
	return o.Events[0].Message
}

// A coupon goes from one order to the next as the first is undone, whichever way the batches are cut.
func TestUseAndGiveBack(t *testing.T) {
	t.Parallel()
	used, returned := &couponv1.CouponUsed{}, &couponv1.CouponUseCancelled{}
	steps := []struct {
		msg  any
		want proto.Message
	}{
		{decreased("order-1", "kim", "WELCOME"), used},
		{decreased("order-2", "kim", "coupon-1"), &couponv1.CouponUseFailed{}},
		{decreased("order-3", "lee", "coupon-1"), &couponv1.CouponUseFailed{}},
		{&paymentv1.PaymentCancelled{OrderId: "order-1", UserId: "kim", HasCoupons: true}, returned},
		{decreased("order-4", "kim", "coupon-1", "WELCOME"), used},
		{&orderv1.OrderCancelled{OrderId: "order-4", UserId: "kim", HasCoupons: true, UndoFrom: orderv1.UndoFrom_UNDO_FROM_COUPON}, returned},
		{decreased("order-5", "kim", "WELCOME"), used},
		{&paymentv1.PaymentCompleted{OrderId: "order-5", UserId: "kim", HasCoupons: true}, &couponv1.CouponReturned{}},
		{&paymentv1.PaymentCancelled{OrderId: "order-6", UserId: "kim", HasCoupons: true}, returned},
		{decreased("order-6", "kim", "WELCOME"), nil},
		{decreased("order-7", "kim", "WELCOME"), used},
	}
	for size := 1; size <= len(steps); size++ {
		pool := rig.Database(t, store.Migrate)
		batch(t, pool, policy("WELCOME", 1))
		batch(t, pool, coupon.Issue{PolicyID: "WELCOME", UserID: "kim", CouponID: "coupon-1"})
		for from := 0; from < len(steps); from += size {
			part := steps[from:min(from+size, len(steps))]
			var messages []any
			for _, s := range part {
				messages = append(messages, s.msg)
			}
			for i, o := range batch(t, pool, messages...) {
				var got proto.Message
				if len(o.Events) == 1 {
					got = o.Events[0].Message
				}
				if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", part[i].want) {
					t.Errorf("batches of %d, step %d: %T, want %T", size, from+i, got, part[i].want)
				}
			}
		}
		var order string
		if err := pool.QueryRow(t.Context(), `SELECT order_id FROM coupon_spent WHERE coupon_id = 'coupon-1'`).Scan(&order); err != nil || order != "order-7" {
			t.Errorf("batches of %d: spent by %q, %v", size, order, err)
		}
	}
}

// Who waits for a coupon's lock finds it spent by the one who had it: the read behind the lock is a
// statement of its own. With both in one statement the second order would use the coupon again.
func TestWaitingOrderFindsCouponSpent(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	batch(t, pool, policy("WELCOME", 1))
	batch(t, pool, coupon.Issue{PolicyID: "WELCOME", UserID: "kim", CouponID: "coupon-1"})

	outcome := behind(t, pool, decreased("order-1", "kim", "WELCOME"), decreased("order-2", "kim", "coupon-1"))
	failed, ok := event(t, outcome).(*couponv1.CouponUseFailed)
	if !ok || failed.GetReason() != couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_ALREADY_USED {
		t.Errorf("the second order: %v", outcome.Events[0].Message)
	}
}

// Who waits for a coupon that an undo holds finds it given back: an undo locks what its use names.
func TestWaitingOrderFindsCouponGivenBack(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	batch(t, pool, policy("WELCOME", 1))
	batch(t, pool, coupon.Issue{PolicyID: "WELCOME", UserID: "kim", CouponID: "coupon-1"})
	batch(t, pool, decreased("order-1", "kim", "WELCOME"))

	outcome := behind(t, pool,
		&paymentv1.PaymentCancelled{OrderId: "order-1", UserId: "kim", HasCoupons: true}, decreased("order-2", "kim", "coupon-1"))
	if _, ok := event(t, outcome).(*couponv1.CouponUsed); !ok {
		t.Errorf("the second order: %v", outcome.Events[0].Message)
	}
}

// Who waits for a policy's lock finds the coupon issued by the one who had it: the last one goes to one member.
func TestWaitingMemberFindsPolicyAtItsLimit(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	batch(t, pool, policy("WELCOME", 1))
	outcome := behind(t, pool,
		coupon.Issue{PolicyID: "WELCOME", UserID: "kim", CouponID: "coupon-1"},
		coupon.Issue{PolicyID: "WELCOME", UserID: "lee", CouponID: "coupon-2"})
	if r := outcome.Reply.Refusal; r == nil || r.Code != "coupon_limit_reached" {
		t.Errorf("the second member was answered %+v", outcome.Reply)
	}
}

// behind decides second while first is decided and not committed, and returns what second led to.
func behind(t *testing.T, pool *pgxpool.Pool, first, second any) flow.Outcome {
	t.Helper()
	decided := make(chan flow.Outcome, 1)
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
		if _, err := decide(ctx, tx, first); err != nil {
			return err
		}
		go func() {
			defer close(decided)
			if err := pg.Transact(ctx, pool, func(tx *pg.Tx) error {
				outcomes, err := decide(ctx, tx, second)
				if err == nil {
					decided <- outcomes[0]
				}
				return err
			}); err != nil {
				t.Error(err)
			}
		}()
		waits(t, pool)
		return nil
	})
	outcome, ok := <-decided
	if !ok {
		t.Fatal("the second one was not decided")
	}
	return outcome
}

// waits returns when somebody waits for a lock.
func waits(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() error {
		var waiting int
		err := pool.QueryRow(t.Context(), `
			SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		if err == nil && waiting == 0 {
			err = errors.New("nobody waits for the lock")
		}
		return err
	})
}

// Whatever a decision does wrong, the database keeps the rule and names it.
func TestConstraintsKeepTheRules(t *testing.T) {
	t.Parallel()
	for rule, spoil := range map[string]func(w *coupon.World){
		"coupon_limit_kept": func(w *coupon.World) {
			p, _ := w.Policies.Get("WELCOME")
			p.Issued = 3
			w.Policies.Put("WELCOME", p)
		},
		"coupon_once_per_member": func(w *coupon.World) {
			w.Coupons.Put("coupon-2", coupon.Coupon{CouponID: "coupon-2", PolicyID: "WELCOME", UserID: "kim", IssuedAt: noon})
		},
		"coupon_used_once": func(w *coupon.World) {
			c, _ := w.Coupons.Get("coupon-1")
			c.UsedBy, c.UsedAt = "order-2", noon
			w.Coupons.Put("coupon-1", c)
			w.Uses.Put("order-2", coupon.Use{OrderID: "order-2", UserID: "kim", State: coupon.Used, CouponIDs: []string{"coupon-1"}, CreatedAt: noon, UpdatedAt: noon})
		},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			pool := rig.Database(t, store.Migrate)
			batch(t, pool, policy("WELCOME", 2))
			batch(t, pool, coupon.Issue{PolicyID: "WELCOME", UserID: "kim", CouponID: "coupon-1"})
			batch(t, pool, decreased("order-1", "kim", "coupon-1"))
			err := pg.Transact(t.Context(), pool, func(tx *pg.Tx) error {
				w, err := store.Store{}.Load(t.Context(), tx, []flow.Input{
					input(coupon.Issue{PolicyID: "WELCOME", UserID: "kim"}), input(decreased("order-2", "kim", "coupon-1")),
				})
				if err != nil {
					return err
				}
				spoil(w)
				return store.Store{}.Save(tx.Last(), w)
			})
			var violated *pgconn.PgError
			if !errors.As(err, &violated) || violated.ConstraintName != rule {
				t.Errorf("%v, want a violation of %s", err, rule)
			}
		})
	}
}

// 500 orders with coupons, or 500 members at one policy, cost as many statements as one.
func TestBatchIsFewStatements(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	const orders, budget = 500, 8
	measure := func(what string, messages []any) {
		t.Helper()
		if n := asked.During(func() { batch(t, pool, messages...) }); n > budget {
			t.Errorf("%s: %d statements, the budget is %d", what, n, budget)
		} else {
			t.Logf("%s: %d statements", what, n)
		}
	}
	batch(t, pool, policy("WELCOME", orders), policy("SPRING", orders))
	var issues, uses, undos, bare []any
	for i := range orders {
		user, order := fmt.Sprintf("user-%03d", i), fmt.Sprintf("order-%03d", i)
		for _, p := range []string{"WELCOME", "SPRING"} {
			issues = append(issues, coupon.Issue{PolicyID: p, UserID: user, CouponID: uuid.NewString()})
		}
		uses = append(uses, decreased(order, user, "WELCOME"))
		undos = append(undos, &paymentv1.PaymentCancelled{OrderId: order, UserId: user, HasCoupons: true}, decreased(order+"b", user, "SPRING"))
		bare = append(bare, decreased(order+"c", user))
	}
	measure("issue", issues)
	measure("use", uses)
	measure("undo and use", undos)
	measure("orders without coupons", bare)
	var spent int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM coupon_spent s JOIN coupon c USING (coupon_id) WHERE c.policy_id = 'SPRING'`).Scan(&spent); err != nil || spent != orders {
		t.Errorf("%d spent, %v", spent, err)
	}
}
