package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// warmUp has every path taken before anything is measured: plans, caches, and the JVM's compiler. Kafka's broker wants
// the most of it: what an order costs there falls by half over the first tens of thousands, whoever sends them. The
// contenders run on the same two servers, so that it is theirs as well; what is their own each warms up itself.
func (b *Bench) warmUp(ctx context.Context) error {
	b.say(fmt.Sprintf("warming up: %d orders", b.opts.Warm))
	return b.system.Warm(ctx, b.opts.Warm, b.shop.Products)
}

// Warm has the system handle orders that are not measured: two thirds as fast as they are handled, so that large
// batches, and the rest at random moments a few hundred a second, so that small ones have been seen.
func (y *System) Warm(ctx context.Context, orders, products int) error {
	for i, load := range []Load{
		{Orders: min(orders, 500), Window: 500},
		{Orders: orders * 2 / 3, Window: fullWindow},
		{Orders: orders / 3, Rate: warmRate},
	} {
		load.Products, load.Seed = products, uint64(i+1)
		if load.Orders == 0 {
			continue
		}
		if _, err := y.Feed(ctx, load); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	return nil
}

// warmRate is orders a second of the quiet part of the warm-up.
const warmRate = 500

func (b *Bench) seed() uint64 { return uint64(len(b.result.Runs) + 1) }

// full is the load that finds the highest rate.
func (b *Bench) full() Load {
	return Load{Orders: b.opts.Orders, Window: fullWindow, Products: b.shop.Products, Seed: b.seed()}
}

func (b *Bench) measureFloor(ctx context.Context) error {
	r, err := b.contend(ctx, b.floor, b.opts.Orders, "-partitions", strconv.Itoa(partitions), "-traced=false", "-batch", strconv.Itoa(b.opts.FloorBatch))
	if err != nil {
		return err
	}
	b.result.References = append(b.result.References, r)
	b.say(fmt.Sprintf("  floor: %.0f orders/s", r.PerSecond))
	return nil
}

// feed measures a load of commands that come without HTTP.
func (b *Bench) feed(ctx context.Context, name string, load Load) (Measured, error) {
	m, err := b.system.Measure(ctx, func(ctx context.Context) (Outcome, error) { return b.system.Feed(ctx, load) })
	if err != nil {
		return m, err
	}
	return m, b.note(name, m)
}

// note keeps a measurement, unless orders were refused that should not have been.
func (b *Bench) note(name string, m Measured) error {
	if m.Refused > 0 {
		return fmt.Errorf("%d orders were refused: %s", m.Refused, strings.Join(m.Errors, "; "))
	}
	b.result.Runs = append(b.result.Runs, Named{name, m})
	b.say(fmt.Sprintf("  %s: %.0f orders/s, %.0f until all is at rest; placed to final p50 %.0f ms, p99 %.0f ms; CPU per order %v",
		name, m.PerSecond, m.PerSecondAtRest, m.Final.P50, m.Final.P99, m.Use))
	return nil
}

func (b *Bench) measureFeed(ctx context.Context) error {
	_, err := b.feed(ctx, "feed", b.full())
	return err
}

// measureHot has everybody want the same product.
func (b *Bench) measureHot(ctx context.Context) error {
	load := b.full()
	load.Products = 1
	_, err := b.feed(ctx, "hot", load)
	return err
}

// measureSoldOut has everybody want what there is nothing of.
func (b *Bench) measureSoldOut(ctx context.Context) error {
	load := b.full()
	load.First, load.Products = b.shop.Products, b.shop.SoldOut
	m, err := b.feed(ctx, "soldout", load)
	if err == nil && m.Cancelled != m.Orders {
		return fmt.Errorf("%d of %d were sold", m.Orders-m.Cancelled, m.Orders)
	}
	return err
}

// connections of the customers.
const connections = 512

func (b *Bench) rest(ctx context.Context, name string, load Load) error {
	m, err := b.system.Measure(ctx, func(ctx context.Context) (Outcome, error) {
		return b.system.REST(ctx, load, connections, b.progress)
	})
	if err != nil {
		return err
	}
	return b.note(name, m)
}

func (b *Bench) measureREST(ctx context.Context) error {
	load := b.full()
	load.Orders /= 2
	return b.rest(ctx, "rest", load)
}

// measureLow is a quiet day: ten orders a second.
func (b *Bench) measureLow(ctx context.Context) error {
	return b.rest(ctx, "low", Load{Orders: 200, Rate: 10, Products: b.shop.Products, Seed: b.seed()})
}

// measureHalf is half of the rate that can go on for ever: the one at which parcels, mails and timelines keep up too.
func (b *Bench) measureHalf(ctx context.Context) error {
	rate := b.result.median("feed", func(m Measured) float64 { return m.PerSecondAtRest }) / 2
	if rate == 0 {
		rate = 600
	}
	_, err := b.feed(ctx, "half", Load{Orders: int(rate * 8), Rate: rate, Products: b.shop.Products, Seed: b.seed()})
	return err
}

// idleTime is how long nobody orders anything.
const idleTime = 10 * time.Second

// measureIdle says what the services cost while nothing happens.
func (b *Bench) measureIdle(ctx context.Context) error {
	if err := b.system.Rest(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, 2*time.Second); err != nil { // the last offsets are committed once a second
		return err
	}
	before, err := CPU(b.system.Place.Pid)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := sleep(ctx, idleTime); err != nil {
		return err
	}
	after, err := CPU(b.system.Place.Pid)
	if err != nil {
		return err
	}
	b.result.IdlePercent = float64(after-before) / float64(time.Since(begin)) * 100
	b.say(fmt.Sprintf("  idle: %.2f %% of a core", b.result.IdlePercent))
	return nil
}

// measureNaive is the same engine, one input at a time, in a system of its own.
func (b *Bench) measureNaive(ctx context.Context) error {
	naive, err := b.site.StartSystem(ctx, "naive", Serving{Partitions: partitions, Shop: Shop{Members: 100, Products: 100}, Naive: true})
	if err != nil {
		return err
	}
	load := Load{Orders: 50, Window: 50, Products: 100, Seed: b.seed()}
	m, err := naive.Measure(ctx, func(ctx context.Context) (Outcome, error) {
		if _, err := naive.Feed(ctx, load); err != nil {
			return Outcome{}, err
		}
		load.Orders, load.Window = 200, 200
		return naive.Feed(ctx, load)
	})
	if stopErr := naive.Stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	return b.note("naive", m)
}
