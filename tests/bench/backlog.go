package bench

import (
	"context"
	"fmt"
	"time"
)

// Backlog is how fast what had piled up was dealt with, and what it took of the services' memory.
type Backlog struct {
	Orders    int     `json:"orders"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	// Before anything had piled up, Piled when all had, After when all was at rest again: each after a collection.
	Before Memory `json:"memory_before"`
	Piled  Memory `json:"memory_piled_up"`
	After  Memory `json:"memory_after"`
	// Begun and Ended are the most of the first and of the second half of the time it took, as the services' own
	// collections found it.
	Begun Memory `json:"memory_first_half"`
	Ended Memory `json:"memory_second_half"`
}

// growth says whether memory grew: what stayed, and what the second half took, each as a multiple of what was
// there before. Live is what counts; garbage comes together in proportion to it.
func (l Backlog) growth() (after, ended float64) {
	return ratio(float64(l.After.Live), float64(l.Before.Live)), ratio(float64(l.Ended.Live), float64(l.Begun.Live))
}

// measureBacklog stops stock, has orders pile up, and sees how fast they are dealt with once it is back.
func (b *Bench) measureBacklog(ctx context.Context) (err error) {
	l := Backlog{Orders: b.opts.Backlog}
	if l.Before, err = b.system.Memory(ctx, true); err != nil {
		return err
	}
	if err := b.pileUp(ctx); err != nil {
		return err
	}
	if l.Piled, err = b.system.Memory(ctx, true); err != nil {
		return err
	}
	begin := time.Now()
	if err := b.system.control(ctx, "/service/stock/start", struct{}{}, nil); err != nil {
		return err
	}
	seen, err := b.system.watch(ctx, b.system.Rest)
	if err != nil {
		return err
	}
	l.Seconds = time.Since(begin).Seconds()
	l.PerSecond = float64(l.Orders) / l.Seconds
	for i, m := range seen {
		if i < len(seen)/2 {
			l.Begun = l.Begun.most(m)
		} else {
			l.Ended = l.Ended.most(m)
		}
	}
	if l.After, err = b.system.Memory(ctx, true); err != nil {
		return err
	}
	b.result.Backlog = l
	b.say(fmt.Sprintf("  drained at %.0f orders/s; memory before: %v; piled up: %v; first half: %v; second half: %v; after: %v",
		l.PerSecond, l.Before, l.Piled, l.Begun, l.Ended, l.After))
	return nil
}

// pileUp has orders accepted while stock is down, as many at once as when the highest rate is looked for: those that
// nobody takes would wait in the feed, which is in the services' memory and not theirs.
func (b *Bench) pileUp(ctx context.Context) error {
	if err := b.system.control(ctx, "/service/stock/stop", struct{}{}, nil); err != nil {
		return err
	}
	o, err := b.system.Feed(ctx, Load{
		Orders: b.opts.Backlog, Window: fullWindow, Accepted: true, Products: b.shop.Products, Seed: b.seed(),
	})
	if err != nil {
		return err
	}
	if o.Refused > 0 {
		return fmt.Errorf("%d orders were refused while stock was down", o.Refused)
	}
	b.say(fmt.Sprintf("  %d orders accepted at %.0f/s while stock is down", o.Orders, o.PerSecond))
	return nil
}
