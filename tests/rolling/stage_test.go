package rolling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/tests/chaos/check"
	"github.com/quadrille-io/quadrille/tests/chaos/client"
	"github.com/quadrille-io/quadrille/tests/chaos/history"
	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

const (
	// patience bounds each wait, on a machine that has much else to do.
	patience = 5 * time.Minute
	// pending is how long an order may be PENDING: order's own default.
	pending = time.Minute
	// partitions of every topic: fewer than in production, so that what moves is a larger part.
	partitions = 6
)

// stage is a running system with customers.
type stage struct {
	t       *testing.T
	cluster *cluster.Cluster
	history string
	log     *history.Writer
	crowd   *client.Client
	// old is the folder of this version's programs.
	old string

	leave context.CancelFunc
	left  chan error
	began time.Time
}

// shared builds this version's programs once for all tests.
var shared = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "quadrille", "rolling-this")
	return dir, cluster.Build(context.Background(), cluster.Program{Dir: dir})
})

// built builds a version's programs and returns their folder. It comes before start: no cluster idles beside a compiler.
func built(t *testing.T, v version) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), v.name)
	if err := v.build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// start starts the system as this version is, with some goods and members.
func start(t *testing.T, opts cluster.Options) *stage {
	t.Helper()
	s := &stage{t: t, history: filepath.Join(t.TempDir(), "history.jsonl")}
	var err error
	if s.old, err = shared(); err != nil {
		t.Fatal(err)
	}
	opts.Binaries, opts.Members, opts.Partitions = s.old, 200, partitions
	opts.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	services := map[string]map[string]string{"simulator": {"CARRIER_DELAY": "-1s"}, "gateway": {"CONFORMANCE_GRACE": "20s"}}
	for service, env := range opts.ServiceEnvironment {
		services[service] = env
	}
	opts.ServiceEnvironment = services
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if s.cluster, err = cluster.Start(ctx, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.leave != nil {
			s.leave()
			if err := <-s.left; err != nil {
				t.Log(err) // the test has failed before
			}
		}
		if err := s.cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// shop lets customers order from now on, as many a second.
func (s *stage) shop(rate float64) {
	s.t.Helper()
	var err error
	if s.log, err = history.Create(s.history); err != nil {
		s.t.Fatal(err)
	}
	s.crowd = client.New(client.Options{
		Gateways: s.cluster.Gateways(), Members: s.cluster.Members(), Token: s.tokens(), OperatorToken: s.cluster.OperatorToken(),
		CarrierURL: s.cluster.Carrier(), Rate: rate, Seed: 7, History: s.log,
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.crowd.Prepare(ctx); err != nil {
		s.t.Fatal(err)
	}
	s.began = time.Now()
	ctx, s.leave = context.WithCancel(context.Background())
	s.left = make(chan error, 1)
	go func() { s.left <- s.crowd.Run(ctx) }()
}

// tokens signs each member's token once.
func (s *stage) tokens() func(string) string {
	var mu sync.Mutex
	signed := map[string]string{}
	return func(member string) string {
		mu.Lock()
		defer mu.Unlock()
		if signed[member] == "" {
			signed[member] = s.cluster.Token(member)
		}
		return signed[member]
	}
}

// served waits until so many more orders were accepted.
func (s *stage) served(more int64) {
	s.t.Helper()
	from := s.crowd.Accepted()
	s.eventually(func() error {
		if n := s.crowd.Accepted() - from; n < more {
			return fmt.Errorf("%d orders were accepted, want %d", n, more)
		}
		return nil
	})
}

// eventually polls until is has no error.
func (s *stage) eventually(is func() error) {
	s.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(patience)
	for {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("not so after %s: %v", patience, err)
		}
		select {
		case <-tick.C:
		case <-s.t.Context().Done():
			s.t.Fatal(s.t.Context().Err())
		}
	}
}

// roll replaces the replicas of services one by one: SIGTERM, the other program, ready, some orders, the next.
func (s *stage) roll(programs string, services ...string) {
	s.t.Helper()
	for _, service := range services {
		for _, p := range s.cluster.Replicas(service) {
			s.replace(p, filepath.Join(programs, service))
			s.served(2)
		}
	}
	s.t.Logf("%s run %s after %s, %d orders", strings.Join(services, ", "), filepath.Base(programs),
		time.Since(s.began).Round(time.Second), s.crowd.Accepted())
}

func (s *stage) replace(p *cluster.Process, program string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := p.Terminate(ctx); err != nil {
		s.t.Fatalf("%s: %v", p.Name(), err)
	}
	p.Use(program)
	if err := errors.Join(p.Start(), p.Ready(ctx)); err != nil {
		s.t.Fatalf("%s: %v", p.Name(), err)
	}
}

// topic makes one, as `deploy/topics.yaml` would before the services that need it are deployed.
func (s *stage) topic(name string) {
	s.t.Helper()
	created, err := s.admin().CreateTopic(s.t.Context(), partitions, 1, nil, name)
	if err := errors.Join(err, created.Err); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) admin() *kadm.Client {
	s.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Brokers()...))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return kadm.NewClient(c)
}

// close lets the customers go home, waits until everything is final, and reads all that is left.
func (s *stage) close() *check.Evidence {
	s.t.Helper()
	s.leave()
	err := <-s.left
	s.leave = nil
	if err := errors.Join(err, s.log.Close()); err != nil {
		s.t.Fatal(err)
	}
	source := check.Source{
		History: s.history, Brokers: s.cluster.Brokers(), Databases: map[string]string{},
		PaymentURL: s.cluster.Simulator(), CarrierURL: s.cluster.Carrier(),
	}
	for _, service := range cluster.Services() {
		source.Databases[service] = s.cluster.DatabaseURL(service)
	}
	last := time.Now()
	var progress check.Progress
	final, quiet, err := check.Await(s.t.Context(), source, patience, patience, func(p check.Progress) { progress = p })
	if err != nil || final.IsZero() || quiet.IsZero() {
		s.t.Fatalf("not at rest: %v, %+v", err, progress)
	}
	evidence, err := check.Collect(s.t.Context(), source)
	if err != nil {
		s.t.Fatal(err)
	}
	evidence.LastFault, evidence.FinalAt, evidence.QuietAt = last, final, quiet
	return evidence
}

// query is one row of a service's database.
func (s *stage) query(service, sql string, into ...any) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.cluster.DatabaseURL(service))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(s.t.Context(), sql).Scan(into...); err != nil {
		s.t.Fatalf("%s: %s: %v", service, sql, err)
	}
}

// deaths wants no process to have ended that nobody stopped.
func (s *stage) deaths(but ...string) {
	s.t.Helper()
	for _, d := range s.cluster.Deaths() {
		if !slices.ContainsFunc(but, func(text string) bool { return strings.Contains(d.Tail, text) }) {
			s.t.Errorf("%s-%d died: %s\n%s", d.Service, d.Replica, d.How, d.Tail)
		}
	}
}
