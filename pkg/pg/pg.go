// Package pg opens PostgreSQL pools whose connections cannot hold locks for
// long when their process is paused or gone, and migrates databases so that
// any number of replicas may start at once.
package pg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// defaultMaxConns is what one service replica needs: command lane, batch,
// relay, workers and readers, with some to spare.
const defaultMaxConns = 8

// Config says which database to open and how many connections it may take.
type Config struct {
	// URL is a postgres:// URL or a keyword/value string. A session setting
	// given there (as a parameter or inside "options") wins over ours.
	URL string
	// MaxConns bounds the pool; 0 means what the URL's pool_max_conns says,
	// else 8.
	MaxConns int
	// AppName is shown in pg_stat_activity; empty keeps the URL's.
	AppName string
	// Tracer sees every query; nil for none.
	Tracer pgx.QueryTracer
}

// session lists what every connection sets. A process stopped inside a
// transaction (SIGSTOP, a paused virtual machine) holds fence and product
// rows: nobody else moves until the server ends that transaction, so the
// server must do it by itself. Order matters to nobody; a slice keeps it
// readable.
var session = []struct{ name, value string }{
	{"default_transaction_isolation", "read committed"},
	{"idle_in_transaction_session_timeout", "5s"},
	{"transaction_timeout", "15s"},
	{"lock_timeout", "5s"},
	// A server busy for a client that is gone notices within this time.
	{"client_connection_check_interval", "2s"},
	// 10 + 3*5 s after the last byte a silent peer is given up.
	{"tcp_keepalives_idle", "10"},
	{"tcp_keepalives_interval", "5"},
	{"tcp_keepalives_count", "3"},
	{"timezone", "UTC"},
	// Our statements take arrays, and the plan for ten rows by their keys is right for two thousand. Left alone, the
	// server plans a statement anew whenever it thinks that the lengths at hand deserve it.
	{"plan_cache_mode", "force_generic_plan"},
}

// Open connects to the database and returns a pool that has answered one
// ping. The server must be PostgreSQL 17 or newer (transaction_timeout).
// The caller closes the pool.
func Open(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	pc, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to database: %w", err)
	}
	return pool, nil
}

func poolConfig(c Config) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", err)
	}
	prepare(pc.ConnConfig, c.AppName)
	pc.ConnConfig.Tracer = c.Tracer
	switch {
	case c.MaxConns > 0:
		pc.MaxConns = int32(c.MaxConns)
	case !strings.Contains(c.URL, "pool_max_conns"):
		pc.MaxConns = defaultMaxConns
	}
	return pc, nil
}

// prepare adds our session settings to cc, except those the URL sets itself.
func prepare(cc *pgx.ConnConfig, appName string) {
	// "-c lock-timeout=1s" and "--lock_timeout=1s" mean the same to the server.
	options := strings.ReplaceAll(strings.ToLower(cc.RuntimeParams["options"]), "-", "_")
	for _, s := range session {
		if _, given := cc.RuntimeParams[s.name]; given || strings.Contains(options, s.name+"=") {
			continue
		}
		cc.RuntimeParams[s.name] = s.value
	}
	if appName != "" {
		cc.RuntimeParams["application_name"] = appName
	}
	// The client's half of the keepalives: a query must not wait for minutes
	// on a server that vanished without a word.
	dialer := &net.Dialer{
		Timeout:         5 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	if cc.ConnectTimeout > 0 {
		dialer.Timeout = cc.ConnectTimeout
	}
	cc.DialFunc = dialer.DialContext
}

// Code returns the SQLSTATE of the PostgreSQL error inside err, or "" when
// there is none (a lost connection, for example, has no code).
func Code(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}
