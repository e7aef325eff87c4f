package store

import (
	"context"
	"embed"

	"github.com/quadrille-io/quadrille/pkg/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the service's own tables at url up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, migrations)
}
