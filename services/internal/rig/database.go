package rig

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// Database is one of the test's own, with the engine's tables and those that migrate makes: for the tests of a store.
func Database(t *testing.T, migrate testkit.Migration) *pgxpool.Pool {
	t.Helper()
	return testkit.Pool(t, testkit.Database(t, engine.Migrate, migrate))
}

// CountedDatabase is a Database that counts what it is asked.
func CountedDatabase(t *testing.T, migrate testkit.Migration) (*pgxpool.Pool, *Statements) {
	t.Helper()
	asked := &Statements{}
	pool, err := pg.Open(t.Context(), pg.Config{URL: testkit.Database(t, engine.Migrate, migrate), Tracer: asked})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, asked
}

// Statements counts statements, BEGIN and COMMIT left out.
type Statements struct{ n atomic.Int64 }

// TraceQueryStart implements pgx.QueryTracer.
func (s *Statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, asked pgx.TraceQueryStartData) context.Context {
	if !strings.EqualFold(asked.SQL, "begin") && !strings.EqualFold(asked.SQL, "commit") {
		s.n.Add(1)
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s *Statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// During is how many statements do takes.
func (s *Statements) During(do func()) int {
	before := s.n.Load()
	do()
	return int(s.n.Load() - before)
}

// TraceBatchStart implements pgx.BatchTracer.
func (s *Statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (s *Statements) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, asked pgx.TraceBatchQueryData) {
	s.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{SQL: asked.SQL})
}

// TraceBatchEnd implements pgx.BatchTracer.
func (s *Statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// Transact runs do in a transaction as the engine's and commits it; t may be a test or one run of a property.
func Transact(t interface {
	Helper()
	Fatal(args ...any)
}, pool *pgxpool.Pool, do func(context.Context, *pg.Tx) error,
) {
	t.Helper()
	ctx := context.Background()
	if err := pg.Transact(ctx, pool, func(tx *pg.Tx) error { return do(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

// InTx runs do in a transaction and commits it; t may be a test or one run of a property.
func InTx(t interface {
	Helper()
	Fatal(args ...any)
}, pool *pgxpool.Pool, do func(context.Context, pgx.Tx) error,
) {
	t.Helper()
	ctx := context.Background()
	if err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return do(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}
