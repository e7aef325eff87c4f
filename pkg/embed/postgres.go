package embed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// PostgresConfig says where a PostgreSQL server keeps its data and how it runs.
type PostgresConfig struct {
	// DataDir keeps the data, the log and a random secret from which the
	// roles' passwords are derived. Under root, a folder that the server's
	// user could not reach is replaced by one under /var/lib/quadrille, the
	// same at every start; Postgres.DataDir tells. One process at a time.
	DataDir string
	// CacheDir keeps the downloaded binaries; empty means the user's cache
	// folder, under root one in /var/cache when the server's user could not
	// reach that. QUADRILLE_POSTGRES_BIN names a folder with binaries (initdb
	// and postgres, 17 or newer) to use instead.
	CacheDir string
	// Port on 127.0.0.1; 0 means one that is free.
	Port int
	// Fsync makes commits survive a crash of the machine. Without it they
	// survive only the death of processes, which is enough for tests.
	Fsync bool
	// FromTemplate copies a cached empty cluster instead of running initdb.
	// The copies share one secret: for data that is thrown away.
	FromTemplate bool
	// Settings are added to the server's configuration and win over ours.
	Settings map[string]string
	// Progress is told, in words for a person, what takes time; may be nil.
	Progress func(string)
}

// Postgres is a running server.
type Postgres struct {
	cfg     PostgresConfig
	bin     string
	major   int
	dataDir string
	id      identity
	secret  string
	port    int
	lock    *fileLock
	proc    *process
	say     func(string, ...any)

	creating sync.Mutex // one CreateDatabase at a time: GRANT and REVOKE on one object collide

	mu     sync.Mutex
	owners map[string]string // database → role, where they differ
}

// StartPostgres starts a server and returns once it accepts connections. It
// downloads the binaries and makes an empty cluster when there is none; it
// never deletes or overwrites data. ctx bounds the start only.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (_ *Postgres, err error) {
	p := &Postgres{cfg: cfg, say: reporter(cfg.Progress), owners: map[string]string{}}
	if cfg.DataDir == "" {
		return nil, errors.New("start PostgreSQL: no data folder given")
	}
	if err := p.places(ctx); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if p.lock, err = lockData(ctx, p.dataDir, p.say); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer func() {
		if err != nil {
			p.lock.unlock()
		}
	}()
	if err := p.prepare(ctx); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := p.launch(ctx); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return p, nil
}

// places finds the identity, the folders and the binaries.
func (p *Postgres) places(ctx context.Context) (err error) {
	if p.id, err = serverIdentity(filepath.Join(p.cfg.DataDir, "pgdata")); err != nil {
		return err
	}
	if p.dataDir, err = p.id.folder(p.cfg.DataDir, "/var/lib/quadrille"); err != nil {
		return err
	}
	// The folder in use may be the fallback, with an owner of its own.
	if p.id, err = serverIdentity(p.pgdata()); err != nil {
		return err
	}
	cache, err := defaultCacheDir(p.cfg.CacheDir)
	if err != nil {
		return err
	}
	if cache, err = p.id.folder(cache, "/var/cache"); err != nil {
		return err
	}
	p.bin, p.major, err = binaries(ctx, cache, p.say)
	if err != nil {
		return err
	}
	p.cfg.CacheDir = cache
	return nil
}

func (p *Postgres) pgdata() string  { return filepath.Join(p.dataDir, "pgdata") }
func (p *Postgres) logPath() string { return filepath.Join(p.dataDir, "postgres.log") }

// prepare gets an initialised cluster that no other server works on.
func (p *Postgres) prepare(ctx context.Context) (err error) {
	if err := p.initialise(ctx); err != nil {
		return err
	}
	if p.secret, err = secret(p.secretPath()); err != nil {
		return err
	}
	return clearOrphans(ctx, p.pgdata(), p.say)
}

// launch starts the server, on another port when a free one was taken by
// somebody else between our looking and its listening.
func (p *Postgres) launch(ctx context.Context) error {
	for try := 1; ; try++ {
		port := p.cfg.Port
		if port == 0 {
			var err error
			if port, err = freePort(ctx); err != nil {
				return err
			}
		}
		err := p.launchOn(ctx, port)
		if err == nil {
			p.port = port
			return nil
		}
		if p.cfg.Port != 0 || try == 5 || !strings.Contains(err.Error(), "could not bind") {
			return err
		}
	}
}

func (p *Postgres) launchOn(ctx context.Context, port int) error {
	out, err := openLog(p.logPath())
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(p.bin, "postgres"), p.arguments(port)...)
	cmd.Dir = p.dataDir
	cmd.Env = serverEnv()
	cmd.Stdout, cmd.Stderr = out, out
	// SIGINT is PostgreSQL's fast shutdown: roll back, checkpoint, end.
	p.proc, err = startProcess(cmd, p.id.cred, syscall.SIGINT)
	if err != nil {
		return err
	}
	if err := p.awaitReady(ctx); err != nil {
		return errors.Join(err, p.proc.stop(ctx, time.Second, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL))
	}
	return nil
}

// serverEnv keeps the caller's PG* variables and locale from the server.
func serverEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

func (p *Postgres) arguments(port int) []string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": "",
		"max_connections":         "200",
		"shared_buffers":          "128MB",
		"max_wal_size":            "2GB",
		// One server and no replicas: less to write.
		"wal_level":           "minimal",
		"max_wal_senders":     "0",
		"jit":                 "off",
		"timezone":            "UTC",
		"log_timezone":        "UTC",
		"password_encryption": "scram-sha-256",
		// The passwords are random: iterations would protect nothing and cost
		// milliseconds for every connection.
		"scram_iterations": "1",
		// Statements and row values may carry personal data: keep them out.
		"log_min_error_statement": "panic",
		"log_error_verbosity":     "terse",
	}
	if !p.cfg.Fsync {
		// synchronous_commit stays on: without it a kill of the server alone
		// would lose commits that were answered.
		maps.Copy(settings, map[string]string{"fsync": "off", "full_page_writes": "off"})
	}
	maps.Copy(settings, p.cfg.Settings)
	args := []string{"-D", p.pgdata()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// awaitReady waits until the server says so itself, in the eighth line of its
// pid file. Connecting instead could reach another server: one that took the
// port first, with the same password when both are copies of one template.
func (p *Postgres) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	slow := time.NewTimer(5 * time.Second)
	defer slow.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w", ctx.Err())
		case <-p.proc.done:
			return fmt.Errorf("the server ended at once (%w):\n%s", ended(p.proc.err), tail(p.logPath()))
		case <-slow.C:
			p.say("PostgreSQL is still starting (recovering from a crash takes a while)")
		case <-ticker.C:
			pf, err := readPidFile(p.pgdata())
			if err == nil && pf.pid == p.Pid() && pf.status == "ready" {
				return nil
			}
		}
	}
}

// ended names the end of a process that should not have ended.
func ended(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// Stop shuts the server down: open transactions are rolled back, everything is
// written. When ctx ends first, it is ended at once, as a crash would; the next
// start recovers. The data stays.
func (p *Postgres) Stop(ctx context.Context) error {
	defer p.lock.unlock()
	if err := p.proc.stop(ctx, 20*time.Second, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	return nil
}

// Done is closed when the server has ended, for whatever reason.
func (p *Postgres) Done() <-chan struct{} { return p.proc.done }

// Pid is the process id of the server.
func (p *Postgres) Pid() int { return p.proc.cmd.Process.Pid }

// DataDir is where the data really is.
func (p *Postgres) DataDir() string { return p.dataDir }
