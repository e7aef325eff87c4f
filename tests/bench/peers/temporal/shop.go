package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/temporal"
)

// The shop's own tables. The order id is the key of every step's row, so that a
// step which is tried again finds its row and changes nothing. A step that is
// undone before it was done leaves a row with nothing in it (a tombstone), which
// refuses the late attempt for good.
const shopTables = `
CREATE TABLE product (
    product_id text COLLATE "C" PRIMARY KEY,
    price      bigint NOT NULL,
    quantity   bigint NOT NULL,
    CONSTRAINT stock_never_negative CHECK (quantity >= 0)
) WITH (fillfactor = 50);

CREATE TABLE shop_order (
    order_id     text COLLATE "C" PRIMARY KEY,
    user_id      text        NOT NULL,
    product_id   text        NOT NULL,
    quantity     bigint      NOT NULL,
    amount       bigint      NOT NULL,
    state        text        NOT NULL CHECK (state IN ('PLACED', 'COMPLETED', 'CANCELLED')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz
) WITH (fillfactor = 70);

CREATE TABLE reservation (
    order_id   text COLLATE "C" PRIMARY KEY,
    product_id text        NOT NULL,
    quantity   bigint      NOT NULL,
    state      text        NOT NULL CHECK (state IN ('DONE', 'UNDONE')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE coupon_use (
    order_id   text COLLATE "C" PRIMARY KEY,
    coupon_id  text COLLATE "C" NOT NULL,
    user_id    text        NOT NULL,
    discount   bigint      NOT NULL,
    state      text        NOT NULL CHECK (state IN ('DONE', 'UNDONE')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX coupon_used_once ON coupon_use (coupon_id) WHERE state = 'DONE';

CREATE TABLE payment (
    order_id   text COLLATE "C" PRIMARY KEY,
    user_id    text        NOT NULL,
    amount     bigint      NOT NULL,
    state      text        NOT NULL CHECK (state IN ('DONE', 'DECLINED', 'UNDONE')),
    created_at timestamptz NOT NULL DEFAULT now()
);`

// Every step is one statement, so one transaction and one round trip.
const (
	placeOrder = `
INSERT INTO shop_order (order_id, user_id, product_id, quantity, amount, state)
VALUES ($1, $2, $3, $4, $5, 'PLACED') ON CONFLICT (order_id) DO NOTHING`

	completeOrder = `
UPDATE shop_order SET state = 'COMPLETED', completed_at = now() WHERE order_id = $1 AND state = 'PLACED'`

	cancelOrder = `
INSERT INTO shop_order (order_id, user_id, product_id, quantity, amount, state)
VALUES ($1, $2, $3, 0, 0, 'CANCELLED')
ON CONFLICT (order_id) DO UPDATE SET state = 'CANCELLED' WHERE shop_order.state = 'PLACED'`

	decreaseStock = `
WITH taken AS (
    INSERT INTO reservation (order_id, product_id, quantity, state)
    SELECT $1, product_id, $3, 'DONE' FROM product WHERE product_id = $2
    ON CONFLICT (order_id) DO NOTHING RETURNING product_id, quantity)
UPDATE product SET quantity = product.quantity - taken.quantity
FROM taken WHERE product.product_id = taken.product_id`

	increaseStock = `
WITH returned AS (
    INSERT INTO reservation (order_id, product_id, quantity, state) VALUES ($1, $2, 0, 'UNDONE')
    ON CONFLICT (order_id) DO UPDATE SET state = 'UNDONE' WHERE reservation.state = 'DONE'
    RETURNING product_id, quantity)
UPDATE product SET quantity = product.quantity + returned.quantity
FROM returned WHERE product.product_id = returned.product_id`

	useCoupon = `
INSERT INTO coupon_use (order_id, coupon_id, user_id, discount, state)
VALUES ($1, $2, $3, $4, 'DONE') ON CONFLICT (order_id) DO NOTHING`

	returnCoupon = `
INSERT INTO coupon_use (order_id, coupon_id, user_id, discount, state)
VALUES ($1, $2, $3, 0, 'UNDONE')
ON CONFLICT (order_id) DO UPDATE SET state = 'UNDONE' WHERE coupon_use.state = 'DONE'`

	takePayment = `
INSERT INTO payment (order_id, user_id, amount, state)
VALUES ($1, $2, $3, $4) ON CONFLICT (order_id) DO NOTHING`

	refundPayment = `
INSERT INTO payment (order_id, user_id, amount, state)
VALUES ($1, $2, 0, 'UNDONE')
ON CONFLICT (order_id) DO UPDATE SET state = 'UNDONE' WHERE payment.state = 'DONE'`
)

