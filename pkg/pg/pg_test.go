package pg_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// with adds a parameter to a database URL.
func with(t *testing.T, databaseURL, name, value string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // libpq takes + for a plus
	return u.String()
}

func open(t *testing.T, c pg.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func setting(t *testing.T, pool *pgxpool.Pool, name string) string {
	t.Helper()
	var v string
	if err := pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestOpenBoundsWhatAPausedOwnerHolds(t *testing.T) {
	t.Parallel()
	pool := open(t, pg.Config{URL: testkit.Database(t), AppName: "stock"})
	for name, want := range map[string]string{
		"idle_in_transaction_session_timeout": "5s",
		"transaction_timeout":                 "15s",
		"lock_timeout":                        "5s",
		"client_connection_check_interval":    "2s",
		"tcp_keepalives_idle":                 "10",
		"default_transaction_isolation":       "read committed",
		"application_name":                    "stock",
		"TimeZone":                            "UTC",
	} {
		if got := setting(t, pool, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := pool.Config().MaxConns; got != 8 {
		t.Errorf("MaxConns = %d, want 8", got)
	}
}

func TestOpenLetsTheURLWin(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	db = with(t, db, "lock_timeout", "1s")
	db = with(t, db, "options", "-c transaction-timeout=7s")
	db = with(t, db, "pool_max_conns", "3")
	pool := open(t, pg.Config{URL: db})
	for name, want := range map[string]string{
		"lock_timeout": "1s", "transaction_timeout": "7s", "idle_in_transaction_session_timeout": "5s",
	} {
		if got := setting(t, pool, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := pool.Config().MaxConns; got != 3 {
		t.Errorf("MaxConns = %d, want the URL's 3", got)
	}
}

// A process stopped inside a transaction keeps its row locks only for as long
// as the server allows; the next owner then goes on.
func TestPausedOwnerLosesItsLocks(t *testing.T) {
	t.Parallel()
	db := with(t, testkit.Database(t), "idle_in_transaction_session_timeout", "200ms")
	pool := open(t, pg.Config{URL: db})
	ctx := t.Context()
	if _, err := pool.Exec(ctx, "CREATE TABLE fence (id int PRIMARY KEY); INSERT INTO fence VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	paused, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := paused.Exec(ctx, "SELECT id FROM fence FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := pool.Exec(ctx, "UPDATE fence SET id = 2"); err != nil {
		t.Fatalf("the next owner: %v", err)
	}
	if waited := time.Since(start); waited > 3*time.Second {
		t.Errorf("the next owner waited %s", waited)
	}
	if err := paused.Commit(ctx); err == nil {
		t.Error("the paused transaction committed after it lost its locks")
	}
}

func TestCode(t *testing.T) {
	t.Parallel()
	pool := testkit.Pool(t, testkit.Database(t))
	_, err := pool.Exec(context.Background(), "SELECT 1/0")
	if got := pg.Code(fmt.Errorf("load: %w", err)); got != "22012" {
		t.Errorf("Code(division by zero) = %q", got)
	}
	if got := pg.Code(errors.New("connection reset")); got != "" {
		t.Errorf("Code(no SQL error) = %q", got)
	}
}
