package outbox

import (
	"embed"
	"io/fs"
)

// MigrationTable is the name of the version table of [Migrations]. It is the package's own, so that
// the outbox migrates beside the engine and the service in one database.
const MigrationTable = "outbox_migration"

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the goose migrations of the outbox table, at the root of the file system.
var Migrations = func() fs.FS {
	root, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name above is not a valid path: cannot happen in a program that was built
	}
	return root
}()
