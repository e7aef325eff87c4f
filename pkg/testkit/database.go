package testkit

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/embed"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// Migration brings the database at url to its newest schema.
type Migration = func(ctx context.Context, url string) error

// server is the PostgreSQL of this process, with the templates made so far.
type server struct {
	pg    *embed.Postgres
	admin *pgxpool.Pool
	next  atomic.Int64

	mu        sync.Mutex
	templates map[string]*template
}

// template is a database with one set of migrations applied, made once.
type template struct {
	once sync.Once
	name string
	err  error
	// migrations keeps the functions alive: the template's key holds their
	// addresses, which must not be given to others.
	migrations []Migration
}

var postgres = sync.OnceValues(startPostgres)

func startPostgres() (*server, error) {
	dir, err := proc.folder("postgres")
	if err != nil {
		return nil, err
	}
	ctx, cancel := startContext()
	defer cancel()
	p, err := embed.StartPostgres(ctx, embed.PostgresConfig{
		DataDir: dir, FromTemplate: true, Progress: progress,
		Settings: map[string]string{"max_connections": "500"},
	})
	if err != nil {
		return nil, err
	}
	proc.atEnd(p.Stop)
	// Databases are made and dropped through a few connections; each waits for
	// as long as its test does, so none of pg.Open's time limits.
	admin, err := pgxpool.New(ctx, p.AdminURL("postgres")+"&pool_max_conns=4")
	if err != nil {
		return nil, fmt.Errorf("connect to test PostgreSQL: %w", err)
	}
	proc.atEnd(func(context.Context) error { admin.Close(); return nil })
	return &server{pg: p, admin: admin, templates: map[string]*template{}}, nil
}

// Database gives the test a database of its own and returns its URL. The
// migrations run once per process into a template, which is cloned for each
// test that names the same functions in the same order: name package-level
// functions (a closure made anew for each test is migrated anew each time).
// The database goes when the test ends, whoever is still connected.
func Database(t testing.TB, migrations ...Migration) string {
	t.Helper()
	s, err := postgres()
	if err != nil {
		t.Fatalf("start test PostgreSQL: %v", err)
	}
	from, err := s.template(migrations)
	if err != nil {
		t.Fatalf("migrate template database: %v", err)
	}
	name := fmt.Sprintf("test_%d", s.next.Add(1))
	if err := s.create(name, from); err != nil {
		t.Fatalf("clone test database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + quote(name) + " WITH (FORCE)"); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	return s.url(name)
}

// Pool opens a pool as the services do; it is closed when the test ends.
// A connection that the test did not give back fails the test.
func Pool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: url, AppName: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { pool.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Errorf("%d database connections were not given back", pool.Stat().AcquiredConns())
		}
	})
	return pool
}

func (s *server) template(migrations []Migration) (string, error) {
	if len(migrations) == 0 {
		return "template1", nil
	}
	s.mu.Lock()
	k := key(migrations)
	tp := s.templates[k]
	if tp == nil {
		tp = &template{name: fmt.Sprintf("template_%d", s.next.Add(1)), migrations: migrations}
		s.templates[k] = tp
	}
	s.mu.Unlock()
	tp.once.Do(func() { tp.err = s.migrate(tp) })
	return tp.name, tp.err
}

// key tells sets of migrations apart by the functions' addresses. A function
// value points to its closure, so two closures over different variables differ
// where their code does not.
func key(migrations []Migration) string {
	k := ""
	for i := range migrations {
		k += fmt.Sprintf("%x ", *(*uintptr)(unsafe.Pointer(&migrations[i])))
	}
	return k
}

func (s *server) migrate(tp *template) error {
	if err := s.create(tp.name, "template1"); err != nil {
		return err
	}
	ctx, cancel := startContext()
	defer cancel()
	for _, migrate := range tp.migrations {
		if err := migrate(ctx, s.url(tp.name)); err != nil {
			return err
		}
	}
	// A migration's connection may still be closing, and a database with a
	// connection cannot be cloned: from now on it has none, and gets none.
	return s.exec("ALTER DATABASE "+quote(tp.name)+" ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+tp.name+"'")
}

func (s *server) create(name, from string) error {
	return s.exec("CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(from))
}

func (s *server) exec(statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, sql := range statements {
		if _, err := s.admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) url(database string) string {
	u, err := url.Parse(s.pg.AdminURL(database))
	if err != nil {
		panic(err) // our own URL
	}
	return u.String()
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
