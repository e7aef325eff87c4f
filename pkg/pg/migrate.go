package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// tableName is what may stand unquoted in goose's statements.
var tableName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Migrate brings the database at url up to the newest migration in the root
// of fsys (goose's *.sql files). table holds the versions applied: the
// engine's, the outbox's and the service's migrations live side by side in
// one database, each under its own table. Replicas may call it at once; one
// migrates, the others wait and find nothing to do.
func Migrate(ctx context.Context, url string, fsys fs.FS, table string) error {
	if !tableName.MatchString(table) {
		return fmt.Errorf("migrate: %q is no plain table name", table)
	}
	cc, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("migrate %s: parse database URL: %w", table, err)
	}
	_, chosen := cc.RuntimeParams["transaction_timeout"]
	prepare(cc, "migrate "+table)
	if !chosen {
		// A migration may rewrite a table; a batch may not take that long.
		cc.RuntimeParams["transaction_timeout"] = "0"
	}
	db := stdlib.OpenDB(*cc)
	defer db.Close()
	if err := up(ctx, db, fsys, table); err != nil {
		return fmt.Errorf("migrate %s: %w", table, err)
	}
	return nil
}

// MigrateService is Migrate for the tables that a service has of its own: the
// migrations are in the folder of that name, as the service embeds it.
func MigrateService(ctx context.Context, url string, files fs.FS) error {
	root, err := fs.Sub(files, "migrations")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return Migrate(ctx, url, root, "service_migration")
}

func up(ctx context.Context, db *sql.DB, fsys fs.FS, table string) error {
	store, err := database.NewStore(goose.DialectPostgres, table)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider("", db, fsys,
		goose.WithStore(store),
		goose.WithSessionLocker(advisoryLock(lockKey(table))),
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, calmStatistics); err != nil {
		return fmt.Errorf("set when statistics are collected: %w", err)
	}
	return nil
}

// AnalyzeThreshold is how many rows of a table have to change before autovacuum collects statistics of it, beside the
// tenth of its rows that PostgreSQL asks for.
const AnalyzeThreshold = 200_000

// calmStatistics sets it for all tables that do not say otherwise. PostgreSQL's own is 50: a young table that orders pour
// into is sampled again every minute, 30,000 rows with all that is stored in them, which was found to cost as much as
// a quarter of all statements. Rows are found here by keys and by plans that are made once, so little depends on
// statistics. (Vacuum is left as it is: it tells how large a table has become, and plans are made anew.)
//
// Nothing depends on it, so nothing waits for it either: another replica may be at it, or building an index
// concurrently, which waits for every older snapshot, ours too. What is left is set at the next start.
var calmStatistics = fmt.Sprintf(`
DO $$
DECLARE wordy regclass;
BEGIN
	IF NOT pg_try_advisory_xact_lock(hashtext('quadrille statistics')) THEN
		RETURN;
	END IF;
	PERFORM set_config('lock_timeout', '100ms', true);
	FOR wordy IN
		SELECT c.oid FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
		      AND NOT EXISTS (SELECT FROM unnest(c.reloptions) AS o WHERE o LIKE 'autovacuum_analyze_%%')
	LOOP
		BEGIN
			EXECUTE format('ALTER TABLE %%s SET (autovacuum_analyze_threshold = %d)', wordy);
		EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
			RETURN;
		END;
	END LOOP;
END $$`, AnalyzeThreshold)

func lockKey(table string) int64 {
	h := fnv.New64a()
	h.Write([]byte("quadrille migrations " + table))
	return int64(h.Sum64())
}

// advisoryLock is goose's SessionLocker over one advisory lock. It sits on the
// connection that migrates, so a lost connection ends both together.
//
// It asks again and again instead of waiting inside pg_advisory_lock: that
// statement would hold a snapshot while it waits, and a CREATE INDEX
// CONCURRENTLY of the replica that has the lock waits for every older
// snapshot, so the two would wait for each other. (goose's own locker asks
// every 5 s, and a service's start is not the place to lose them.)
type advisoryLock int64

// lockPoll is how long a waiting replica pauses between two questions.
const lockPoll = 50 * time.Millisecond

// SessionLock returns when conn holds the lock or ctx ends.
func (l advisoryLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		var got bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(l)).Scan(&got); err != nil {
			return fmt.Errorf("take migration lock: %w", err)
		}
		if got {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for migration lock: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

// SessionUnlock gives the lock back.
func (l advisoryLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	var held bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_advisory_unlock($1)", int64(l)).Scan(&held); err != nil {
		return fmt.Errorf("give migration lock back: %w", err)
	}
	if !held {
		return errors.New("migration lock was not held at its end")
	}
	return nil
}
