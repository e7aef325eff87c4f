package bench

import (
	"context"
	"fmt"
)

func (b *Bench) measureWatermill(ctx context.Context) error {
	return b.peer(ctx, "watermill", 5_000)
}

func (b *Bench) measureTemporal(ctx context.Context) error {
	return b.peer(ctx, "temporal", 300)
}

// peer builds another system's program, which is a module of its own, and runs it while ours rests.
func (b *Bench) peer(ctx context.Context, name string, orders int) error {
	program, err := b.build(ctx, "tests/bench/peers/"+name, ".", name, "GOWORK=off")
	if err != nil {
		return err
	}
	r, err := b.contend(ctx, program, orders)
	if err != nil {
		return err
	}
	b.result.References = append(b.result.References, r)
	b.say(fmt.Sprintf("  %s: %.0f sagas/s", name, r.PerSecond))
	return nil
}