// Order is what a customer orders: the argument of the saga and of its steps.
// Amounts are in the minor unit of one currency.
type Order struct {
	OrderID   string `json:"orderId"`
	UserID    string `json:"userId"`
	ProductID string `json:"productId"`
	Quantity  int64  `json:"quantity"`
	CouponID  string `json:"couponId"`
	Discount  int64  `json:"discount"`
	Amount    int64  `json:"amount"`
	Declined  bool   `json:"declined,omitempty"` // the card is one that the bank declines
}

// Shop holds the activities: the steps of an order and their undo. Each is
// safe to be tried again.
type Shop struct {
	pool *pgxpool.Pool
	// settled is told the id of an order whose last step is committed,
	// possibly more than once.
	settled func(orderID string)
}

// Place writes the order.
func (s *Shop) Place(ctx context.Context, o Order) error {
	done, err := s.change(ctx, placeOrder, o.OrderID, o.UserID, o.ProductID, o.Quantity, o.Amount)
	return s.verdict(ctx, "shop_order", "PLACED", o.OrderID, done, err)
}

// DecreaseStock takes the pieces. A product that has too few fails the step for good.
func (s *Shop) DecreaseStock(ctx context.Context, o Order) error {
	done, err := s.change(ctx, decreaseStock, o.OrderID, o.ProductID, o.Quantity)
	return s.verdict(ctx, "reservation", "DONE", o.OrderID, done, err)
}

// UseCoupon uses the coupon for this order. One that is used already fails the step for good.
func (s *Shop) UseCoupon(ctx context.Context, o Order) error {
	done, err := s.change(ctx, useCoupon, o.OrderID, o.CouponID, o.UserID, o.Discount)
	return s.verdict(ctx, "coupon_use", "DONE", o.OrderID, done, err)
}

// TakePayment charges the card. One that is declined fails the step for good.
func (s *Shop) TakePayment(ctx context.Context, o Order) error {
	state := "DONE"
	if o.Declined {
		state = "DECLINED"
	}
	done, err := s.change(ctx, takePayment, o.OrderID, o.UserID, o.Amount, state)
	if err == nil && o.Declined {
		return refusal("payment declined")
	}
	return s.verdict(ctx, "payment", "DONE", o.OrderID, done, err)
}

// Complete ends the order.
func (s *Shop) Complete(ctx context.Context, o Order) error {
	done, err := s.change(ctx, completeOrder, o.OrderID)
	if err := s.verdict(ctx, "shop_order", "COMPLETED", o.OrderID, done, err); err != nil {
		return err
	}
	s.settled(o.OrderID)
	return nil
}

// RefundPayment undoes TakePayment.
func (s *Shop) RefundPayment(ctx context.Context, o Order) error {
	_, err := s.change(ctx, refundPayment, o.OrderID, o.UserID)
	return err
}

// ReturnCoupon undoes UseCoupon.
func (s *Shop) ReturnCoupon(ctx context.Context, o Order) error {
	_, err := s.change(ctx, returnCoupon, o.OrderID, o.CouponID, o.UserID)
	return err
}

// IncreaseStock undoes DecreaseStock.
func (s *Shop) IncreaseStock(ctx context.Context, o Order) error {
	_, err := s.change(ctx, increaseStock, o.OrderID, o.ProductID)
	return err
}

// Cancel undoes Place.
func (s *Shop) Cancel(ctx context.Context, o Order) error {
	if _, err := s.change(ctx, cancelOrder, o.OrderID, o.UserID, o.ProductID); err != nil {
		return err
	}
	s.settled(o.OrderID)
	return nil
}

// change runs one statement in its own transaction and tells whether it changed a row.
func (s *Shop) change(ctx context.Context, sql string, args ...any) (bool, error) {
	tag, err := s.pool.Exec(ctx, sql, args...)
	if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) {
		switch pgErr.ConstraintName {
		case "stock_never_negative":
			return false, refusal("out of stock")
		case "coupon_used_once":
			return false, refusal("coupon used already")
		}
	}
	if err != nil {
		return false, fmt.Errorf("change the shop: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// verdict decides what a step that changed nothing means: an earlier attempt
// did it (the row is in the wanted state) or its undo was faster.
func (s *Shop) verdict(ctx context.Context, table, want, orderID string, done bool, err error) error {
	if err != nil || done {
		return err
	}
	var state string
	err = s.pool.QueryRow(ctx, "SELECT state FROM "+table+" WHERE order_id = $1", orderID).Scan(&state)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return refusal("no row of this order in " + table)
	case err != nil:
		return fmt.Errorf("read the state of an order in %s: %w", table, err)
	case state != want:
		return refusal(table + " is " + state)
	}
	return nil
}

// refusal is a business answer: trying again would not change it.
func refusal(reason string) error {
	return temporal.NewNonRetryableApplicationError(reason, "Refused", nil)
}
