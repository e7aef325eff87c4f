package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/payment"
)

// LedgerEntry is one line of a member's ledger, as the API shows it.
type LedgerEntry struct {
	// ID orders the entries and is what startingAfter takes.
	ID int64 `json:"id,string"`
	// Amount of points, negative for what was taken.
	Amount int64             `json:"amount"`
	Kind   payment.EntryKind `json:"kind"`
	// OrderID is null for a grant.
	OrderID *string   `json:"orderId"`
	At      time.Time `json:"at"`
}

// Ledger reads a member's balance and at most limit entries, newest first, those older than the entry
// before (0: from the newest). One statement, so that both are of the same moment. A member without an
// account has 0 and no entries.
func Ledger(ctx context.Context, pool *pgxpool.Pool, userID string, before int64, limit int) (balance int64, entries []LedgerEntry, err error) {
	rows, err := pool.Query(ctx, `
		SELECT coalesce(p.balance, 0), l.id, l.amount, l.kind, l.order_id, l.at
		FROM (VALUES ($1)) AS member(id)
		LEFT JOIN points p ON p.user_id = member.id
		LEFT JOIN LATERAL (
			SELECT id, amount, kind, order_id, at FROM ledger
			WHERE user_id = member.id AND ($2 = 0 OR id < $2) ORDER BY id DESC LIMIT $3
		) AS l ON true
		ORDER BY l.id DESC`, userID, before, limit)
	if err != nil {
		return 0, nil, fmt.Errorf("read ledger: %w", err)
	}
	var id, amount *int64
	var kind, order *string
	var at *time.Time
	_, err = pgx.ForEachRow(rows, []any{&balance, &id, &amount, &kind, &order, &at}, func() error {
		if id != nil {
			entries = append(entries, LedgerEntry{ID: *id, Amount: *amount, Kind: payment.EntryKind(*kind), OrderID: order, At: at.UTC()})
		}
		return nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("read ledger: %w", err)
	}
	return balance, entries, nil
}

// Payment reads one order's payment; false if there is none.
func Payment(ctx context.Context, pool *pgxpool.Pool, orderID string) (payment.Payment, bool, error) {
	return onePayment(ctx, pool, `SELECT `+paymentColumns+` FROM payment WHERE order_id = $1`, orderID)
}

func onePayment(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (payment.Payment, bool, error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return payment.Payment{}, false, fmt.Errorf("read payment: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanPayment)
	if errors.Is(err, pgx.ErrNoRows) {
		return payment.Payment{}, false, nil
	}
	if err != nil {
		return payment.Payment{}, false, fmt.Errorf("read payment: %w", err)
	}
	return p, true, nil
}

// PaymentOf reads a member's own payment; false if there is none, or it is somebody else's.
func PaymentOf(ctx context.Context, pool *pgxpool.Pool, orderID, userID string) (payment.Payment, bool, error) {
	return onePayment(ctx, pool, `SELECT `+paymentColumns+` FROM payment WHERE order_id = $1 AND user_id = $2`, orderID, userID)
}

// transferAge is how long an order's transfer is looked for: far longer than any order waits for one.
const transferAge = 7 * 24 * time.Hour

// OpenTransfers are payments that wait for the buyer's transfer, and have for at least the time.
func OpenTransfers(ctx context.Context, pool *pgxpool.Pool, since time.Duration, limit int) ([]payment.Payment, error) {
	rows, err := pool.Query(ctx, `
		SELECT `+paymentColumns+` FROM payment
		WHERE payment_type = 'PAYMENT_TYPE_TRANSFER' AND state = 'AWAITING'
		  AND created_at > clock_timestamp() - $1::interval AND created_at < clock_timestamp() - $2::interval
		ORDER BY created_at LIMIT $3`, transferAge, since, limit)
	if err != nil {
		return nil, fmt.Errorf("list open transfers: %w", err)
	}
	open, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("list open transfers: %w", err)
	}
	return open, nil
}

// Waiting is a group of orders that need a person.
type Waiting struct {
	Orders []string // the oldest 20
	Count  int
	Since  time.Time
}

// RefusedRefunds are payments whose refund the provider has refused for good.
func RefusedRefunds(ctx context.Context, pool *pgxpool.Pool) (Waiting, error) {
	return waiting(ctx, pool, `
		SELECT count(*), coalesce(min(updated_at), 'epoch'), coalesce((array_agg(order_id ORDER BY updated_at))[1:20], '{}')
		FROM payment WHERE refund = 'REFUSED'`)
}

// Unsettled are orders whose charge or refund was sent longer than age ago and is still not known. It reads
// the engine's open calls, which are few, rather than keep an index on payment's state, which every order
// would pay for twice.
func Unsettled(ctx context.Context, pool *pgxpool.Pool, kinds []string, age time.Duration) (Waiting, error) {
	return waiting(ctx, pool, `
		SELECT count(*), coalesce(min(created_at), 'epoch'), coalesce((array_agg(subject ORDER BY created_at))[1:20], '{}')
		FROM call WHERE state = 0 AND kind = ANY($1) AND created_at < clock_timestamp() - $2::interval`, kinds, age)
}

func waiting(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (Waiting, error) {
	var w Waiting
	if err := pool.QueryRow(ctx, sql, args...).Scan(&w.Count, &w.Since, &w.Orders); err != nil {
		return w, fmt.Errorf("list what needs a person: %w", err)
	}
	w.Since = w.Since.UTC()
	return w, nil
}
