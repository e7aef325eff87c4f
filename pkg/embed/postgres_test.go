package embed

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

func startPostgres(t *testing.T, cfg PostgresConfig) *Postgres {
	t.Helper()
	cfg.Progress = func(s string) { t.Log(s) }
	p, err := StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var v string
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return v
}

func TestPostgresKeepsDataOverARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	p := startPostgres(t, PostgresConfig{DataDir: dir, Fsync: true}) // a real initdb
	if err := p.CreateDatabase(t.Context(), "order", ""); err != nil {
		t.Fatal(err)
	}
	query(t, p.URL("order"), "CREATE TABLE kept AS SELECT 'ü' AS v")
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	p = startPostgres(t, PostgresConfig{DataDir: dir, Fsync: true, Settings: map[string]string{"max_connections": "77"}})
	if got := query(t, p.URL("order"), "SELECT v FROM kept"); got != "ü" {
		t.Errorf("kept %q", got)
	}
	for sql, want := range map[string]string{
		"SHOW max_connections": "77", "SHOW fsync": "on", "SHOW listen_addresses": "127.0.0.1",
		"SHOW server_encoding": "UTF8", "SELECT current_user": "order",
	} {
		if got := query(t, p.URL("order"), sql); got != want {
			t.Errorf("%s = %q, want %q", sql, got, want)
		}
	}
}

// kill -9 of the process that runs the server: the server ends by itself, and
// the next start finds everything that was committed, at once.
func TestPostgresSurvivesAKillOfItsParent(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	url, kill := played(t, "postgres", dir)
	query(t, url, "CREATE TABLE kept AS SELECT 'committed' AS v")
	open, err := pgx.Connect(t.Context(), url) // a transaction under way
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close(context.Background())
	if _, err := open.Exec(t.Context(), "BEGIN; INSERT INTO kept VALUES ('open')"); err != nil {
		t.Fatal(err)
	}
	kill()
	p := startPostgres(t, PostgresConfig{DataDir: dir, FromTemplate: true})
	if got := query(t, p.AdminURL("postgres"), "SELECT string_agg(v, ',') FROM kept"); got != "committed" {
		t.Errorf("kept %q", got)
	}
}

func TestPostgresEndsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	_, kill := played(t, "postgres", dir)
	pgdata := filepath.Join(dir, "pgdata")
	if pids, err := serversOn(pgdata); err != nil || len(pids) == 0 {
		t.Fatalf("no server found: %v %v", pids, err)
	}
	kill()
	eventually(t, "ended with its parent", func() bool {
		pids, err := serversOn(pgdata)
		return err == nil && len(pids) == 0
	})
}

// After a kill -9 of the server itself its pid file stays, and by the next
// start that pid may belong to any other process of the same user.
func TestPostgresStartsOverAStalePidFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	p := startPostgres(t, PostgresConfig{DataDir: dir, FromTemplate: true})
	query(t, p.AdminURL("postgres"), "CREATE TABLE kept AS SELECT 'committed' AS v")
	if err := syscall.Kill(p.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// "cat" with an open pipe lives until the pipe is closed.
	other := exec.Command("cat")
	other.SysProcAttr = serverAttr(p.id.cred, 0)
	if _, err := other.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	takePid(t, p.pgdata(), other.Process.Pid)

	p = startPostgres(t, PostgresConfig{DataDir: dir, FromTemplate: true})
	if got := query(t, p.AdminURL("postgres"), "SELECT v FROM kept"); got != "committed" {
		t.Errorf("kept %q", got)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process did not survive: %v", err)
	}
}

// takePid makes the stale pid file name another process.
func takePid(t *testing.T, pgdata string, pid int) {
	t.Helper()
	path := filepath.Join(pgdata, "postmaster.pid")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n")
	if err := os.WriteFile(path, []byte(strconv.Itoa(pid)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPostgresRefusesASecondProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	startPostgres(t, PostgresConfig{DataDir: dir, FromTemplate: true})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := StartPostgres(ctx, PostgresConfig{DataDir: dir, FromTemplate: true})
	if err == nil || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("second start: %v", err)
	}
}

func TestPostgresLeavesForeignDataAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, content, want string }{
		"another version": {"PG_VERSION", "9\n", "data of PostgreSQL 9"},
		"no cluster":      {"precious.txt", "mine", "left alone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(folder(t), "postgres")
			path := filepath.Join(dir, "pgdata", c.file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := StartPostgres(t.Context(), PostgresConfig{DataDir: dir})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("start: %v", err)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != c.content {
				t.Errorf("the data changed: %q, %v", b, err)
			}
		})
	}
}

func TestDatabasesKeepEachOtherOut(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, PostgresConfig{DataDir: filepath.Join(folder(t), "postgres"), FromTemplate: true})
	g, ctx := errgroup.WithContext(t.Context())
	for range 4 { // again, and at once, is no error
		for _, name := range []string{"order", "stock"} {
			g.Go(func() error { return p.CreateDatabase(ctx, name, "") })
		}
	}
	g.Go(func() error { return p.CreateDatabase(ctx, "ledger", "payment") })
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for database, want := range map[string]string{"order": "order", "stock": "stock", "ledger": "payment"} {
		if got := query(t, p.URL(database), "SELECT current_user"); got != want {
			t.Errorf("%s belongs to %q, want %q", database, got, want)
		}
	}
	for role, database := range map[string]string{"order": "stock", "stock": "postgres"} {
		conn, err := pgx.Connect(t.Context(), p.urlAs(role, database))
		if err == nil {
			conn.Close(context.Background())
			if database != "postgres" {
				t.Errorf("%s may open %s", role, database)
			}
		}
	}
	wrong := strings.Replace(p.URL("order"), password(p.secret, "order"), "guess", 1)
	if _, err := pgx.Connect(t.Context(), wrong); err == nil {
		t.Error("a wrong password was accepted")
	}
}

func TestPostgresTellsWhyItDidNotStart(t *testing.T) {
	t.Parallel()
	_, err := StartPostgres(t.Context(), PostgresConfig{
		DataDir: filepath.Join(folder(t), "postgres"), FromTemplate: true,
		Settings: map[string]string{"no_such_setting": "1"},
	})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error without the server's own words: %v", err)
	}
}

func TestFolderOutOfReachIsReplacedTheSameWayEachTime(t *testing.T) {
	t.Parallel()
	base := folder(t)
	closed, fallback := filepath.Join(base, "home"), filepath.Join(base, "var")
	if err := errors.Join(os.Mkdir(closed, 0o700), os.Mkdir(fallback, 0o755)); err != nil {
		t.Fatal(err)
	}
	stranger := identity{&syscall.Credential{Uid: 64999, Gid: 64999}}
	first, err := stranger.folder(filepath.Join(closed, "deep", "data"), fallback)
	if err != nil {
		t.Fatal(err)
	}
	again, err := stranger.folder(filepath.Join(closed, "deep", "data"), fallback)
	if err != nil || again != first || filepath.Dir(first) != fallback {
		t.Errorf("%s, then %s (%v); want the same under %s", first, again, err, fallback)
	}
	open, err := stranger.folder(filepath.Join(base, "srv", "data"), fallback)
	if err != nil || open != filepath.Join(base, "srv", "data") {
		t.Errorf("a folder within reach became %s (%v)", open, err)
	}
	if _, err := os.Stat(filepath.Join(closed, "deep")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made where nobody will look: %v", err)
	}
}
