package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// What the shop starts with. Nothing runs out: every order has a coupon of its
// own, and a refusal would be an error of the run.
const (
	members  = 10_000
	products = 1_000
	stock    = 1_000_000_000     // of each product
	points   = 1_000_000_000_000 // of each member, minor unit
	price    = 10_000            // of one piece, minor unit
	discount = 1_000             // of each coupon, minor unit
)

const orderSchema = `
CREATE TABLE orders (
    order_id     text COLLATE "C" PRIMARY KEY,
    user_id      text        NOT NULL,
    status       text        NOT NULL,
    product_id   text        NOT NULL,
    quantity     bigint      NOT NULL,
    amount       bigint      NOT NULL,
    coupon_id    text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz
) WITH (fillfactor = 75);`

const stockSchema = `
CREATE TABLE product (
    product_id text COLLATE "C" PRIMARY KEY,
    quantity   bigint NOT NULL CHECK (quantity >= 0)
) WITH (fillfactor = 50);
CREATE TABLE reservation (
    order_id   text COLLATE "C" PRIMARY KEY,
    product_id text        NOT NULL,
    quantity   bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);`

const couponSchema = `
CREATE TABLE coupon (
    coupon_id text COLLATE "C" PRIMARY KEY,
    discount  bigint NOT NULL
);
CREATE TABLE coupon_use (
    order_id   text COLLATE "C" PRIMARY KEY,
    coupon_id  text COLLATE "C" NOT NULL UNIQUE,
    user_id    text        NOT NULL,
    discount   bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);`

const paymentSchema = `
CREATE TABLE points (
    user_id text COLLATE "C" PRIMARY KEY,
    balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 50);
CREATE TABLE payment (
    order_id   text COLLATE "C" PRIMARY KEY,
    payment_id text        NOT NULL,
    user_id    text        NOT NULL,
    amount     bigint      NOT NULL,
    discount   bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);`

// seed fills the tables with what orders take from.
func (s *shop) seed(ctx context.Context) error {
	total := s.cfg.warmup + s.cfg.orders
	for _, fill := range []struct {
		in    *service
		query string
		args  []any
	}{
		{s.stock, `INSERT INTO product SELECT 'product-' || i, $2 FROM generate_series(0, $1::int - 1) i`, []any{products, int64(stock)}},
		{s.coupon, `INSERT INTO coupon SELECT 'coupon-' || i, $2 FROM generate_series(0, $1::int - 1) i`, []any{total, int64(discount)}},
		{s.payment, `INSERT INTO points SELECT 'user-' || i, $2 FROM generate_series(0, $1::int - 1) i`, []any{members, int64(points)}},
	} {
		if _, err := fill.in.pool.Exec(ctx, fill.query, fill.args...); err != nil {
			return fmt.Errorf("seed %s: %w", fill.in.name, err)
		}
		if _, err := fill.in.pool.Exec(ctx, "VACUUM ANALYZE"); err != nil {
			return fmt.Errorf("analyze %s: %w", fill.in.name, err)
		}
	}
	return nil
}

func placeOrder(ctx context.Context, tx pgx.Tx, e event) (event, bool, error) {
	_, err := tx.Exec(ctx, `INSERT INTO orders (order_id, user_id, status, product_id, quantity, amount, coupon_id)
		VALUES ($1, $2, 'PENDING', $3, $4, $5, $6)`, e.OrderID, e.UserID, e.ProductID, e.Quantity, e.Amount, e.CouponID)
	return e, err == nil, err
}

// decreaseStock takes the pieces and notes for whom in one statement; where the
// note is there already nothing is taken.
func decreaseStock(ctx context.Context, tx pgx.Tx, e event) (event, bool, error) {
	tag, err := tx.Exec(ctx, `WITH r AS (
			INSERT INTO reservation (order_id, product_id, quantity) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING RETURNING product_id, quantity)
		UPDATE product p SET quantity = p.quantity - r.quantity FROM r WHERE p.product_id = r.product_id`,
		e.OrderID, e.ProductID, e.Quantity)
	return e, tag.RowsAffected() == 1, err
}

func useCoupon(ctx context.Context, tx pgx.Tx, e event) (event, bool, error) {
	err := tx.QueryRow(ctx, `INSERT INTO coupon_use (order_id, coupon_id, user_id, discount)
		SELECT $1, coupon_id, $3, discount FROM coupon WHERE coupon_id = $2
		ON CONFLICT (order_id) DO NOTHING RETURNING discount`, e.OrderID, e.CouponID, e.UserID).Scan(&e.Discount)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, false, nil
	}
	return e, err == nil, err
}

// takePayment pays with the member's points: no provider is called, which would
// only add to the peer's time.
func takePayment(ctx context.Context, tx pgx.Tx, e event) (event, bool, error) {
	e.PaymentID = uuid.Must(uuid.NewV7()).String()
	tag, err := tx.Exec(ctx, `WITH p AS (
			INSERT INTO payment (order_id, payment_id, user_id, amount, discount) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (order_id) DO NOTHING RETURNING user_id, amount)
		UPDATE points SET balance = balance - p.amount FROM p WHERE points.user_id = p.user_id`,
		e.OrderID, e.PaymentID, e.UserID, e.Amount-e.Discount, e.Discount)
	return e, tag.RowsAffected() == 1, err
}

func completeOrder(ctx context.Context, tx pgx.Tx, e event) (event, bool, error) {
	tag, err := tx.Exec(ctx, `UPDATE orders SET status = 'COMPLETED', completed_at = now()
		WHERE order_id = $1 AND status = 'PENDING'`, e.OrderID)
	return e, tag.RowsAffected() == 1, err
}
