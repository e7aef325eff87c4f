package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// ErrBusy says that another replica compares at the moment.
var ErrBusy = errors.New("another replica is at it")

// reconcileLock is the advisory lock of the replica that compares: "payrecon" in ASCII.
const reconcileLock = 0x7061797265636f6e

// Difference is a place where the provider's list and the payments do not agree.
type Difference struct {
	Kind     string `json:"kind"`
	OrderID  string `json:"orderId"`
	ChargeID string `json:"chargeId"`
	// Amount is the provider's, or ours where it has none; minor units.
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// The kinds of Difference. Those that only say that something is still open are looked at first by asking the
// provider.
const (
	UnknownCharge    = "UNKNOWN_CHARGE"    // charged there, and no payment here
	SecondCharge     = "SECOND_CHARGE"     // charged there beside the payment's own charge
	AmountDiffers    = "AMOUNT_DIFFERS"    // another amount or currency
	ChargedAfterAll  = "CHARGED_AFTER_ALL" // charged there, and here nothing was taken
	StillOpen        = "STILL_OPEN"        // charged there, and here not known yet
	RefundStillOpen  = "REFUND_STILL_OPEN" // refunded there, and here not known yet
	RefundedUnasked  = "REFUNDED_UNASKED"  // refunded there, and here never asked for
	MissingCharge    = "MISSING_CHARGE"    // charged here, and not there
	MissingRefund    = "MISSING_REFUND"    // refunded here, and not there
	mostDifferences  = 1000                // that are kept of a day
	listedLateBy     = time.Hour           // how much later than its order a charge may be listed
	oldestOfADay     = 7 * 24 * time.Hour  // how much older than its refund an order may be
	reconcileTimeout = 5 * time.Minute     // of one statement over a day
)

// Day is a provider's list of a day, beside the payments, in a session of its own that no other replica has.
type Day struct {
	conn *pgxpool.Conn
	day  time.Time
}

// OpenDay takes the lock, or says ErrBusy. Close gives it back.
func OpenDay(ctx context.Context, pool *pgxpool.Pool, day time.Time) (*Day, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("take the reconciliation's lock: %w", err)
	}
	d := &Day{conn: conn, day: day}
	var taken bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(reconcileLock)).Scan(&taken)
	switch {
	case err != nil:
		conn.Release()
		return nil, fmt.Errorf("take the reconciliation's lock: %w", err)
	case !taken:
		conn.Release()
		return nil, ErrBusy
	}
	// In the session's own tables a list of any length costs this process no memory.
	for _, sql := range []string{
		`DROP TABLE IF EXISTS pg_temp.listed`,
		`CREATE TEMPORARY TABLE listed (kind text, charge_id text COLLATE "C", order_id text COLLATE "C", amount bigint, currency text, late boolean)`,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			d.Close(ctx)
			return nil, fmt.Errorf("make room for the provider's list: %w", err)
		}
	}
	return d, nil
}

// Close ends the session's lock and forgets the list.
func (d *Day) Close(ctx context.Context) {
	// Also when ctx has ended: the connection goes back to the pool.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, err := d.conn.Exec(ctx, `DROP TABLE IF EXISTS pg_temp.listed`)
	if err == nil {
		_, err = d.conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, int64(reconcileLock))
	}
	if err != nil {
		_ = d.conn.Conn().Close(ctx) // then the lock goes with the session
	}
	d.conn.Release()
}

// Window is what has to be listed: the day, and a while longer for charges of its last orders.
func (d *Day) Window() (from, to time.Time) { return d.day, d.day.Add(24*time.Hour + listedLateBy) }

// Add notes a page of the provider's list.
func (d *Day) Add(ctx context.Context, page []provider.Movement) error {
	end := d.day.Add(24 * time.Hour)
	_, err := d.conn.CopyFrom(ctx, pgx.Identifier{"pg_temp", "listed"}, []string{"kind", "charge_id", "order_id", "amount", "currency", "late"},
		pgx.CopyFromSlice(len(page), func(i int) ([]any, error) {
			m := page[i]
			return []any{string(m.Kind), m.ChargeID, m.OrderID, m.Amount, m.Currency, !m.At.Before(end)}, nil
		}))
	if err != nil {
		return fmt.Errorf("keep %d lines of the provider's list: %w", len(page), err)
	}
	return nil
}

