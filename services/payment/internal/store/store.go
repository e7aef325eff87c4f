// Package store is payment's SQL: whole batches in and out for decisions (store.go), single questions for
// readers (read.go).
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/payment"
)

// Store loads and saves a payment.World.
type Store struct{}

// wanted is what a batch needs.
type wanted struct {
	orders, users, grants map[string]struct{}
	sums                  []string // members whose ledger is added up
	unnamed               bool     // some input does not say whose it is
}

// want reads the keys off the inputs. An event of an order names its member, so that the balance can be
// locked before there is a payment; an answer does not, and the payment's row says whose it is.
func want(in []flow.Input) wanted {
	w := wanted{orders: map[string]struct{}{}, users: map[string]struct{}{}, grants: map[string]struct{}{}}
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case payment.GrantPoints:
			w.users[msg.UserID] = struct{}{}
			w.grants[msg.GrantID] = struct{}{}
			continue
		case payment.Recount:
			w.users[msg.UserID] = struct{}{}
			w.sums = append(w.sums, msg.UserID)
			continue
		case interface{ GetUserId() string }:
			w.users[msg.GetUserId()] = struct{}{}
		default:
			w.unnamed = true
		}
		w.orders[i.Subject] = struct{}{}
	}
	return w
}

func sorted(set map[string]struct{}) []string { return slices.Sorted(maps.Keys(set)) }

// Load brings payments, ledger entries of grants and, last, the balances: one member's many orders meet
// there, so that row is to be held for the shortest time. It takes one batch, and two where only a payment's row says
// whose balance is meant: balances are locked by one statement, in key order.
func (Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*payment.World, error) {
	world, wanted := &payment.World{}, want(in)
	b := &pg.Batch{}
	loadPayments(b, world, sorted(wanted.orders))
	loadGrants(b, world, sorted(wanted.grants))
	if wanted.unnamed {
		if err := tx.Send(ctx, b); err != nil {
			return nil, err
		}
		for _, p := range world.Payments.All() {
			wanted.users[p.UserID] = struct{}{}
		}
		b = &pg.Batch{}
	}
	loadPoints(b, world, sorted(wanted.users))
	loadSums(b, world, wanted.sums)
	return world, tx.Send(ctx, b)
}

const paymentColumns = `order_id, payment_id, user_id, state, refund, amount, points, discount, coupon_counted, has_coupons,
	currency, payment_type, charge_id, fail_reason, opened_by, cancelled_by, cancel_event, created_at, updated_at, token, account`

func scanPayment(row pgx.CollectableRow) (payment.Payment, error) {
	var p payment.Payment
	var into string
	err := row.Scan(&p.OrderID, &p.PaymentID, &p.UserID, &p.State, &p.Refund, &p.Amount, &p.Points, &p.Discount,
		&p.CouponCounted, &p.HasCoupons, &p.Currency, &p.PaymentType, &p.ChargeID, &p.FailReason,
		&p.OpenedBy, &p.CancelledBy, &p.CancelEvent, &p.CreatedAt, &p.UpdatedAt, &p.Token, &into)
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	if err == nil && into != "" {
		err = json.Unmarshal([]byte(into), &p.Account)
	}
	return p, err
}

// account is a transfer's account as it is stored.
func account(p payment.Payment) string {
	if p.Account == (payment.Account{}) {
		return ""
	}
	encoded, err := json.Marshal(p.Account)
	if err != nil {
		panic(err) // a struct of strings and a time of this era
	}
	return string(encoded)
}

func loadPayments(b *pg.Batch, w *payment.World, orders []string) {
	if len(orders) > 0 {
		pg.Collect(b, "load payments", scanPayment, func(p payment.Payment) { w.Payments.Loaded(p.OrderID, p) },
			`SELECT `+paymentColumns+` FROM payment WHERE order_id = ANY($1) ORDER BY order_id FOR NO KEY UPDATE`, orders)
	}
}

// loadGrants locks nothing: an entry that exists does not change.
func loadGrants(b *pg.Batch, w *payment.World, grants []string) {
	if len(grants) == 0 {
		return
	}
	pg.Collect(b, "load grants", func(row pgx.CollectableRow) (e payment.Entry, err error) {
		err = row.Scan(&e.UserID, &e.Kind, &e.GrantID, &e.Amount, &e.At)
		e.At = e.At.UTC()
		return e, err
	}, func(e payment.Entry) { w.Ledger.Loaded(payment.GrantKey(e.GrantID), e) },
		`SELECT user_id, kind, grant_id, amount, at FROM ledger WHERE grant_id = ANY($1) ORDER BY grant_id`, grants)
}

// loadPoints locks the balances that exist. One that does not cannot be locked: an order then finds no
// points, as if it had come before the grant that is making the row, and a second grant of the same member
// waits for the subject's lock.
func loadPoints(b *pg.Batch, w *payment.World, users []string) {
	if len(users) > 0 {
		pg.Collect(b, "load balances", pgx.RowToStructByPos[payment.Points], func(p payment.Points) { w.Points.Loaded(p.UserID, p) },
			`SELECT user_id, balance FROM points WHERE user_id = ANY($1) ORDER BY user_id FOR NO KEY UPDATE`, users)
	}
}

// Save writes payments, ledger and balances, in the order in which they were locked.
func (Store) Save(b *pg.Batch, w *payment.World) error {
	savePayments(b, w.Payments.Changed())
	if err := saveLedger(b, w.Ledger.Changed()); err != nil {
		return err
	}
	savePoints(b, w.Points.Changed())
	return nil
}

