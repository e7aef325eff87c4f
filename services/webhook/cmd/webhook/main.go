// Command webhook runs the webhook service.
package main

import (
	"context"
	"log/slog"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/webhook/service"
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
