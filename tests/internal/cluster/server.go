package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/embed"
)

// instance is one life of Kafka or PostgreSQL.
type instance interface {
	Pid() int
	Done() <-chan struct{}
	Stop(ctx context.Context) error
}

// server is Kafka or PostgreSQL over all its lives: the same data and the same port.
type server struct {
	name    string
	cluster *Cluster
	begin   func(ctx context.Context) (instance, error)

	// changing serialises what starts and ends it.
	changing sync.Mutex

	mu     sync.Mutex
	now    instance // nil while it is down
	paused bool
}

// Kafka is the broker.
type Kafka struct {
	server
	port int
}

// Postgres is the database server.
type Postgres struct {
	server
	// first is the first life; passwords, port and folder are the same in every other.
	first *embed.Postgres
}

// startServers starts Kafka and PostgreSQL side by side, and the balancers.
func (c *Cluster) startServers(ctx context.Context) error {
	for _, service := range Services() {
		b, err := c.newBalancer(ctx, service)
		if err != nil {
			return err
		}
		c.balancers[service] = b
	}
	if err := c.newKafka(ctx); err != nil {
		return err
	}
	if err := c.newPostgres(ctx); err != nil {
		return err
	}
	errs := make(chan error, 1)
	go func() { errs <- c.kafka.Start(ctx) }()
	err := c.postgres.Start(ctx)
	if err == nil {
		err = c.createDatabases(ctx)
	}
	return errors.Join(err, <-errs)
}

func (c *Cluster) newKafka(ctx context.Context) error {
	port, err := c.ports.take(ctx)
	if err != nil {
		return err
	}
	cfg := embed.KafkaConfig{DataDir: filepath.Join(c.dir, "kafka"), Port: port}
	if c.opts.Proxied {
		if cfg.Listeners, err = c.kafkaLinks(ctx); err != nil {
			return err
		}
	}
	c.kafka = &Kafka{port: port, server: server{name: "kafka", cluster: c, begin: func(ctx context.Context) (instance, error) {
		k, err := embed.StartKafka(ctx, cfg)
		if err != nil {
			return nil, err // not a nil *embed.Kafka inside an instance
		}
		return k, nil
	}}}
	return nil
}

// kafkaLinks makes the ways to Kafka of every replica there may ever be: listeners cannot be added later.
func (c *Cluster) kafkaLinks(ctx context.Context) ([]embed.KafkaListener, error) {
	var listeners []embed.KafkaListener
	for _, service := range Services() {
		for replica := range c.opts.Replicas + c.opts.Spare {
			port, err := c.ports.take(ctx)
			if err != nil {
				return nil, err
			}
			l, err := c.link(ctx, linkKey{service, replica, ToKafka}, loopback(port))
			if err != nil {
				return nil, err
			}
			listeners = append(listeners, embed.KafkaListener{Port: port, Advertised: l.addr})
		}
	}
	return listeners, nil
}

func (c *Cluster) newPostgres(ctx context.Context) error {
	port, err := c.ports.take(ctx)
	if err != nil {
		return err
	}
	cfg := embed.PostgresConfig{
		DataDir: filepath.Join(c.dir, "postgres"), Port: port, Fsync: true,
		Settings: map[string]string{"max_connections": "400", "shared_buffers": "256MB", "synchronous_commit": "on"},
	}
	c.postgres = &Postgres{}
	c.postgres.server = server{name: "postgres", cluster: c, begin: func(ctx context.Context) (instance, error) {
		p, err := embed.StartPostgres(ctx, cfg)
		if err != nil {
			return nil, err
		}
		if c.postgres.first == nil {
			c.postgres.first = p
		}
		return p, nil
	}}
	return nil
}

func (c *Cluster) createDatabases(ctx context.Context) error {
	for _, service := range Services() {
		if err := c.postgres.first.CreateDatabase(ctx, service, ""); err != nil {
			return err
		}
	}
	return nil
}

