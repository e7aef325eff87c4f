// Package service assembles shipping: what cmd/shipping and the one binary start.
package service

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/shipping/carrier/simulator"
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	parcels, err := simulator.New(simulator.Config{
		Remote:         remote.Config{BaseURL: cfg.CarrierURL, Timeout: cfg.CarrierTimeout},
		WebhookSecrets: cfg.webhookSecrets(),
	})
	if err != nil {
		return err
	}
	following, err := cfg.Tracking.follower(parcels)
	if err != nil {
		return err
	}
	calls := &caller{carrier: parcels, addressTries: cfg.AddressTries}
	return host.Run(ctx, cfg.Config, host.Parts[shipping.World]{
		Definition: shipping.Topology,
		Store:      store.Store{LookAfter: following.lookAfter()},
		Migrate:    store.Migrate,
		Books:      store.Books(),
		Callers:    calls.callers(),
		Publishes:  "shipping.v1",
		Routes:     routes(following, parcels),
		Notices:    notices(cfg.Tracking.Silence),
		Components: []run.Component{following.component()},
		Seed: func(_ context.Context, pool *pgxpool.Pool) error {
			calls.addresses.pool = pool
			return nil
		},
	})
}