// column picks one value of every row that changed, for unnest.
func column[R, T any](rows []flow.Change[string, R], pick func(R) T) []T {
	out := make([]T, len(rows))
	for i, c := range rows {
		out[i] = pick(c.Row)
	}
	return out
}

func savePayments(b *pg.Batch, rows []flow.Change[string, payment.Payment]) {
	if len(rows) == 0 {
		return
	}
	text := func(pick func(payment.Payment) string) []string { return column(rows, pick) }
	number := func(pick func(payment.Payment) int64) []int64 { return column(rows, pick) }
	flag := func(pick func(payment.Payment) bool) []bool { return column(rows, pick) }
	b.Queue("save payments", `
		INSERT INTO payment AS p (`+paymentColumns+`)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
			$9::boolean[], $10::boolean[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
			$18::timestamptz[], $19::timestamptz[], $20::text[], $21::text[])
		ON CONFLICT (order_id) DO UPDATE SET
			payment_id = EXCLUDED.payment_id, state = EXCLUDED.state, refund = EXCLUDED.refund, amount = EXCLUDED.amount,
			points = EXCLUDED.points, discount = EXCLUDED.discount, coupon_counted = EXCLUDED.coupon_counted,
			has_coupons = EXCLUDED.has_coupons, currency = EXCLUDED.currency, payment_type = EXCLUDED.payment_type,
			charge_id = EXCLUDED.charge_id, fail_reason = EXCLUDED.fail_reason, opened_by = EXCLUDED.opened_by,
			cancelled_by = EXCLUDED.cancelled_by, cancel_event = EXCLUDED.cancel_event, updated_at = EXCLUDED.updated_at,
			token = EXCLUDED.token, account = EXCLUDED.account`,
		text(func(p payment.Payment) string { return p.OrderID }),
		text(func(p payment.Payment) string { return p.PaymentID }),
		text(func(p payment.Payment) string { return p.UserID }),
		text(func(p payment.Payment) string { return string(p.State) }),
		text(func(p payment.Payment) string { return string(p.Refund) }),
		number(func(p payment.Payment) int64 { return p.Amount }),
		number(func(p payment.Payment) int64 { return p.Points }),
		number(func(p payment.Payment) int64 { return p.Discount }),
		flag(func(p payment.Payment) bool { return p.CouponCounted }),
		flag(func(p payment.Payment) bool { return p.HasCoupons }),
		text(func(p payment.Payment) string { return p.Currency }),
		text(func(p payment.Payment) string { return p.PaymentType }),
		text(func(p payment.Payment) string { return p.ChargeID }),
		text(func(p payment.Payment) string { return p.FailReason }),
		text(func(p payment.Payment) string { return p.OpenedBy }),
		text(func(p payment.Payment) string { return p.CancelledBy }),
		text(func(p payment.Payment) string { return p.CancelEvent }),
		column(rows, func(p payment.Payment) time.Time { return p.CreatedAt }),
		column(rows, func(p payment.Payment) time.Time { return p.UpdatedAt }),
		text(func(p payment.Payment) string { return p.Token }),
		text(account))
}

// saveLedger adds entries. There is no ON CONFLICT: a second entry of the same order and kind is a mistake
// that must not pass.
func saveLedger(b *pg.Batch, rows []flow.Change[string, payment.Entry]) error {
	if len(rows) == 0 {
		return nil
	}
	for _, c := range rows {
		if !c.New {
			return fmt.Errorf("save ledger: %w: %s", errChangedEntry, c.Key)
		}
	}
	b.Queue("save the ledger", `
		INSERT INTO ledger (user_id, kind, order_id, grant_id, amount, at)
		SELECT user_id, kind, nullif(order_id, ''), nullif(grant_id, ''), amount, at
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
		     AS k(user_id, kind, order_id, grant_id, amount, at)`,
		column(rows, func(e payment.Entry) string { return e.UserID }),
		column(rows, func(e payment.Entry) string { return string(e.Kind) }),
		column(rows, func(e payment.Entry) string { return e.OrderID }),
		column(rows, func(e payment.Entry) string { return e.GrantID }),
		column(rows, func(e payment.Entry) int64 { return e.Amount }),
		column(rows, func(e payment.Entry) time.Time { return e.At }))
	return nil
}

var errChangedEntry = errors.New("a ledger entry is never changed")

// savePoints updates the balances that were locked and inserts those that were not there. A row that
// another replica made meanwhile fails the insert, and the batch runs again on the row as it is: an upsert
// would overwrite what the other had booked.
func savePoints(b *pg.Batch, rows []flow.Change[string, payment.Points]) {
	if len(rows) == 0 {
		return
	}
	fresh := make([]bool, len(rows))
	for i, c := range rows {
		fresh[i] = c.New
	}
	b.Queue("save balances", `
		WITH k AS (SELECT * FROM unnest($1::text[], $2::bigint[], $3::boolean[]) AS k(user_id, balance, fresh)),
		known AS (UPDATE points p SET balance = k.balance FROM k WHERE p.user_id = k.user_id AND NOT k.fresh)
		INSERT INTO points (user_id, balance) SELECT user_id, balance FROM k WHERE fresh`,
		column(rows, func(p payment.Points) string { return p.UserID }),
		column(rows, func(p payment.Points) int64 { return p.Balance }), fresh)
}