// Start starts the server again on its data, unless it runs, and returns once it takes requests.
func (s *server) Start(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.current() != nil {
		return nil
	}
	now, err := s.begin(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.now, s.paused = now, false
	s.mu.Unlock()
	go s.watch(now, time.Now())
	return nil
}

// watch notices an end that nobody asked for, and starts the server again.
func (s *server) watch(now instance, begin time.Time) {
	<-now.Done()
	if s.current() != now {
		return // asked for
	}
	s.cluster.record(Death{Service: s.name, At: time.Now().UTC(), Age: time.Since(begin), How: "ended by itself"})
	s.end(syscall.SIGKILL)
	for !s.cluster.isClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		err := s.Start(ctx)
		cancel()
		if err == nil {
			return
		}
		s.cluster.log.Error("start again failed", "server", s.name, "error", err)
	}
}

func (s *server) current() instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Running says whether it runs, paused or not.
func (s *server) Running() bool { return s.current() != nil }

// Paused says whether it was paused and not resumed.
func (s *server) Paused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused
}

// Kill ends it as a crash of the process does (SIGKILL) and returns once it is gone. It stays down.
func (s *server) Kill() { s.end(syscall.SIGKILL) }

// Terminate ends it in order and returns once it is gone. It stays down.
func (s *server) Terminate() { s.end(syscall.SIGTERM) }

func (s *server) end(signal syscall.Signal) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	now := s.now
	s.now, s.paused = nil, false
	s.mu.Unlock()
	if now == nil {
		return
	}
	_ = syscall.Kill(now.Pid(), signal) // fails only because it has ended
	if signal != syscall.SIGKILL {
		_ = syscall.Kill(now.Pid(), syscall.SIGCONT)
	}
	<-now.Done()
	// It is gone; this lets go of the data folder's lock.
	if err := now.Stop(context.Background()); err != nil {
		s.cluster.log.Error("let go of the data folder", "server", s.name, "error", err)
	}
}

// Pause stops it where it stands (SIGSTOP).
func (k *Kafka) Pause() error { return k.freeze(syscall.SIGSTOP, true) }

// Resume lets it go on after Pause.
func (k *Kafka) Resume() error { return k.freeze(syscall.SIGCONT, false) }

func (s *server) freeze(signal syscall.Signal, paused bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return fmt.Errorf("%s: %s is not running", signal, s.name)
	}
	if err := syscall.Kill(s.now.Pid(), signal); err != nil {
		return fmt.Errorf("%s: %s: %w", signal, s.name, err)
	}
	s.paused = paused
	return nil
}

// Addr is the broker's own host:port.
func (k *Kafka) Addr() string { return loopback(k.port) }

// Immediate ends PostgreSQL by its immediate shutdown (SIGQUIT): every session is cut, nothing is written,
// the next start recovers from the log. It stays down.
func (p *Postgres) Immediate() { p.end(syscall.SIGQUIT) }

// KillBackend kills one session of a service with SIGKILL, as the kernel does when memory runs out. The
// server then cuts every session of every service and recovers by itself. It reports whether there was one.
func (p *Postgres) KillBackend(ctx context.Context, service string) (bool, error) {
	conn, err := pgx.Connect(ctx, p.first.AdminURL("postgres"))
	if err != nil {
		return false, fmt.Errorf("kill a session of %s: %w", service, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`, service)
	if err != nil {
		return false, fmt.Errorf("kill a session of %s: %w", service, err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return false, fmt.Errorf("kill a session of %s: %w", service, err)
	}
	if len(pids) == 0 {
		return false, nil
	}
	pid := pids[rand.IntN(len(pids))]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return false, fmt.Errorf("kill a session of %s: %w", service, err)
	}
	return true, nil
}

// URL is a service's database, signed in as the service.
func (p *Postgres) URL(service string) string { return p.first.URL(service) }

// stop ends it in order, at once when ctx ends.
func (p *Postgres) stop(ctx context.Context) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.mu.Lock()
	now := p.now
	p.now = nil
	p.mu.Unlock()
	if now == nil {
		return nil
	}
	return now.Stop(ctx)
}

// dataDir is where the data really is.
func (p *Postgres) dataDir() string {
	if p.first == nil {
		return ""
	}
	return p.first.DataDir()
}
