package engine

import (
	"context"
	"embed"
	"io/fs"

	"github.com/quadrille-io/quadrille/pkg/outbox"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// MigrationTable is the version table of Migrations: the engine migrates beside the outbox and the
// service, in the same database.
const MigrationTable = "engine_migration"

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the goose migrations of the engine's tables.
var Migrations = func() fs.FS {
	root, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return root
}()

// Migrate brings a service's database to the current version of the engine's and the outbox's tables.
func Migrate(ctx context.Context, url string) error {
	if err := pg.Migrate(ctx, url, Migrations, MigrationTable); err != nil {
		return err
	}
	return pg.Migrate(ctx, url, outbox.Migrations, outbox.MigrationTable)
}
