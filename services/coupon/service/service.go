// Package service puts coupon together: what cmd/coupon and the one binary start.
package service

import (
	"context"
	"fmt"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/coupon/internal/store"
)

// Config is what the environment tells coupon.
type Config struct {
	host.Config
	// Currency of the amounts of a new policy that names none, ISO 4217.
	Currency string `env:"COUPON_CURRENCY" envDefault:"KRW"`
}

// Validate names what cannot be.
func (c *Config) Validate() error {
	if !web.IsCurrency(c.Currency) {
		return fmt.Errorf("COUPON_CURRENCY: %q is not an ISO 4217 code of three capital letters", c.Currency)
	}
	return nil
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	return host.Run(ctx, cfg.Config, host.Parts[coupon.World]{
		Definition: coupon.Topology,
		Store:      store.Store{},
		Migrate:    store.Migrate,
		Books:      store.Books(),
		Publishes:  "coupon.v1",
		Routes:     routes(cfg.Currency),
	})
}
