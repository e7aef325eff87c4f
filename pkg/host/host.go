// Package host assembles a service from its parts, the same way for all: telemetry, database and
// migrations, relay, engine, HTTP edge and admin port, started in this order and stopped in the reverse.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/outbox"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/telemetry"
	"github.com/quadrille-io/quadrille/pkg/web"
)

// Config is what the environment tells every service.
type Config struct {
	DatabaseURL run.Secret `env:"DATABASE_URL,required"`
	// HTTPAddr serves the API, AdminAddr /livez, /readyz and /metrics.
	HTTPAddr  string `env:"HTTP_ADDR" envDefault:":8080"`
	AdminAddr string `env:"ADMIN_ADDR" envDefault:":9090"`

	Brokers []string `env:"KAFKA_BROKERS,required"`
	// TopicPrefix stands before the names of topics and groups.
	TopicPrefix string `env:"TOPIC_PREFIX"`
	// Partitions of every topic as it was created; checked at start, never changed once a topic exists.
	Partitions int32 `env:"KAFKA_PARTITIONS" envDefault:"12"`
	// IgnoreAddedPartitions starts although somebody has added some: they stay empty.
	IgnoreAddedPartitions bool `env:"KAFKA_IGNORE_ADDED_PARTITIONS"`
	// CreateTopics lets the service create its own topic.
	CreateTopics bool `env:"KAFKA_CREATE_TOPICS"`
	// Durability is "replicated", or "single" for one broker in development.
	Durability string `env:"DURABILITY" envDefault:"replicated"`

	// CallSlots is how many calls outside are under way at once.
	CallSlots int `env:"CALL_SLOTS" envDefault:"128"`

	// ShutdownDelay is how long the service answers on after it stopped being ready.
	ShutdownDelay time.Duration `env:"SHUTDOWN_DELAY" envDefault:"0s"`

	Web       web.Config
	Auth      web.AuthConfig
	Telemetry telemetry.Config
	Operators Operators

	// HTTPListener and AdminListener replace the addresses: `quadrille up` opens them beforehand.
	HTTPListener  net.Listener `env:"-"`
	AdminListener net.Listener `env:"-"`
	// Tuning and KafkaOptions are for tests and for `quadrille up`.
	Tuning       engine.Tuning `env:"-"`
	KafkaOptions []kgo.Opt     `env:"-"`
	// Feed is another way in for commands than HTTP: it runs beside the engine, until ctx ends, and submits what it has.
	Feed Feed `env:"-"`
}

// Feed submits commands to a service. What HTTP would have checked before, it has to see to itself.
type Feed func(ctx context.Context, submit func(context.Context, engine.Request) (engine.Answer, error)) error

// Validate names what cannot be.
func (c *Config) Validate() error {
	if c.Durability != "single" && c.Durability != "replicated" {
		return fmt.Errorf("DURABILITY: %q is neither single nor replicated", c.Durability)
	}
	if c.Partitions < 1 {
		return errors.New("KAFKA_PARTITIONS: at least 1")
	}
	if c.CallSlots < 0 {
		return errors.New("CALL_SLOTS: negative")
	}
	return nil
}

// Parts is what makes one service differ from another.
type Parts[W any] struct {
	Definition *flow.Definition[W]
	Store      engine.Store[W]
	// Migrate brings the service's own tables up to date; the engine's and the outbox's go before them.
	Migrate func(ctx context.Context, url string) error
	// Callers, Due, NoInbox and SideBySide: see engine.Config.
	Callers    map[string]engine.Caller
	Due        func(ctx context.Context, pool *pgxpool.Pool, limit int) ([]flow.Command, error)
	NoInbox    bool
	SideBySide bool
	// Publishes names the topic the service owns, "" if it has none. While it publishes two versions of its events side by
	// side, it owns the topic of the other one too, by its Definition.
	Publishes string
	// Routes adds the service's own routes.
	Routes Routes[W]
	// Books are the service's own data, by name, for the reconciler; see Book.
	Books map[string]Book
	// Seed runs once the database is migrated, before anything else.
	Seed func(ctx context.Context, pool *pgxpool.Pool) error
	// Notices are the service's own lists for OPERATORS, beside parked subjects and stuck calls.
	Notices NoticesFunc
	// Components run beside the engine: simulators' clients, projections.
	Components []run.Component
}

