package pg_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// counting is a connection that counts how often something is sent.
type counting struct {
	net.Conn
	sent *atomic.Int64
}

func (c counting) Write(b []byte) (int, error) {
	c.sent.Add(1)
	return c.Conn.Write(b)
}

// table opens a pool on a database of its own with one table, and says how often something was sent.
func table(t *testing.T) (*pgxpool.Pool, *atomic.Int64) {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(testkit.Database(t))
	check(t, err)
	sent, dial := &atomic.Int64{}, cfg.ConnConfig.DialFunc
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return counting{conn, sent}, err
	}
	cfg.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	check(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `CREATE TABLE account (id int PRIMARY KEY, balance int CONSTRAINT never_negative CHECK (balance >= 0))`)
	check(t, err)
	return pool, sent
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// move reads an account and writes what is left of it.
func move(ctx context.Context, pool *pgxpool.Pool, off int) error {
	return pg.Transact(ctx, pool, func(tx *pg.Tx) error {
		var balance int
		b := &pg.Batch{}
		b.Queue("lock the account", `SELECT balance FROM account WHERE id = 1 FOR UPDATE`).
			QueryRow(func(row pgx.Row) error { return row.Scan(&balance) })
		if err := tx.Send(ctx, b); err != nil {
			return err
		}
		tx.Last().Queue("book", `UPDATE account SET balance = $1 WHERE id = 1`, balance-off)
		tx.Last().Queue("add another", `INSERT INTO account VALUES ((SELECT max(id) + 1 FROM account), 0)`)
		return nil
	})
}

func state(t *testing.T, pool *pgxpool.Pool) (accounts, balance int) {
	t.Helper()
	check(t, pool.QueryRow(t.Context(), `SELECT count(*), sum(balance) FROM account`).Scan(&accounts, &balance))
	return accounts, balance
}

// A transaction that reads, decides and writes is two round trips with BEGIN and COMMIT in them.
func TestATransactionIsSentInAsManyPiecesAsItHasSteps(t *testing.T) {
	t.Parallel()
	pool, sent := table(t)
	_, err := pool.Exec(t.Context(), `INSERT INTO account VALUES (1, 100)`)
	check(t, err)
	check(t, move(t.Context(), pool, 10)) // statements are prepared
	before := sent.Load()
	check(t, move(t.Context(), pool, 10))
	if n := sent.Load() - before; n != 2 {
		t.Errorf("sent %d times, want 2", n)
	}
	if accounts, balance := state(t, pool); accounts != 3 || balance != 80 {
		t.Errorf("%d accounts with %d", accounts, balance)
	}
	before = sent.Load()
	check(t, pg.Transact(t.Context(), pool, func(*pg.Tx) error { return nil }))
	if n := sent.Load() - before; n != 0 {
		t.Errorf("nothing was sent %d times", n)
	}
}

// Whatever fails, nothing is kept, the error says what was attempted, and the connection can be used again.
func TestNothingOfAFailedTransactionIsKept(t *testing.T) {
	t.Parallel()
	pool, _ := table(t)
	_, err := pool.Exec(t.Context(), `INSERT INTO account VALUES (1, 100)`)
	check(t, err)
	ours := errors.New("decided otherwise")
	after := func(fail func(*pg.Tx) error) func() error {
		return func() error {
			return pg.Transact(t.Context(), pool, func(tx *pg.Tx) error {
				b := &pg.Batch{}
				b.Queue("take", `UPDATE account SET balance = 0`)
				if err := tx.Send(t.Context(), b); err != nil {
					return err
				}
				tx.Last().Queue("add", `INSERT INTO account VALUES (2, 1)`)
				return fail(tx)
			})
		}
	}
	for name, c := range map[string]struct {
		do   func() error
		want string
	}{
		"our own error":           {after(func(*pg.Tx) error { return ours }), ours.Error()},
		"a statement of the last": {func() error { return move(t.Context(), pool, 101) }, "book: "},
		"one behind a good one":   {after(func(tx *pg.Tx) error { tx.Last().Queue("add again", `INSERT INTO account VALUES (2, 1)`); return nil }), "add again: "},
		"a result we cannot read": {after(func(tx *pg.Tx) error {
			b := &pg.Batch{}
			b.Queue("read", `SELECT 'x'`).QueryRow(func(row pgx.Row) error { var n int; return row.Scan(&n) })
			return tx.Send(t.Context(), b)
		}), "read: "},
		"no such table": {after(func(tx *pg.Tx) error { tx.Last().Queue("look", `SELECT FROM nowhere`); return nil }), "nowhere"},
	} {
		if err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if accounts, balance := state(t, pool); accounts != 1 || balance != 100 {
			t.Errorf("%s: %d accounts with %d are left", name, accounts, balance)
		}
	}
	func() {
		defer func() { _ = recover() }()
		_ = after(func(*pg.Tx) error { panic("in the middle") })()
	}()
	if accounts, balance := state(t, pool); accounts != 1 || balance != 100 {
		t.Errorf("after a panic: %d accounts with %d are left", accounts, balance)
	}
}
