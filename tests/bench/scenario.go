package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// warmUp has every path taken before anything is measured: plans, caches, and the JVM's compiler.
func (b *Bench) warmUp(ctx context.Context) error {
	b.say("warming up")
	for _, n := range []int{500, 4_000, 4_000} {
		if _, err := b.system.Feed(ctx, Load{Orders: n, Window: fullWindow, Products: b.shop.Products, Seed: uint64(n)}); err != nil {
			return err
		}
	}
	return nil
}

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
	b.say(fmt.Sprintf("  %s: %.0f orders/s, %.0f until all is at rest; placed to final p50 %.0f ms, p99 %.0f ms; CPU per order %.0f µs PostgreSQL, %.0f Kafka, %.0f services",
		name, m.PerSecond, m.PerSecondAtRest, m.Final.P50, m.Final.P99, m.Use.Postgres, m.Use.Kafka, m.Use.Services))
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

// measureBacklog stops stock, has orders pile up, and sees how fast they are dealt with once it is back.
func (b *Bench) measureBacklog(ctx context.Context) error {
	if err := b.system.control(ctx, "/service/stock/stop", struct{}{}, nil); err != nil {
		return err
	}
	o, err := b.system.Feed(ctx, Load{Orders: b.opts.Backlog, Window: 0, Rate: 20_000, Accepted: true, Products: b.shop.Products, Seed: b.seed()})
	if err != nil {
		return err
	}
	if o.Refused > 0 {
		return fmt.Errorf("%d orders were refused while stock was down", o.Refused)
	}
	b.say(fmt.Sprintf("  %d orders accepted at %.0f/s while stock is down", o.Orders, o.PerSecond))
	before, err := resident(b.system.Place.Pid)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := b.system.control(ctx, "/service/stock/start", struct{}{}, nil); err != nil {
		return err
	}
	peak, err := b.drain(ctx)
	if err != nil {
		return err
	}
	took := time.Since(begin).Seconds()
	b.result.Backlog = Backlog{
		Orders: o.Orders, Seconds: took, PerSecond: float64(o.Orders) / took,
		MemoryBefore: before, MemoryPeak: peak,
	}
	b.say(fmt.Sprintf("  drained at %.0f orders/s; memory %d MB before, %d MB at most", b.result.Backlog.PerSecond, before>>20, peak>>20))
	return nil
}

// drain waits for rest and returns the most memory that the services had meanwhile.
func (b *Bench) drain(ctx context.Context) (peak int64, err error) {
	done := make(chan error, 1)
	go func() { done <- b.system.Rest(ctx) }()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return peak, err
		case <-ticker.C:
			now, err := resident(b.system.Place.Pid)
			if err != nil {
				return peak, err
			}
			peak = max(peak, now)
		}
	}
}

// resident is the memory a process has, in bytes.
func resident(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0, fmt.Errorf("read the memory of process %d: %q", pid, raw)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
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
