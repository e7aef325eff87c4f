// Package history fills the databases of every service with finished past orders, as they would stand there after
// that many real ones, for measurements of how the system does when its tables are full.
//
// Nothing here knows what the rows of a service look like. One order of each kind (paid by card, by points, with a
// coupon, sold out, declined, returned, ...) is really placed in a small system of its own, and what it leaves in every
// table is recorded in the form of PostgreSQL's binary COPY. A past order is a copy of those bytes in which every id,
// name, time and counter is written over by another one; ids are UUIDv7s of the time at which the order is said to
// have been placed. So a change of a table, or of an event, changes the past with it, and writing ten million orders
// costs little more than PostgreSQL's own part.
//
// Each table is loaded in one transaction: indexes off, truncated (it must have been empty), copied frozen, indexes on.
// With wal_level=minimal PostgreSQL then writes no log of it but syncs the files; see LoadSettings.
package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// Config of a past.
type Config struct {
	// Databases is the URL of each service's database, signed in as its owner. They are brought to the newest
	// schema, and must be empty.
	Databases map[string]string
	// Orders, Members and Products that there were. 0 members are 100,000 and 0 products 1,000.
	Orders, Members, Products int
	// SideOrders, above 0, are how many of the newest orders the services beside the way of an order (shipping, mailer,
	// gateway) have rows of, where the disk is too small for all: order, stock, coupon and payment have those of
	// every order still. With it `quadrille verify` finds that the others know nothing of the older ones.
	SideOrders int
	// Days over which the orders are spread; 0 is 365. What the engine forgets after some days (inbox, answers of
	// commands) is there of the last ones only.
	Days int
	// End is when the last order was placed; zero is ten minutes ago.
	End time.Time
	// Seed makes another past of the same size.
	Seed uint64
	// Admin is the URL of any database of the server, signed in as a superuser, for the data folder's name and for
	// the checkpoint at the end; "" is the order database's.
	Admin string
	// DataDir is PostgreSQL's data folder, where the free space is looked at; "" asks the server.
	DataDir string
	// Sample is how many orders are loaded elsewhere first, to find out how much space all will take; 0 is 10,000.
	Sample int
	// Parallel is how many tables are loaded at once; 0 is one more than there are processors.
	Parallel int
	// Log is told in lines what is done, once a second while it lasts; nil is nobody.
	Log io.Writer
}

// Report is what was loaded.
type Report struct {
	Orders    int     `json:"orders"`
	Rows      int64   `json:"rows"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	// Phases are seconds: sample (with placing the orders that are copied), copy (with the indexes), vacuum.
	Phases map[string]float64 `json:"phases"`
	// Bytes of each database, and of each table with its indexes, as "service.table".
	Bytes      map[string]int64 `json:"bytes"`
	TableBytes map[string]int64 `json:"table_bytes"`
	TotalBytes int64            `json:"total_bytes"`
	Estimate   Estimate         `json:"estimate"`
}

// LoadSettings are settings of a PostgreSQL server (for embed.PostgresConfig) that is started for the load alone and
// then again as it will be measured: without a log of what is copied, and with few checkpoints. Nothing about the data
// differs by them.
func LoadSettings() map[string]string {
	return map[string]string{
		"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "1GB", "checkpoint_timeout": "30min",
		"autovacuum": "off", // what it would do is done at the end, once
	}
}

func (c Config) withDefaults() (Config, error) {
	def := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	def(&c.Members, 100_000)
	def(&c.Products, 1_000)
	def(&c.Days, 365)
	def(&c.Sample, 10_000)
	def(&c.Parallel, runtime.GOMAXPROCS(0)+1)
	if c.End.IsZero() {
		c.End = time.Now().Add(-10 * time.Minute)
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	if c.Admin == "" {
		c.Admin = c.Databases["order"]
	}
	switch {
	case c.Orders < 0 || c.Members < 0 || c.Products < 0 || c.Days < 0 || c.SideOrders < 0 || c.Sample < 0 || c.Parallel < 0:
		return c, errors.New("past orders: a number is negative")
	case c.Members > maxMembers || c.Products > maxProducts:
		return c, fmt.Errorf("past orders: at most %d members and %d products", maxMembers, maxProducts)
	case c.Orders/c.Members > granted/price/2:
		return c, fmt.Errorf("past orders: too many for %d members, each of whom had %d points", c.Members, granted)
	case newPlan(c).policies() > maxPolicies:
		return c, fmt.Errorf("past orders: too many for %d members, each of whom has one coupon of a policy", c.Members)
	}
	for _, name := range services() {
		if c.Databases[name] == "" {
			return c, fmt.Errorf("past orders: no database for %s", name)
		}
	}
	return c, nil
}

// beside are the services whose part SideOrders bounds.
var beside = map[string]bool{"shipping": true, "mailer": true, "gateway": true}

// ordersOf is how many orders a service has rows of.
func (c Config) ordersOf(service string) int {
	if c.SideOrders > 0 && beside[service] {
		return min(c.SideOrders, c.Orders)
	}
	return c.Orders
}

// Load fills the databases. It refuses, before it has changed anything but the schema, where something stands already
// and where the disk is too small. When it fails later, tables are full or empty but never in between.
func Load(ctx context.Context, cfg Config) (Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Report{}, err
	}
	l := &loader{cfg: cfg, report: Report{Orders: cfg.Orders, Phases: map[string]float64{}}}
	if err := l.run(ctx); err != nil {
		return Report{}, fmt.Errorf("load past orders: %w", err)
	}
	return l.report, nil
}

// loader is one Load.
type loader struct {
	cfg       Config
	recording *recording
	report    Report
}

func (l *loader) run(ctx context.Context) error {
	begin := time.Now()
	for _, phase := range []struct {
		name string
		do   func(context.Context) error
	}{{"sample", l.study}, {"copy", l.fill}, {"vacuum", l.settle}} {
		since := time.Now()
		if err := phase.do(ctx); err != nil {
			return err
		}
		l.report.Phases[phase.name] = time.Since(since).Seconds()
	}
	l.report.Seconds = time.Since(begin).Seconds()
	l.report.PerSecond = float64(l.cfg.Orders) / l.report.Seconds
	return l.weigh(ctx)
}

func (l *loader) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.cfg.Log, format+"\n", args...) // who does not hear it misses nothing else
}

// study records the orders, states how much space all will take, and refuses where it is not there.
func (l *loader) study(ctx context.Context) (err error) {
	l.say("one order of each kind is placed on servers of their own and recorded")
	s, err := openStudio(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if l.recording, err = newRecording(ctx, s); err != nil {
		return err
	}
	if l.report.Estimate, err = l.estimate(ctx, s); err != nil {
		return err
	}
	return l.refuse(ctx)
}
