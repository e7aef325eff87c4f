package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/tools/common/schema"
	toolsql "go.temporal.io/server/tools/sql"
)

// databases are the three that a run makes for itself.
type databases struct {
	admin *pgx.ConnConfig
	// store and visibility belong to Temporal, shop to the orders.
	store, visibility, shop string
}

// createDatabases makes three empty databases. One that exists already is an
// error: its rows would be counted.
func createDatabases(ctx context.Context, s settings) (databases, error) {
	admin, err := pgx.ParseConfig(s.database)
	if err != nil {
		return databases{}, fmt.Errorf("read -database: %w", err)
	}
	d := databases{
		admin:      admin,
		store:      s.prefix + "_temporal",
		visibility: s.prefix + "_temporal_visibility",
		shop:       s.prefix + "_temporal_shop",
	}
	conn, err := pgx.ConnectConfig(ctx, admin)
	if err != nil {
		return databases{}, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, name := range []string{d.store, d.visibility, d.shop} {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return databases{}, fmt.Errorf("create database %s: %w", name, err)
		}
	}
	return d, nil
}

// sql is Temporal's configuration of a connection pool to one of the databases.
func (d databases) sql(name string, connections int) *config.SQL {
	return &config.SQL{
		PluginName:      postgresql.PluginNamePGX,
		DatabaseName:    name,
		ConnectProtocol: "tcp",
		ConnectAddr:     net.JoinHostPort(d.admin.Host, strconv.Itoa(int(d.admin.Port))),
		User:            d.admin.User,
		Password:        d.admin.Password,
		MaxConns:        connections,
		MaxIdleConns:    connections,
	}
}

// setUpTemporal makes Temporal's tables with the server's own schema tool, from
// the versioned files inside the server's module.
func (d databases) setUpTemporal(logger log.Logger) error {
	for name, files := range map[string]string{
		d.store:      "postgresql/v12/temporal",
		d.visibility: "postgresql/v12/visibility",
	} {
		if err := d.setUpSchema(logger, name, files); err != nil {
			return fmt.Errorf("set up the tables of %s: %w", name, err)
		}
	}
	return nil
}

func (d databases) setUpSchema(logger log.Logger, name, files string) error {
	conn, err := toolsql.NewConnection(d.sql(name, 1), logger)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := schema.NewSetupSchemaTask(conn, &schema.SetupConfig{InitialVersion: "0.0"}, logger).Run(); err != nil {
		return err
	}
	return schema.NewUpdateSchemaTask(conn, &schema.UpdateConfig{DBName: name, SchemaName: files}, logger).Run()
}

// openShop makes the shop's tables with its products and a pool of connections.
func (d databases) openShop(ctx context.Context, s settings) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(s.database)
	if err != nil {
		return nil, fmt.Errorf("read -database: %w", err)
	}
	cfg.ConnConfig.Database = d.shop
	cfg.MaxConns = int32(s.shopConnections)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the shop's database: %w", err)
	}
	if _, err := pool.Exec(ctx, shopTables); err != nil {
		pool.Close()
		return nil, fmt.Errorf("create the shop's tables: %w", err)
	}
	_, err = pool.Exec(ctx, `
INSERT INTO product (product_id, price, quantity) SELECT 'PRD_' || n, $2, $3 FROM generate_series(0, $1 - 1) AS n`,
		s.products, price, stock)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("put products in stock: %w", err)
	}
	return pool, nil
}
