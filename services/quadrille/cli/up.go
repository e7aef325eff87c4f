package cli

import (
	"context"
	"time"

	"github.com/quadrille-io/quadrille/services/quadrille/up"
)

type upCommand struct {
	Fresh        bool          `help:"Remove the data of earlier starts first."`
	Port         int           `help:"Port of the gateway; the next free one if it is taken." default:"8080" env:"GATEWAY_PORT"`
	CarrierDelay time.Duration `help:"When the simulated carrier dispatches a parcel by itself." env:"CARRIER_DELAY" default:"10m"`
}

// Run starts everything and works until it is interrupted.
func (c *upCommand) Run(ctx context.Context, s *session) error {
	return up.Run(ctx, up.Options{
		Dir: s.root.Dir, Fresh: c.Fresh, Port: c.Port, CarrierDelay: c.CarrierDelay, Screen: s.out,
	})
}
