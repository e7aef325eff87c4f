package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// poolSize of a service: its handlers, its placers and its forwarders, each with
// a connection of its own.
func poolSize(cfg config) int32 {
	return int32(partitions + cfg.placers + cfg.forwarders + 4)
}

// createDatabase makes a service's database and its tables. One that exists is
// an error: its rows would be taken for this run's.
func createDatabase(ctx context.Context, cfg config, name, schema string) (*pgxpool.Pool, error) {
	database := cfg.prefix + name
	admin, err := pgx.Connect(ctx, cfg.database)
	if err != nil {
		return nil, fmt.Errorf("reach PostgreSQL: %w", err)
	}
	_, err = admin.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize())
	if err = errors.Join(err, admin.Close(ctx)); err != nil {
		return nil, fmt.Errorf("create database %s: %w", database, err)
	}

	address, err := url.Parse(cfg.database)
	if err != nil {
		return nil, fmt.Errorf("read -database: %w", err)
	}
	address.Path = "/" + database
	poolConfig, err := pgxpool.ParseConfig(address.String())
	if err != nil {
		return nil, fmt.Errorf("read -database: %w", err)
	}
	poolConfig.MaxConns = poolSize(cfg)
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("reach database %s: %w", database, err)
	}
	if _, err := pool.Exec(ctx, schema); err != nil {
		pool.Close()
		return nil, fmt.Errorf("create the tables of %s: %w", database, err)
	}
	return pool, nil
}
