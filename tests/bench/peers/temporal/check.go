package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// closed are the workflows of the measured orders that have ended, as the rows
// of Temporal's own store tell it.
type closed struct {
	Completed int `json:"workflows_completed"`
	Failed    int `json:"workflows_failed"`
	All       int `json:"workflows"`
}

// awaitClosed waits until n workflows of the measured orders have ended. The
// last step of an order is committed some milliseconds before its workflow ends.
func awaitClosed(ctx context.Context, conn *pgx.Conn, n int) (closed, error) {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		var c closed
		// Of api/enums: status 2 is COMPLETED, 3 is FAILED.
		err := conn.QueryRow(ctx, `
SELECT count(*) FILTER (WHERE status = 2), count(*) FILTER (WHERE status = 3), count(*)
FROM current_executions WHERE workflow_id LIKE 'order-%'`).Scan(&c.Completed, &c.Failed, &c.All)
		if err != nil {
			return c, fmt.Errorf("count the workflows that have ended: %w", err)
		}
		if c.Completed+c.Failed >= n {
			return c, nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return c, fmt.Errorf("wait for %d workflows to end, %d have: %w", n, c.Completed+c.Failed, ctx.Err())
		}
	}
}

// checks are rows counted in the databases after the run.
type checks struct {
	Completed    int `json:"completed"`
	Cancelled    int `json:"cancelled"`
	Reservations int `json:"reservations"`
	CouponUses   int `json:"coupon_uses"`
	Payments     int `json:"payments"`
	closed
}

// querier is the pool, or a transaction in a test.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// check counts every order's rows and compares them with what was asked for:
// each order settled exactly once, with one row of each step, and the stock
// lower by what the completed orders took.
func check(ctx context.Context, shop querier, orders []Order, workflows closed) (checks, error) {
	c := checks{closed: workflows}
	var missing int64
	err := shop.QueryRow(ctx, `
SELECT (SELECT count(*) FROM shop_order  WHERE order_id LIKE 'order-%' AND state = 'COMPLETED'),
       (SELECT count(*) FROM shop_order  WHERE order_id LIKE 'order-%' AND state = 'CANCELLED'),
       (SELECT count(*) FROM reservation WHERE order_id LIKE 'order-%' AND state = 'DONE'),
       (SELECT count(*) FROM coupon_use  WHERE order_id LIKE 'order-%' AND state = 'DONE'),
       (SELECT count(*) FROM payment     WHERE order_id LIKE 'order-%' AND state = 'DONE'),
       (SELECT coalesce(sum($1 - quantity), 0) FROM product)
     - (SELECT coalesce(sum(quantity), 0) FROM reservation WHERE state = 'DONE')`, stock).
		Scan(&c.Completed, &c.Cancelled, &c.Reservations, &c.CouponUses, &c.Payments, &missing)
	if err != nil {
		return c, fmt.Errorf("count the rows of the shop: %w", err)
	}
	declined := 0
	for _, o := range orders {
		if o.Declined {
			declined++
		}
	}
	return c, c.compare(len(orders)-declined, declined, missing)
}

// compare names everything that does not agree.
func (c checks) compare(completed, cancelled int, missing int64) error {
	var wrong []error
	expect := func(what string, got, want int) {
		if got != want {
			wrong = append(wrong, fmt.Errorf("%s: %d, not %d", what, got, want))
		}
	}
	expect("orders completed", c.Completed, completed)
	expect("orders cancelled", c.Cancelled, cancelled)
	expect("reservations", c.Reservations, completed)
	expect("coupons used", c.CouponUses, completed)
	expect("payments", c.Payments, completed)
	expect("workflows completed", c.closed.Completed, completed)
	expect("workflows failed", c.Failed, cancelled)
	expect("workflows", c.All, completed+cancelled)
	expect("pieces that left the stock without a reservation", int(missing), 0)
	return errors.Join(wrong...)
}
