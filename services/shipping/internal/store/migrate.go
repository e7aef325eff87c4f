package store

import (
	"context"
	"embed"
	"io/fs"

	"github.com/quadrille-io/quadrille/pkg/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the service's own tables at url up to date.
func Migrate(ctx context.Context, url string) error {
	root, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return pg.Migrate(ctx, url, root, "service_migration")
}