// Count is how many charges and refunds the day's list has.
func (d *Day) Count(ctx context.Context) (charges, refunds int64, err error) {
	err = d.conn.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE kind = 'CHARGE'), count(*) FILTER (WHERE kind = 'REFUND') FROM listed WHERE NOT late`).Scan(&charges, &refunds)
	if err != nil {
		return 0, 0, fmt.Errorf("count the provider's list: %w", err)
	}
	return charges, refunds, nil
}

// Differences compares. A line is of the order that the provider names; where that is none of ours (a window of
// Toss Payments is opened under an id of the front end's) of the one that has its charge, or its token.
//
// Orders are bounded by their ids, which begin with the time they were placed at: nothing here needs an index
// that every payment would have to pay for.
func (d *Day) Differences(ctx context.Context) ([]Difference, error) {
	end := d.day.Add(24 * time.Hour)
	tx, err := d.conn.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("compare with the provider's list: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only reads
	if _, err := tx.Exec(ctx, fmt.Sprintf(`SET LOCAL statement_timeout = %d`, reconcileTimeout.Milliseconds())); err != nil {
		return nil, fmt.Errorf("compare with the provider's list: %w", err)
	}
	rows, err := tx.Query(ctx, differences, idAt(d.day.Add(-oldestOfADay)), idAt(end), idAt(d.day), d.day, end, mostDifferences)
	if err != nil {
		return nil, fmt.Errorf("compare with the provider's list: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Difference])
	if err != nil {
		return nil, fmt.Errorf("compare with the provider's list: %w", err)
	}
	return found, nil
}

const differences = `
	WITH recent AS MATERIALIZED (
		SELECT order_id, state, refund, amount, currency, charge_id, split_part(token, ':', 1) AS token, updated_at
		FROM payment WHERE order_id >= $1 AND order_id < $2
	), named AS (
		SELECT l.*, p.order_id AS own, p.state, p.refund, p.amount AS paid, p.currency AS paid_in, p.charge_id AS own_charge
		FROM listed l JOIN payment p ON p.order_id = l.order_id WHERE NOT l.late
	), found AS (
		SELECT * FROM named
		UNION ALL
		SELECT l.*, p.order_id, p.state, p.refund, p.amount, p.currency, p.charge_id
		FROM listed l LEFT JOIN LATERAL (
			SELECT * FROM recent r
			WHERE r.charge_id = l.charge_id OR r.charge_id = '' AND r.token = l.charge_id AND r.state <> 'FAILED'
			ORDER BY r.charge_id = l.charge_id DESC LIMIT 1
		) AS p ON true
		WHERE NOT l.late AND NOT EXISTS (SELECT FROM payment n WHERE n.order_id = l.order_id)
	), judged AS (
		SELECT CASE
			WHEN kind = 'CHARGE' AND own IS NULL THEN 'UNKNOWN_CHARGE'
			WHEN kind = 'CHARGE' AND state IN ('CHARGING', 'ASKING', 'VOIDING', 'CLOSING', 'AWAITING') THEN 'STILL_OPEN'
			WHEN kind = 'CHARGE' AND own_charge = '' THEN 'CHARGED_AFTER_ALL'
			WHEN kind = 'CHARGE' AND own_charge <> charge_id THEN 'SECOND_CHARGE'
			WHEN kind = 'CHARGE' AND (amount <> paid OR currency <> paid_in) THEN 'AMOUNT_DIFFERS'
			WHEN kind = 'REFUND' AND own IS NOT NULL AND own_charge = charge_id AND refund IN ('PENDING', 'ASKING') THEN 'REFUND_STILL_OPEN'
			WHEN kind = 'REFUND' AND own IS NOT NULL AND own_charge = charge_id AND refund = 'NONE' THEN 'REFUNDED_UNASKED'
			WHEN kind = 'REFUND' AND own IS NOT NULL AND own_charge = charge_id AND refund = 'DONE' AND amount <> paid THEN 'AMOUNT_DIFFERS'
			END AS what, coalesce(own, order_id) AS order_id, charge_id, amount, currency
		FROM found
	)
	SELECT what, order_id, charge_id, amount, currency FROM judged WHERE what IS NOT NULL
	UNION ALL
	SELECT 'MISSING_CHARGE', order_id, charge_id, amount, currency FROM recent
	WHERE order_id >= $3 AND charge_id <> '' AND amount > 0 AND NOT EXISTS (SELECT FROM listed l WHERE l.kind = 'CHARGE' AND l.charge_id = recent.charge_id)
	UNION ALL
	SELECT 'MISSING_REFUND', order_id, charge_id, amount, currency FROM recent
	WHERE refund = 'DONE' AND updated_at >= $4 AND updated_at < $5
	  AND NOT EXISTS (SELECT FROM listed l WHERE l.kind = 'REFUND' AND l.charge_id = recent.charge_id)
	ORDER BY 1, 2 LIMIT $6`

// idAt is less than or equal to every order id that is made from that moment on (a UUIDv7 begins with its
// milliseconds).
func idAt(t time.Time) string {
	var id uuid.UUID
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(id[:6], ms[2:])
	return id.String()
}

// Reconciliation is what a comparison has found.
type Reconciliation struct {
	Day         string       `json:"day"`
	Provider    string       `json:"provider"`
	StartedAt   time.Time    `json:"startedAt"`
	FinishedAt  time.Time    `json:"finishedAt"`
	Charges     int64        `json:"charges"`
	Refunds     int64        `json:"refunds"`
	Repaired    int64        `json:"repaired"`
	Differences []Difference `json:"differences"`
}

// PutReconciliation keeps what a day's last comparison has found.
func PutReconciliation(ctx context.Context, pool *pgxpool.Pool, r Reconciliation) error {
	found, err := json.Marshal(r.Differences)
	if err != nil {
		return fmt.Errorf("encode differences: %w", err)
	}
	if _, err := pool.Exec(ctx, `
		INSERT INTO reconciliation (day, provider, started_at, finished_at, charges, refunds, repaired, differences, open)
		VALUES ($1::text::date, $2, $3, clock_timestamp(), $4, $5, $6, $7, $8)
		ON CONFLICT (day, provider) DO UPDATE SET started_at = EXCLUDED.started_at, finished_at = EXCLUDED.finished_at,
			charges = EXCLUDED.charges, refunds = EXCLUDED.refunds, repaired = EXCLUDED.repaired, differences = EXCLUDED.differences, open = EXCLUDED.open`,
		r.Day, r.Provider, r.StartedAt, r.Charges, r.Refunds, r.Repaired, string(found), len(r.Differences)); err != nil {
		return fmt.Errorf("keep the reconciliation: %w", err)
	}
	return nil
}

// Reconciliations are the last 31, newest day first.
func Reconciliations(ctx context.Context, pool *pgxpool.Pool) ([]Reconciliation, error) {
	rows, err := pool.Query(ctx, `
		SELECT to_char(day, 'YYYY-MM-DD'), provider, started_at, finished_at, charges, refunds, repaired, differences
		FROM reconciliation ORDER BY day DESC, provider LIMIT 31`)
	if err != nil {
		return nil, fmt.Errorf("list reconciliations: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Reconciliation, err error) {
		var found string
		if err := row.Scan(&r.Day, &r.Provider, &r.StartedAt, &r.FinishedAt, &r.Charges, &r.Refunds, &r.Repaired, &found); err != nil {
			return r, err
		}
		return r, json.Unmarshal([]byte(found), &r.Differences)
	})
	if err != nil {
		return nil, fmt.Errorf("list reconciliations: %w", err)
	}
	return all, nil
}

// Reconciled says whether a day was compared with this provider, since the moment after which it is complete.
func Reconciled(ctx context.Context, pool *pgxpool.Pool, day, provider string, since time.Time) (done bool, err error) {
	if err := pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM reconciliation WHERE day = $1::text::date AND provider = $2 AND finished_at >= $3)`,
		day, provider, since).Scan(&done); err != nil {
		return false, fmt.Errorf("look for a reconciliation: %w", err)
	}
	return done, nil
}

// OpenDifferences are the orders of the last 31 days' differences.
func OpenDifferences(ctx context.Context, pool *pgxpool.Pool) (Waiting, error) {
	return waiting(ctx, pool, `
		SELECT coalesce(sum(open), 0)::bigint, coalesce(min(finished_at), 'epoch'),
		       coalesce((SELECT array_agg(d->>'orderId') FROM (
		           SELECT jsonb_array_elements(differences::jsonb) AS d FROM reconciliation
		           WHERE open > 0 AND day > current_date - 31 ORDER BY day LIMIT 20) AS differing), '{}')
		FROM reconciliation WHERE open > 0 AND day > current_date - 31`)
}
