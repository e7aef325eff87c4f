// Package service runs the webhook service: it listens to every fact and sends those that somebody wants to the
// merchants' HTTP endpoints.
package service

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/webhook"
	"github.com/quadrille-io/quadrille/services/webhook/internal/deliver"
	"github.com/quadrille-io/quadrille/services/webhook/internal/directory"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
	"github.com/quadrille-io/quadrille/services/webhook/outward"
)

// Config is what the environment tells the service.
type Config struct {
	host.Config

	// Timeout bounds one attempt, from the look-up of the name to the status of the answer.
	Timeout time.Duration `env:"WEBHOOK_TIMEOUT" envDefault:"10s"`
	// Retries are the pauses after the first, second, ... failed attempt, each a fifth more or less; the last one holds
	// for all that follow, until GiveUpAfter.
	Retries     []time.Duration `env:"WEBHOOK_RETRIES" envDefault:"5s,30s,2m,10m,30m,1h,2h,4h,8h"`
	GiveUpAfter time.Duration   `env:"WEBHOOK_GIVE_UP_AFTER" envDefault:"72h"`
	// DisableAfter is how long nothing may be delivered to an endpoint before it is disabled.
	DisableAfter time.Duration `env:"WEBHOOK_DISABLE_AFTER" envDefault:"72h"`
	// Retention of events, deliveries and attempts; longer than topics keep events, or one that is read again after
	// a restore would be sent again.
	Retention time.Duration `env:"WEBHOOK_RETENTION" envDefault:"720h"`
	// Concurrency is how many attempts to one endpoint are under way at once in each replica.
	Concurrency int `env:"WEBHOOK_CONCURRENCY" envDefault:"16"`
	// MaxEndpoints is how many there may be.
	MaxEndpoints int `env:"WEBHOOK_MAX_ENDPOINTS" envDefault:"100"`
	// Ports that deliveries may go to.
	Ports []uint16 `env:"WEBHOOK_PORTS" envDefault:"443,8443"`
	// Loopback lets deliveries go to this machine, by http too and to any port: for development only.
	Loopback bool `env:"WEBHOOK_LOOPBACK" envDefault:"false"`
	// Every is how often is looked for what is due, SweepEvery how often rows are looked through for what time does to
	// them.
	Every      time.Duration `env:"WEBHOOK_EVERY" envDefault:"250ms"`
	SweepEvery time.Duration `env:"WEBHOOK_SWEEP_EVERY" envDefault:"1m"`

	// Roots replaces the authorities of the machine: for tests.
	Roots *x509.CertPool `env:"-"`
}

// leastRetention is what the topics keep, and a day.
const leastRetention = 8 * 24 * time.Hour

// longestTimeout keeps claims short: they are three times as long, and so is the pause after a crash.
const longestTimeout = 30 * time.Second

// Validate names what cannot be.
func (c *Config) Validate() error {
	var errs []error
	refuse := func(name string, wrong bool, what string) {
		if wrong {
			errs = append(errs, fmt.Errorf("%s: %s", name, what))
		}
	}
	refuse("WEBHOOK_TIMEOUT", c.Timeout <= 0 || c.Timeout > longestTimeout, "not within 0 and 30s")
	refuse("WEBHOOK_RETRIES", len(c.Retries) == 0, "at least one pause")
	for _, pause := range c.Retries {
		refuse("WEBHOOK_RETRIES", pause <= 0, "a pause is longer than 0")
	}
	refuse("WEBHOOK_GIVE_UP_AFTER", c.GiveUpAfter <= 0, "longer than 0")
	refuse("WEBHOOK_DISABLE_AFTER", c.DisableAfter <= 0, "longer than 0")
	refuse("WEBHOOK_RETENTION", c.Retention < leastRetention, "at least 192h: topics keep events for 7 days")
	refuse("WEBHOOK_RETENTION", c.Retention < c.GiveUpAfter, "shorter than WEBHOOK_GIVE_UP_AFTER")
	refuse("WEBHOOK_CONCURRENCY", c.Concurrency < 1, "at least 1")
	refuse("WEBHOOK_MAX_ENDPOINTS", c.MaxEndpoints < 1 || c.MaxEndpoints > 1000, "from 1 to 1000")
	refuse("WEBHOOK_PORTS", len(c.Ports) == 0, "at least one")
	refuse("WEBHOOK_EVERY", c.Every <= 0, "longer than 0")
	refuse("WEBHOOK_SWEEP_EVERY", c.SweepEvery <= 0, "longer than 0")
	return errors.Join(errs...)
}

func (c *Config) policy() outward.Policy { return outward.Policy{Ports: c.Ports, Loopback: c.Loopback} }

// settleDeleted is how long the rows of a deleted endpoint are left alone; longer than a transaction and a claim.
const settleDeleted = 10 * time.Minute

func (c *Config) limits() store.Limits {
	return store.Limits{DisableAfter: c.DisableAfter, Retention: c.Retention, Settle: settleDeleted}
}

// stopTimeout is for attempts that are under way when the service stops, and for writing what became of them.
const stopTimeout = longestTimeout + 10*time.Second

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	s := newServer(cfg)
	return host.Run(ctx, cfg.Config, host.Parts[webhook.World]{
		Definition: webhook.Definition(s.directory.Wanted),
		Store: store.Store{Rules: webhook.Rules{
			MaxEndpoints: cfg.MaxEndpoints, GiveUpAfter: cfg.GiveUpAfter, Retention: cfg.Retention,
		}},
		Migrate: store.Migrate,
		// A delivery's row recognises an event that comes again, and needs none of the events before it.
		NoInbox: true, SideBySide: true,
		Seed:    s.open,
		Routes:  s.routes,
		Notices: notices,
		Components: []run.Component{
			{Name: "directory", Run: s.directory.Run},
			{Name: "sender", Run: s.sender.Run, StopTimeout: stopTimeout},
			{Name: "sweeper", Run: s.sweep},
		},
	})
}

// server is what the parts share.
type server struct {
	cfg       Config
	policy    outward.Policy
	directory *directory.Directory
	sender    *deliver.Sender
	host      *host.Host[webhook.World]
}

func newServer(cfg Config) *server {
	s := &server{cfg: cfg, policy: cfg.policy(), directory: &directory.Directory{}}
	s.sender = deliver.New(deliver.Config{
		Timeout: cfg.Timeout, Retries: cfg.Retries, Concurrency: cfg.Concurrency, Every: cfg.Every,
	}, s.directory, outward.NewClient(s.policy, cfg.Roots))
	return s
}

// open makes the first view of the endpoints, before any event is read.
func (s *server) open(ctx context.Context, pool *pgxpool.Pool) error {
	s.directory.Open(pool)
	s.sender.Open(pool)
	return s.directory.Refresh(ctx)
}

// sweep looks through the rows until ctx ends.
func (s *server) sweep(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.SweepEvery)
	defer tick.Stop()
	for {
		if _, err := store.Sweep(ctx, s.host.Pool, s.cfg.limits()); err != nil && ctx.Err() == nil {
			s.host.Log.WarnContext(ctx, "sweep webhooks' deliveries", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
