package main

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/temporal"
)

// openTestShop returns a shop with a database of its own, and three orders.
func openTestShop(t *testing.T) (*Shop, []Order) {
	t.Helper()
	s := settingsOf(t)
	d, err := createDatabases(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := d.openShop(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &Shop{pool: pool, settled: func(string) {}}, makeOrders("order", 3, s)
}

type activity func(context.Context, Order) error

func (s *Shop) forward() []activity {
	return []activity{s.Place, s.DecreaseStock, s.UseCoupon, s.TakePayment, s.Complete}
}

// place takes orders through all steps, each of them tried twice.
func place(t *testing.T, shop *Shop, orders []Order) {
	t.Helper()
	for _, o := range orders {
		for i, do := range shop.forward() {
			for range 2 {
				if err := do(t.Context(), o); err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
			}
		}
	}
}

var errRollback = errors.New("roll back")

// What is not right is found, in each table; steps that ran twice are right.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	shop, orders := openTestShop(t)
	place(t, shop, orders)
	ended := closed{Completed: 3, All: 3}
	if _, err := check(ctx, shop.pool, orders, ended); err != nil {
		t.Fatalf("nothing is wrong: %v", err)
	}
	if _, err := check(ctx, shop.pool, orders, closed{Completed: 2, Failed: 1, All: 3}); err == nil {
		t.Error("a failed workflow was not found")
	}
	for _, harm := range []string{
		`UPDATE shop_order SET state = 'PLACED' WHERE order_id = $1`,
		`DELETE FROM reservation WHERE order_id = $1`,
		`UPDATE reservation SET quantity = quantity + 1 WHERE order_id = $1`,
		`UPDATE coupon_use SET state = 'UNDONE' WHERE order_id = $1`,
		`DELETE FROM payment WHERE order_id = $1`,
	} {
		err := pgx.BeginFunc(ctx, shop.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, harm, orders[0].OrderID); err != nil {
				return err
			}
			if _, err := check(ctx, tx, orders, ended); err == nil {
				t.Errorf("not found: %s", harm)
			}
			return errRollback
		})
		if !errors.Is(err, errRollback) {
			t.Fatal(err)
		}
	}
}

// An attempt that timed out may run on while its undo runs: when the undo was
// faster, the attempt must not do the step any more.
func TestUndoneStepIsNotDoneLater(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	shop, orders := openTestShop(t)
	o := orders[0]
	undo := []activity{shop.Cancel, shop.IncreaseStock, shop.ReturnCoupon, shop.RefundPayment}
	for i, undo := range undo {
		for range 2 {
			if err := undo(ctx, o); err != nil {
				t.Fatalf("undo of step %d: %v", i, err)
			}
		}
		if refused(shop.forward()[i](ctx, o)) == "" {
			t.Errorf("step %d was done after its undo", i)
		}
	}
	if left := left(t, shop, o.ProductID); left != stock {
		t.Errorf("%d pieces left, not %d", left, stock)
	}
}

func TestUndoGivesBackWhatWasTakenOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	shop, orders := openTestShop(t)
	o := orders[0]
	if err := shop.DecreaseStock(ctx, o); err != nil {
		t.Fatal(err)
	}
	if left := left(t, shop, o.ProductID); left != stock-o.Quantity {
		t.Fatalf("%d pieces left, not %d", left, stock-o.Quantity)
	}
	for range 2 {
		if err := shop.IncreaseStock(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	if left := left(t, shop, o.ProductID); left != stock {
		t.Fatalf("%d pieces left after the undo, not %d", left, stock)
	}
}

// Business answers end the retries.
func TestRefusals(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	shop, orders := openTestShop(t)
	tooMany, sameCoupon, declined := orders[0], orders[1], orders[2]
	tooMany.Quantity = stock + 1
	if reason := refused(shop.DecreaseStock(ctx, tooMany)); reason != "out of stock" {
		t.Errorf("too many pieces: %q", reason)
	}
	if err := shop.UseCoupon(ctx, orders[0]); err != nil {
		t.Fatal(err)
	}
	sameCoupon.CouponID = orders[0].CouponID
	if reason := refused(shop.UseCoupon(ctx, sameCoupon)); reason != "coupon used already" {
		t.Errorf("the same coupon: %q", reason)
	}
	declined.Declined = true
	for range 2 {
		if reason := refused(shop.TakePayment(ctx, declined)); reason != "payment declined" {
			t.Errorf("a declined card: %q", reason)
		}
	}
	unknown := orders[0]
	unknown.ProductID = "PRD_unknown"
	if refused(shop.DecreaseStock(ctx, unknown)) == "" {
		t.Error("an unknown product was taken")
	}
}

// refused is the reason of a refusal for good, empty for anything else.
func refused(err error) string {
	var answer *temporal.ApplicationError
	if errors.As(err, &answer) && answer.NonRetryable() {
		return answer.Message()
	}
	return ""
}

func left(t *testing.T, shop *Shop, productID string) (pieces int64) {
	t.Helper()
	err := shop.pool.QueryRow(t.Context(), `SELECT quantity FROM product WHERE product_id = $1`, productID).Scan(&pieces)
	if err != nil {
		t.Fatal(err)
	}
	return pieces
}
