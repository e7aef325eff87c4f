// Package service assembles payment: what cmd/payment and the one binary start.
package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/internal/store"
)

// Config is payment's environment.
type Config struct {
	host.Config
	ProviderConfig
	// TransferPoll is how often the provider is asked about transfers that nobody has paid, in case a webhook
	// was lost; 0 is never.
	TransferPoll time.Duration `env:"TRANSFER_POLL" envDefault:"1m"`
}

// Validate names what cannot be.
func (c *Config) Validate() error {
	if c.TransferPoll < 0 {
		return errors.Join(c.validate(), fmt.Errorf("TRANSFER_POLL: %s is negative; 0 is never", c.TransferPoll))
	}
	return c.validate()
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	from, token, err := cfg.open()
	if err != nil {
		return err
	}
	calls := &caller{provider: from, defaultToken: token}
	desk := &desk{caller: calls, poll: cfg.TransferPoll}
	desk.compare = newReconciler(desk)
	return host.Run(ctx, cfg.Config, host.Parts[payment.World]{
		Definition: payment.Topology,
		Store:      store.Store{},
		Migrate:    store.Migrate,
		Books:      store.Books(),
		Callers:    calls.callers(),
		Publishes:  "payment.v1",
		Routes:     desk.routes,
		Notices:    notices,
		Components: []run.Component{{Name: "transfers", Run: desk.watch}, {Name: "reconciliation", Run: desk.compare.run}},
	})
}