// NoticesFunc lists what a person has to look at.
type NoticesFunc func(ctx context.Context, pool *pgxpool.Pool) ([]Notice, error)

// Host is one assembled service.
type Host[W any] struct {
	Name     string
	Config   Config
	Log      *slog.Logger
	Pool     *pgxpool.Pool
	Engine   *engine.Engine[W]
	Verifier *web.Verifier
	Health   *run.Health
	// Registerer takes the service's own metrics.
	Registerer prometheus.Registerer

	relay     *outbox.Relay
	telemetry *telemetry.Telemetry
	parts     Parts[W]
}

// Run assembles the service and works until ctx ends or something fails.
func Run[W any](ctx context.Context, cfg Config, parts Parts[W]) error {
	h := &Host[W]{Name: parts.Definition.Name(), Config: cfg, Health: &run.Health{}, parts: parts}
	var err error
	if h.telemetry, err = telemetry.New(ctx, cfg.Telemetry, h.Name); err != nil {
		return err
	}
	defer func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := h.telemetry.Shutdown(flush); err != nil {
			h.Log.Warn("flush traces", "error", err)
		}
	}()
	h.Log, h.Registerer = h.telemetry.Log, h.telemetry.Registerer
	if err := h.openDatabase(ctx); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	defer h.Pool.Close()
	group, err := h.assemble(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	if err := group.Run(ctx); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}

