package pg_test

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sync/errgroup"

	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

func files(kv ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + kv[i+1])}
	}
	return m
}

// Each migration would fail if it ran twice; the index is the statement that
// would deadlock against a replica waiting inside a statement.
var stock = files(
	"001_product.sql", "CREATE TABLE product (id text PRIMARY KEY, quantity int NOT NULL);",
	"002_seed.sql", "INSERT INTO product VALUES ('SKU-1', 10);",
)

var stockIndex = fstest.MapFS{
	"001_product.sql": stock["001_product.sql"],
	"002_seed.sql":    stock["002_seed.sql"],
	"003_index.sql": &fstest.MapFile{Data: []byte(
		"-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY product_by_quantity ON product (quantity);")},
}

func TestReplicasMigrateAtOnce(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	g, ctx := errgroup.WithContext(t.Context())
	for range 8 {
		g.Go(func() error { return pg.Migrate(ctx, db, stockIndex, "stock_migrations") })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	var versions, products int
	err := testkit.Pool(t, db).QueryRow(t.Context(),
		"SELECT (SELECT count(*) FROM stock_migrations WHERE version_id > 0), (SELECT count(*) FROM product)").Scan(&versions, &products)
	if err != nil {
		t.Fatal(err)
	}
	if versions != 3 || products != 1 {
		t.Errorf("%d versions and %d products, want 3 and 1", versions, products)
	}
}

func TestMigrationsLiveSideBySide(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	outbox := files("001_outbox.sql", "CREATE TABLE outbox (id bigint PRIMARY KEY);")
	for range 2 { // the second round finds nothing to do
		for table, fsys := range map[string]fstest.MapFS{"outbox_migrations": outbox, "stock_migrations": stock} {
			if err := pg.Migrate(t.Context(), db, fsys, table); err != nil {
				t.Fatal(err)
			}
		}
	}
	pool := testkit.Pool(t, db)
	for _, table := range []string{"outbox", "product", "outbox_migrations", "stock_migrations"} {
		var there bool
		if err := pool.QueryRow(t.Context(), "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there); err != nil || !there {
			t.Errorf("table %s is missing (%v)", table, err)
		}
	}
}

func TestMigrateGoesOnFromWhereItFailed(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	broken := files("001_product.sql", "CREATE TABLE product (id text PRIMARY KEY);", "002_typo.sql", "ALTER TABLE produkt ADD x int;")
	err := pg.Migrate(t.Context(), db, broken, "stock_migrations")
	if err == nil || !strings.Contains(err.Error(), "version:2") || pg.Code(err) != "42P01" {
		t.Fatalf("error %v does not name the migration and its cause", err)
	}
	mended := files("001_product.sql", "SELECT 1/0;", "002_typo.sql", "ALTER TABLE product ADD x int;")
	if err := pg.Migrate(t.Context(), db, mended, "stock_migrations"); err != nil {
		t.Fatalf("after the mend (the first must not run again): %v", err)
	}
}

func TestMigrateRefusesAnOddTable(t *testing.T) {
	t.Parallel()
	if err := pg.Migrate(context.Background(), "postgres://unused", stock, `x"; DROP TABLE order`); err == nil {
		t.Error("accepted")
	}
}

// A young table that orders pour into would be sampled again every minute.
func TestTablesAreNotSampledAllTheTime(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	if err := pg.Migrate(t.Context(), db, files(
		"001_product.sql", "CREATE TABLE product (id text PRIMARY KEY);",
		"002_outbox.sql", "CREATE TABLE outbox (id bigint PRIMARY KEY) WITH (autovacuum_analyze_threshold = 7, fillfactor = 50);",
		"003_room.sql", "CREATE TABLE room (id bigint PRIMARY KEY) WITH (fillfactor = 50);",
	), "stock_migrations"); err != nil {
		t.Fatal(err)
	}
	pool := testkit.Pool(t, db)
	for table, want := range map[string]string{
		"product": "{autovacuum_analyze_threshold=200000}", "outbox": "{autovacuum_analyze_threshold=7,fillfactor=50}",
		"room": "{fillfactor=50,autovacuum_analyze_threshold=200000}",
	} {
		var got string
		if err := pool.QueryRow(t.Context(), "SELECT reloptions::text FROM pg_class WHERE oid = $1::regclass", table).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %s, want %s (%v)", table, got, want, err)
		}
	}
}

// Who holds a table is not waited for: the next start finds it as it was left.
func TestAHeldTableDoesNotHoldUpAStart(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	pool := testkit.Pool(t, db)
	if _, err := pool.Exec(t.Context(), "CREATE TABLE held (id bigint)"); err != nil {
		t.Fatal(err)
	}
	holder, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback(context.Background()) //nolint:errcheck // rolled back below
	if _, err := holder.Exec(t.Context(), "LOCK TABLE held"); err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), db, stock, "stock_migrations"); err != nil {
		t.Fatal(err)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), db, stock, "stock_migrations"); err != nil {
		t.Fatal(err)
	}
	var set int
	if err := pool.QueryRow(t.Context(), `
		SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
		AND 'autovacuum_analyze_threshold=200000' = ANY(reloptions)`).Scan(&set); err != nil || set != 3 {
		t.Errorf("%d tables are set: %v", set, err)
	}
}
