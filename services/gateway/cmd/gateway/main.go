// Command gateway is the public edge: it passes requests on, and keeps the timelines.
package main

import (
	"context"
	"log/slog"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/gateway/service"
)

func main() {
	run.Main(func(ctx context.Context) error {
		var cfg service.Config
		if err := run.Load(&cfg); err != nil {
			return err
		}
		run.Print(slog.Default(), cfg)
		return service.Run(ctx, cfg)
	})
}