// openDatabase waits for the database, migrates and opens the pool. Any number of replicas may do so at once.
func (h *Host[W]) openDatabase(ctx context.Context) error {
	url := h.Config.DatabaseURL.Reveal()
	if err := pg.Await(ctx, url, h.Log); err != nil {
		return err
	}
	for _, migrate := range []func(context.Context, string) error{engine.Migrate, h.parts.Migrate} {
		if migrate == nil {
			continue
		}
		if err := migrate(ctx, url); err != nil {
			return err
		}
	}
	pool, err := pg.Open(ctx, pg.Config{URL: url, AppName: "quadrille-" + h.Name, Tracer: h.telemetry.PgxTracer()})
	if err != nil {
		return err
	}
	h.Pool = pool
	if h.parts.Seed == nil {
		return nil
	}
	if err := h.parts.Seed(ctx, pool); err != nil {
		pool.Close()
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

func (h *Host[W]) kafka() kafka.Config {
	return kafka.Config{
		Brokers: h.Config.Brokers, Prefix: h.Config.TopicPrefix, Partitions: h.Config.Partitions,
		IgnoreAdded: h.Config.IgnoreAddedPartitions, Create: h.Config.CreateTopics,
		Compacted: h.parts.Definition.Topology().Compacted(), Durability: h.Config.Durability, Options: h.Config.KafkaOptions,
	}
}

func (h *Host[W]) assemble(ctx context.Context) (*run.Group, error) {
	var err error
	if h.Verifier, err = web.NewVerifier(ctx, h.Config.Auth); err != nil {
		return nil, err
	}
	h.relay, err = outbox.NewRelay(outbox.Config{
		DatabaseURL: h.Config.DatabaseURL.Reveal(), Kafka: h.kafka().Opts("quadrille-" + h.Name + "-relay"),
		Partitions: h.Config.Partitions, Log: h.Log, Registerer: h.telemetry.Registerer,
	})
	if err != nil {
		return nil, err
	}
	tuning := h.Config.Tuning
	if tuning.CallSlots == 0 {
		tuning.CallSlots = h.Config.CallSlots
	}
	h.Engine, err = engine.New(engine.Config[W]{
		Definition: h.parts.Definition, Store: h.parts.Store, Pool: h.Pool, Kafka: h.kafka(), Wake: h.relay.Wake,
		Callers: h.parts.Callers, Due: h.parts.Due, NoInbox: h.parts.NoInbox, SideBySide: h.parts.SideBySide,
		Log: h.Log, Registerer: h.telemetry.Registerer, Tracer: h.telemetry.Tracer.Tracer("quadrille/engine"),
		Tuning: tuning,
	})
	if err != nil {
		return nil, err
	}
	h.Health.Add("engine", func(context.Context) error { return h.Engine.Ready() })
	h.Health.Add("relay", func(context.Context) error {
		if h.parts.Publishes != "" && !h.relay.Ready() {
			return errors.New("neither elected nor standing by")
		}
		return nil
	})
	h.Health.Add("database", h.Pool.Ping)
	return h.group(ctx)
}

// group puts the parts in order: what is added last stops first.
func (h *Host[W]) group(ctx context.Context) (*run.Group, error) {
	admin, err := listener(ctx, h.Config.AdminListener, h.Config.AdminAddr)
	if err != nil {
		return nil, err
	}
	public, err := listener(ctx, h.Config.HTTPListener, h.Config.HTTPAddr)
	if err != nil {
		return nil, err
	}
	server, err := h.server()
	if err != nil {
		return nil, err
	}
	g := run.NewGroup(h.Log)
	g.Add(run.HTTP("admin", run.Admin(h.Health, h.telemetry.Registry), admin, time.Second))
	if h.parts.Publishes != "" {
		g.Add(run.Component{Name: "topics", Start: h.ownTopics})
		g.Add(run.Component{Name: "relay", Run: h.relay.Run, Stop: h.relay.Drain, StopTimeout: 6 * time.Second})
	}
	g.Add(run.Component{Name: "engine", Run: h.Engine.Run, StopTimeout: 30 * time.Second})
	for _, c := range h.parts.Components {
		g.Add(c)
	}
	if feed := h.Config.Feed; feed != nil {
		g.Add(run.Component{Name: "feed", Run: func(ctx context.Context) error { return feed(ctx, h.Engine.Do) }})
	}
	g.Add(run.Component{Name: "operators", Run: h.tellOperators})
	g.Add(run.HTTP("http", server, public, 10*time.Second))
	g.Add(run.Component{Name: "readiness", Stop: func(ctx context.Context) error {
		h.Health.Stopping()
		select {
		case <-ctx.Done():
		case <-time.After(h.Config.ShutdownDelay):
		}
		return nil
	}, StopTimeout: h.Config.ShutdownDelay + time.Second})
	return g, nil
}

func listener(ctx context.Context, open net.Listener, addr string) (net.Listener, error) {
	if open != nil {
		return open, nil
	}
	return run.Listen(ctx, addr)
}

// publishes lists the topics the service owns.
func (h *Host[W]) publishes() []string {
	topics := h.parts.Definition.Topology().Published()
	if h.parts.Publishes != "" && !slices.Contains(topics, h.parts.Publishes) {
		topics = append(topics, h.parts.Publishes)
	}
	return topics
}

// ownTopics makes or checks the topics the service publishes on, before the relay sends to them.
func (h *Host[W]) ownTopics(ctx context.Context) error {
	client, err := kgo.NewClient(h.kafka().Opts("quadrille-" + h.Name + "-topics")...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	_, err = kafka.Ready(ctx, client, h.kafka(), h.publishes(), nil)
	return err
}

func (h *Host[W]) server() (*http.Server, error) {
	cfg := h.Config.Web
	cfg.Log, cfg.Registerer, cfg.Tracer = h.Log, h.telemetry.Registerer, h.telemetry.Tracer
	e, err := web.New(cfg)
	if err != nil {
		return nil, err
	}
	h.routes(e)
	return web.Server(cfg, e), nil
}
