package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/mailer"
)

// MailView is a mail as operators see it; whom it went to is not theirs to know.
type MailView struct {
	OrderID   string       `json:"orderId"`
	Kind      mailer.Kind  `json:"kind"`
	State     mailer.State `json:"state"`
	Code      string       `json:"code,omitempty"` // why it was refused or came back: "550 5.1.1"
	Attempts  int          `json:"attempts"`
	LastError string       `json:"lastError,omitempty"` // why it was not taken the last time
	CreatedAt time.Time    `json:"createdAt"`
	UpdatedAt time.Time    `json:"updatedAt"`
}

// OrderMails lists the mails about an order, oldest first.
func OrderMails(ctx context.Context, pool *pgxpool.Pool, orderID string) ([]MailView, error) {
	rows, err := pool.Query(ctx, `
		SELECT m.order_id, m.kind, m.state, m.code, coalesce(c.attempts, 0), coalesce(c.last_error, ''), m.created_at, m.updated_at
		FROM mail m LEFT JOIN call c ON c.subject = m.order_id AND c.kind = 'mail_' || m.kind
		WHERE m.order_id = $1 ORDER BY m.created_at, m.kind`, orderID)
	if err != nil {
		return nil, fmt.Errorf("list an order's mails: %w", err)
	}
	views, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (MailView, error) {
		var v MailView
		err := row.Scan(&v.OrderID, &v.Kind, &v.State, &v.Code, &v.Attempts, &v.LastError, &v.CreatedAt, &v.UpdatedAt)
		v.CreatedAt, v.UpdatedAt = v.CreatedAt.UTC(), v.UpdatedAt.UTC()
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("list an order's mails: %w", err)
	}
	return views, nil
}

// Known says whether there is a mail of that kind about the order.
func Known(ctx context.Context, pool *pgxpool.Pool, orderID string, kind mailer.Kind) (known bool, err error) {
	err = pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM mail WHERE order_id = $1 AND kind = $2)`, orderID, kind).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("look for a mail: %w", err)
	}
	return known, nil
}

// Trouble is a state in which mails are that should not be.
type Trouble struct {
	Orders []string // the oldest ones
	Count  int
	Since  time.Time
}

// InTrouble counts the mails that have been in a state for between least and most, by the database's clock.
func InTrouble(ctx context.Context, pool *pgxpool.Pool, state mailer.State, least, most time.Duration) (Trouble, error) {
	var t Trouble
	var since *time.Time
	err := pool.QueryRow(ctx, `
		SELECT count(*), min(updated_at), coalesce((array_agg(order_id ORDER BY updated_at))[:20], '{}')
		FROM mail WHERE state = $1 AND updated_at BETWEEN clock_timestamp() - $3::interval AND clock_timestamp() - $2::interval`,
		state, least, most).Scan(&t.Count, &since, &t.Orders)
	if err != nil {
		return t, fmt.Errorf("count mails in state %s: %w", state, err)
	}
	if since != nil {
		t.Since = since.UTC()
	}
	return t, nil
}
