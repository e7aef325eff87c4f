// Package service puts stock together: what cmd/stock and the one binary start.
package service

import (
	"context"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/stock"
	"github.com/quadrille-io/quadrille/services/stock/internal/store"
)

// Config is what the environment tells stock: nothing beyond what every service is told.
type Config struct {
	host.Config
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	return host.Run(ctx, cfg.Config, host.Parts[stock.World]{
		Definition: stock.Topology,
		Store:      store.Store{},
		Migrate:    store.Migrate,
		Publishes:  "stock.v1",
		Routes:     routes,
		Books:      store.Books(),
		Due:        store.Due,
	})
}
