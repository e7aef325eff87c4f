// Command postgres runs a PostgreSQL for the tests and trials of the program
// in the folder above: until its standard input is closed. It prints the URL of
// a database, signed in as the superuser, once it accepts connections.
//
// It is a module of its own so that the versions our packages ask for do not
// change those that the Temporal server is built with.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/quadrille-io/quadrille/pkg/embed"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "postgres:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	folder, err := os.MkdirTemp("", "temporal-postgres-*")
	if err != nil {
		return fmt.Errorf("make a folder for the data: %w", err)
	}
	defer os.RemoveAll(folder)
	// The settings of the benchmark: every commit is on the disk.
	server, err := embed.StartPostgres(ctx, embed.PostgresConfig{DataDir: folder, Fsync: true, Settings: map[string]string{
		"synchronous_commit":       "on",
		"max_connections":          "400",
		"shared_buffers":           "1GB",
		"max_wal_size":             "4GB",
		"shared_preload_libraries": "pg_stat_statements",
	}})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err = errors.Join(err, server.Stop(ctx))
		if server.DataDir() != folder {
			_ = os.RemoveAll(server.DataDir())
		}
	}()
	fmt.Println(server.AdminURL("postgres"))
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	case <-server.Done():
		return errors.New("PostgreSQL has ended by itself")
	}
	return nil
}
