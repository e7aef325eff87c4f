// Package service assembles shipping: what cmd/shipping and the one binary start.
package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/member"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/shipping/carrier/simulator"
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

// Config is shipping's environment.
type Config struct {
	host.Config
	// Carrier of parcels: simulator.
	Carrier string `env:"CARRIER" envDefault:"simulator"`
	// CarrierURL is where it listens.
	CarrierURL string `env:"CARRIER_URL"`
	// WebhookSecrets are accepted; two while the carrier changes its secret.
	WebhookSecrets []string `env:"CARRIER_WEBHOOK_SECRET" secret:"true"`
	// CarrierTimeout of one request. A call may ask and then book, and both must fit into the time the
	// engine gives a call.
	CarrierTimeout time.Duration `env:"CARRIER_TIMEOUT" envDefault:"4s"`
	// MembersFile holds the seeded members' addresses; see package member.
	MembersFile string `env:"MEMBERS_FILE"`
}

// longestTimeout: two requests within the engine's 10 s.
const longestTimeout = 4500 * time.Millisecond

// Validate names what cannot be.
func (c *Config) Validate() error {
	var errs []error
	if c.Carrier != "simulator" {
		errs = append(errs, fmt.Errorf("CARRIER: %q is not known; known is simulator", c.Carrier))
	}
	if c.CarrierURL == "" {
		errs = append(errs, errors.New("CARRIER_URL: required"))
	}
	if len(c.WebhookSecrets) == 0 || slices.Contains(c.WebhookSecrets, "") {
		errs = append(errs, errors.New("CARRIER_WEBHOOK_SECRET: required, and none may be empty"))
	}
	if c.CarrierTimeout <= 0 || c.CarrierTimeout > longestTimeout {
		errs = append(errs, fmt.Errorf("CARRIER_TIMEOUT: %s is not within 0 and %s", c.CarrierTimeout, longestTimeout))
	}
	return errors.Join(errs...)
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	parcels, err := simulator.New(simulator.Config{
		Remote:         remote.Config{BaseURL: cfg.CarrierURL, Timeout: cfg.CarrierTimeout},
		WebhookSecrets: cfg.WebhookSecrets,
	})
	if err != nil {
		return err
	}
	calls := &caller{carrier: parcels}
	return host.Run(ctx, cfg.Config, host.Parts[shipping.World]{
		Definition: shipping.Topology,
		Store:      store.Store{},
		Migrate:    store.Migrate,
		Books:      store.Books(),
		Callers:    calls.callers(),
		Publishes:  "shipping.v1",
		Routes:     routes(parcels),
		Seed: func(ctx context.Context, pool *pgxpool.Pool) error {
			calls.addresses.pool = pool
			members, err := member.Load(cfg.MembersFile)
			if err != nil {
				return err
			}
			return store.PutMembers(ctx, pool, members)
		},
	})
}
