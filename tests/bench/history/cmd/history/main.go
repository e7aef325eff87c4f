// Command history fills the databases of every service with finished past orders; see package history.
//
//	history -database URL -prefix NAME -orders 1000000     into databases of a running server
//	history -dir FOLDER -orders 1000000                    into a server of its own, in a folder that then stays
//
// The report is one line of JSON on standard output, what is done is told on standard error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/embed"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/tests/bench/history"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}

type options struct {
	history.Config
	database, prefix, dir string
}

func parse(args []string) (options, error) {
	o := options{}
	o.Log = os.Stderr
	flags := flag.NewFlagSet("history", flag.ContinueOnError)
	flags.IntVar(&o.Orders, "orders", 100_000, "how many past `orders`")
	flags.IntVar(&o.Members, "members", 0, "how many `members` placed them (100,000)")
	flags.IntVar(&o.Products, "products", 0, "of how many `products` (1,000)")
	flags.IntVar(&o.SideOrders, "side", 0, "how many of the newest `orders` shipping, mailer and gateway know (all)")
	flags.IntVar(&o.Days, "days", 0, "over how many `days` they are spread (365)")
	flags.IntVar(&o.Sample, "sample", 0, "how many `orders` are tried first, to find out how much space all will take (10,000)")
	flags.IntVar(&o.Parallel, "parallel", 0, "how many `tables` are loaded at once (processors + 1)")
	flags.Uint64Var(&o.Seed, "seed", 0, "another past for another `number`")
	flags.StringVar(&o.database, "database", "", "`URL` of a running server, signed in as a superuser; databases that are missing are made")
	flags.StringVar(&o.prefix, "prefix", "", "the databases are named `PREFIX`order, PREFIXstock, ...")
	flags.StringVar(&o.dir, "dir", "", "`folder` of a server of its own, which is started for the load and stopped after it")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if (o.database == "") == (o.dir == "") {
		return o, errors.New("give one of -database and -dir")
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.dir != "" {
		return own(ctx, o)
	}
	if o.Databases, err = create(ctx, o.database, o.prefix); err != nil {
		return err
	}
	return load(ctx, o.Config)
}

// own loads into a server of its own. Its settings are for the load alone; whoever starts it again on the folder
// gives it others.
func own(ctx context.Context, o options) (err error) {
	settings := history.LoadSettings()
	maps.Copy(settings, map[string]string{"shared_buffers": "1GB"})
	p, err := embed.StartPostgres(ctx, embed.PostgresConfig{DataDir: o.dir, Fsync: true, Settings: settings})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, p.Stop(ctx))
	}()
	o.Admin, o.DataDir, o.Databases = p.AdminURL("postgres"), p.DataDir(), map[string]string{}
	for _, name := range local.Services() {
		if err := p.CreateDatabase(ctx, o.prefix+name, ""); err != nil {
			return err
		}
		o.Databases[name] = p.URL(o.prefix + name)
	}
	return load(ctx, o.Config)
}

// create makes the databases that are missing and returns the URL of each.
func create(ctx context.Context, base, prefix string) (map[string]string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("-database is no URL") // the error would show the password
	}
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // its statements have ended
	urls := map[string]string{}
	for _, name := range local.Services() {
		var there bool
		if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, prefix+name).Scan(&there); err != nil {
			return nil, fmt.Errorf("look for database %s: %w", prefix+name, err)
		}
		if !there {
			if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{prefix + name}.Sanitize()); err != nil {
				return nil, fmt.Errorf("create database %s: %w", prefix+name, err)
			}
		}
		one := *u
		one.Path = "/" + prefix + name
		urls[name] = one.String()
	}
	return urls, nil
}

func load(ctx context.Context, cfg history.Config) error {
	report, err := history.Load(ctx, cfg)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}
