package bench

import (
	"context"
	"fmt"
	"maps"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/tests/bench/history"
)

// History is the rate with tables that are full.
type History struct {
	PastOrders int `json:"past_orders"`
	// SideOrders, above 0, are how many of them shipping, mailer and gateway have.
	SideOrders  int     `json:"side_orders,omitempty"`
	Bytes       int64   `json:"bytes"`
	LoadSeconds float64 `json:"load_seconds"`
	PerSecond   float64 `json:"per_second"`
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
	past, err := b.site.StartSystem(ctx, "past", Serving{Partitions: partitions, Shop: b.shop, CallSlots: bookings})
	if err != nil {
		return err
	}
	b.result.History = &History{
		PastOrders: b.opts.PastOrders, SideOrders: b.opts.SideOrders, Bytes: loaded.TotalBytes, LoadSeconds: loaded.Seconds,
	}
	err = b.measurePast(ctx, past)
	if stopErr := past.Stop(); err == nil {
		err = stopErr
	}
	return err
}

func (b *Bench) measurePast(ctx context.Context, past *System) error {
	h := b.result.History
	var rates, used []float64
	if err := past.Warm(ctx, b.opts.Warm, b.shop.Products); err != nil {
		return err
	}
	for range b.opts.Runs {
		load := b.full()
		m, err := past.Measure(ctx, func(ctx context.Context) (Outcome, error) { return past.Feed(ctx, load) })
		if err != nil {
			return err
		}
		h.Runs = append(h.Runs, Named{"past", m})
		rates, used = append(rates, m.PerSecond), append(used, m.Use.Postgres)
		b.say(fmt.Sprintf("  with %d past orders: %.0f orders/s, %.0f µs of PostgreSQL an order", h.PastOrders, m.PerSecond, m.Use.Postgres))
	}
	h.PerSecond, h.DatabaseUs = median(rates), median(used)
	h.DatabaseUsEmpty = b.result.median("feed", func(m Measured) float64 { return m.Use.Postgres })
	return nil
}
