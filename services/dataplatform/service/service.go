// Package service puts the export to a data platform together: what cmd/dataplatform and the one binary start.
package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/dataplatform"
	"github.com/quadrille-io/quadrille/services/dataplatform/internal/store"
	"github.com/quadrille-io/quadrille/services/dataplatform/sink"
)

// Config is the export's environment.
type Config struct {
	host.Config
	// URL takes batches by POST; without one they are written to Dir as files.
	URL string `env:"DATAPLATFORM_URL" secret:"true"`
	// Secret signs them: whsec_ and base64; required with URL.
	Secret run.Secret `env:"DATAPLATFORM_SECRET"`
	// Insecure allows http to other machines.
	Insecure bool `env:"DATAPLATFORM_INSECURE"`
	// Dir takes files, NDJSON by day.
	Dir string `env:"DATAPLATFORM_DIR"`

	// BatchFacts, BatchBytes (of payloads as they are stored) and BatchAge bound a batch.
	BatchFacts int           `env:"DATAPLATFORM_BATCH_FACTS" envDefault:"2000"`
	BatchBytes int           `env:"DATAPLATFORM_BATCH_BYTES" envDefault:"1048576"`
	BatchAge   time.Duration `env:"DATAPLATFORM_BATCH_AGE" envDefault:"5s"`
	// Timeout of one attempt to send a batch.
	Timeout time.Duration `env:"DATAPLATFORM_TIMEOUT" envDefault:"10s"`
	// RetryMin and RetryMax bound the pauses after a failure, which double.
	RetryMin time.Duration `env:"DATAPLATFORM_RETRY_MIN" envDefault:"500ms"`
	RetryMax time.Duration `env:"DATAPLATFORM_RETRY_MAX" envDefault:"1m"`
	// Keep is how long facts can be asked for again once they are exported. The default is far longer than topics keep
	// them: it is also how long an event that is published again is recognised.
	Keep time.Duration `env:"DATAPLATFORM_KEEP" envDefault:"720h"`
	// Behind is how long a fact may wait before a person hears of it.
	Behind time.Duration `env:"DATAPLATFORM_BEHIND" envDefault:"10m"`
}

// The bounds of some figures.
const (
	mostFacts   = 10_000
	mostBytes   = 16 << 20
	mostTimeout = 30 * time.Second // below the patience of the database with a silent exporter
	leastKeep   = 8 * 24 * time.Hour
)

// Validate names what cannot be.
func (c *Config) Validate() error {
	var errs []error
	if _, err := c.httpConfig(); c.URL != "" && err != nil {
		errs = append(errs, err)
	}
	if c.URL == "" && c.Dir == "" {
		errs = append(errs, errors.New("DATAPLATFORM_URL or DATAPLATFORM_DIR: one of them is required"))
	}
	for _, bad := range []struct {
		is   bool
		what string
	}{
		{c.BatchFacts < 1 || c.BatchFacts > mostFacts, fmt.Sprintf("DATAPLATFORM_BATCH_FACTS: not within 1 and %d", mostFacts)},
		{c.BatchBytes < 1 || c.BatchBytes > mostBytes, fmt.Sprintf("DATAPLATFORM_BATCH_BYTES: not within 1 and %d", mostBytes)},
		{c.BatchAge < 0, "DATAPLATFORM_BATCH_AGE: negative"},
		{c.Timeout <= 0 || c.Timeout > mostTimeout, fmt.Sprintf("DATAPLATFORM_TIMEOUT: not within 0 and %s", mostTimeout)},
		{c.RetryMin <= 0 || c.RetryMax < c.RetryMin, "DATAPLATFORM_RETRY_MIN, DATAPLATFORM_RETRY_MAX: want 0 < MIN <= MAX"},
		{c.Keep < leastKeep, fmt.Sprintf("DATAPLATFORM_KEEP: at least %s, longer than topics are kept", leastKeep)},
		{c.Behind <= 0, "DATAPLATFORM_BEHIND: not above 0"},
	} {
		if bad.is {
			errs = append(errs, errors.New(bad.what))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) httpConfig() (sink.HTTPConfig, error) {
	secret, err := sink.ParseSecret(c.Secret.Reveal())
	if err != nil {
		return sink.HTTPConfig{}, fmt.Errorf("DATAPLATFORM_SECRET: %w", err)
	}
	cfg := sink.HTTPConfig{URL: c.URL, Secret: secret, Insecure: c.Insecure, Timeout: c.Timeout}
	if _, err := sink.NewHTTP(cfg); err != nil {
		return cfg, fmt.Errorf("DATAPLATFORM_URL: %w", err)
	}
	return cfg, nil
}

func (c *Config) platform() (platform, error) {
	if c.URL == "" {
		return sink.NewFiles(c.Dir)
	}
	cfg, err := c.httpConfig()
	if err != nil {
		return nil, err
	}
	return sink.NewHTTP(cfg)
}

// tick is how often the exporter looks for facts.
func (c *Config) tick() time.Duration {
	return min(500*time.Millisecond, max(c.BatchAge/2, 20*time.Millisecond))
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	to, err := cfg.platform()
	if err != nil {
		return fmt.Errorf("dataplatform: %w", err)
	}
	s := &server{keep: cfg.Keep, exporter: &exporter{
		url: cfg.DatabaseURL.Reveal(), limit: store.Limit{Facts: cfg.BatchFacts, Bytes: cfg.BatchBytes},
		age: cfg.BatchAge, tick: cfg.tick(), retryMin: cfg.RetryMin, retryMax: cfg.RetryMax, platform: to,
	}}
	return host.Run(ctx, cfg.Config, host.Parts[dataplatform.World]{
		Definition: dataplatform.Topology,
		Store:      store.Store{},
		Migrate:    store.Migrate,
		// The id of a fact recognises a repeated event, and it needs none of the events before it.
		NoInbox: true, SideBySide: true,
		Routes: s.routes,
		Seed: func(ctx context.Context, pool *pgxpool.Pool) error {
			return store.PrepareDays(ctx, pool, time.Now())
		},
		Notices: notices(cfg.Behind),
		Components: []run.Component{
			{Name: "days", Run: s.days},
			{Name: "exporter", Run: s.export},
		},
	})
}
