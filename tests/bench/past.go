package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/tests/bench/history"
)

// History is the rate with tables that are full, beside that with tables that are empty.
type History struct {
	PastOrders int `json:"past_orders"`
	// SideOrders, above 0, are how many of them shipping, mailer and gateway have.
	SideOrders  int     `json:"side_orders,omitempty"`
	Bytes       int64   `json:"bytes"`
	LoadSeconds float64 `json:"load_seconds"`
	PerSecond   float64 `json:"per_second"`
	// PerSecondEmpty is the rate of a system whose tables were empty, on the same server, in turn with the other.
	PerSecondEmpty float64 `json:"per_second_empty"`
	// DatabaseUs per order, and the same with empty tables.
	DatabaseUs      float64 `json:"postgres_us"`
	DatabaseUsEmpty float64 `json:"postgres_us_empty"`
	Runs            []Named `json:"runs"`
}

// measureHistory fills the tables of another system and measures the feed again. The first system has ended then.
func (b *Bench) measureHistory(ctx context.Context) error {
	loading := maps.Clone(postgresSettings)
	maps.Copy(loading, history.LoadSettings())
	if err := b.site.restart(ctx, loading); err != nil {
		return err
	}
	databases := map[string]string{}
	for _, service := range local.Services() {
		if err := b.site.Postgres.CreateDatabase(ctx, "past_"+service, ""); err != nil {
			return err
		}
		databases[service] = b.site.Postgres.URL("past_" + service)
	}
	loaded, err := history.Load(ctx, history.Config{
		Databases: databases, Orders: b.opts.PastOrders, SideOrders: b.opts.SideOrders,
		Admin: b.site.Postgres.AdminURL("postgres"), DataDir: b.site.Postgres.DataDir(), Log: b.opts.Screen,
	})
	if err != nil {
		return err
	}
	if err := b.site.restart(ctx, postgresSettings); err != nil {
		return err
	}
	b.result.History = &History{
		PastOrders: b.opts.PastOrders, SideOrders: b.opts.SideOrders, Bytes: loaded.TotalBytes, LoadSeconds: loaded.Seconds,
	}
	return b.comparePast(ctx)
}

// comparePast runs the system whose tables are full and one whose tables are empty, on the same server, in turn.
func (b *Bench) comparePast(ctx context.Context) (err error) {
	systems := map[string]*System{}
	defer func() {
		for _, y := range systems {
			err = errors.Join(err, y.Stop())
		}
	}()
	for _, name := range []string{"past", "fresh"} {
		serving := Serving{Partitions: partitions, Shop: b.shop, CallSlots: bookings}
		if systems[name], err = b.site.StartSystem(ctx, name, serving); err != nil {
			delete(systems, name) // it has been stopped
			return err
		}
		if err := systems[name].Warm(ctx, b.opts.Warm, b.shop.Products); err != nil {
			return err
		}
	}
	for range b.opts.Runs {
		for name, y := range systems {
			if err := b.measurePast(ctx, name, y); err != nil {
				return err
			}
		}
	}
	b.result.History.conclude()
	return nil
}

// measurePast measures the feed of one of the two.
func (b *Bench) measurePast(ctx context.Context, name string, y *System) error {
	h := b.result.History
	load := b.full()
	load.Seed += uint64(len(h.Runs))
	m, err := y.Measure(ctx, func(ctx context.Context) (Outcome, error) { return y.Feed(ctx, load) })
	if err != nil {
		return err
	}
	if m.Refused > 0 {
		return fmt.Errorf("%s: %d orders were refused: %s", name, m.Refused, strings.Join(m.Errors, "; "))
	}
	h.Runs = append(h.Runs, Named{name, m})
	b.say(fmt.Sprintf("  %s: %.0f orders/s, %.0f until all is at rest; CPU per order %v", name, m.PerSecond, m.PerSecondAtRest, m.Use))
	return nil
}

// conclude takes the medians.
func (h *History) conclude() {
	r := Result{Runs: h.Runs}
	postgres := func(m Measured) float64 { return m.Use.Postgres }
	h.PerSecond, h.PerSecondEmpty = r.median("past", perSecond), r.median("fresh", perSecond)
	h.DatabaseUs, h.DatabaseUsEmpty = r.median("past", postgres), r.median("fresh", postgres)
}
