package service

import (
	"context"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
)

// Migrate brings the database at url to the schema that Run works on: the engine's tables and webhook's own. Run does so
// itself; this is for programs that need the tables without the service.
func Migrate(ctx context.Context, url string) error {
	if err := engine.Migrate(ctx, url); err != nil {
		return err
	}
	return store.Migrate(ctx, url)
}
