package engine

import (
	"embed"
	"io/fs"
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
