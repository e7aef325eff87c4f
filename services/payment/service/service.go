// Package service assembles payment: what cmd/payment and the one binary start.
package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/internal/store"
	"github.com/quadrille-io/quadrille/services/payment/provider/simulator"
)

// Config is payment's environment.
type Config struct {
	host.Config
	// Provider of card payments: simulator.
	Provider string `env:"PAYMENT_PROVIDER" envDefault:"simulator"`
	// SimulatorURL is where the payment simulator listens.
	SimulatorURL string `env:"PAYMENT_SIMULATOR_URL"`
	// ProviderTimeout of one request. A call may ask and then charge, and both must fit into the time the
	// engine gives a call.
	ProviderTimeout time.Duration `env:"PAYMENT_TIMEOUT" envDefault:"4s"`
}

// longestTimeout: two requests within the engine's 10 s.
const longestTimeout = 4500 * time.Millisecond

// simulatorToken is the simulator's default payment method.
const simulatorToken = "tok_ok"

// Validate names what cannot be.
func (c *Config) Validate() error {
	var errs []error
	if c.Provider != "simulator" {
		errs = append(errs, fmt.Errorf("PAYMENT_PROVIDER: %q is not known; known is simulator", c.Provider))
	}
	if c.Provider == "simulator" && c.SimulatorURL == "" {
		errs = append(errs, errors.New("PAYMENT_SIMULATOR_URL: required with PAYMENT_PROVIDER=simulator"))
	}
	if c.ProviderTimeout <= 0 || c.ProviderTimeout > longestTimeout {
		errs = append(errs, fmt.Errorf("PAYMENT_TIMEOUT: %s is not within 0 and %s", c.ProviderTimeout, longestTimeout))
	}
	return errors.Join(errs...)
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	card, err := simulator.New(remote.Config{BaseURL: cfg.SimulatorURL, Timeout: cfg.ProviderTimeout})
	if err != nil {
		return err
	}
	calls := &caller{provider: card, defaultToken: simulatorToken}
	return host.Run(ctx, cfg.Config, host.Parts[payment.World]{
		Definition: payment.Topology,
		Store:      store.Store{},
		Migrate:    store.Migrate,
		Books:      store.Books(),
		Callers:    calls.callers(),
		Publishes:  "payment.v1",
		Routes:     routes,
		Notices:    notices,
	})
}
