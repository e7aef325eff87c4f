// Package service puts order together: what cmd/order and the one binary start.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/order/internal/store"
)

// Config is what the environment tells order.
type Config struct {
	host.Config

	// DoubleClickWindow is how long an identical order of the same member without an Idempotency-Key counts
	// as a double click; 0 is never.
	DoubleClickWindow time.Duration `env:"DOUBLE_CLICK_WINDOW" envDefault:"5s"`
	// PendingTimeout ends an order that waits for stock, coupon, card or points; TransferTimeout one that
	// waits for a bank transfer.
	PendingTimeout  time.Duration `env:"PENDING_TIMEOUT" envDefault:"60s"`
	TransferTimeout time.Duration `env:"TRANSFER_TIMEOUT" envDefault:"15m"`
	// CouponTimeout is how long an order with PAY_FULL_PRICE waits for coupon.
	CouponTimeout time.Duration `env:"COUPON_TIMEOUT" envDefault:"10s"`
	// MaxQuantity of pieces and MaxItems of lines in one order; 0 is any.
	MaxQuantity int64 `env:"MAX_QUANTITY" envDefault:"0"`
	MaxItems    int   `env:"MAX_ITEMS" envDefault:"100"`
	// DeliveryFee in the minor unit, and the sum of items from which delivery is free; 0 is never by sum.
	DeliveryFee      int64 `env:"DELIVERY_FEE" envDefault:"0"`
	FreeDeliveryFrom int64 `env:"FREE_DELIVERY_FROM" envDefault:"0"`
	// PriceGrace is how long after a change of a product's price the price before is honoured; 0 is not at all.
	PriceGrace time.Duration `env:"PRICE_GRACE" envDefault:"30s"`
	// PointCurrency is the one currency that points pay, one minor unit each.
	PointCurrency string `env:"POINT_CURRENCY" envDefault:"KRW"`
}

// Validate names what cannot be, beyond what host.Config refuses.
func (c *Config) Validate() error {
	var errs []error
	for name, d := range map[string]time.Duration{
		"PENDING_TIMEOUT": c.PendingTimeout, "COUPON_TIMEOUT": c.CouponTimeout,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s: %s is not above 0", name, d))
		}
	}
	if c.TransferTimeout < 0 {
		errs = append(errs, fmt.Errorf("TRANSFER_TIMEOUT: %s is negative; 0 accepts no transfers", c.TransferTimeout))
	}
	if c.CouponTimeout >= c.PendingTimeout {
		errs = append(errs, fmt.Errorf("COUPON_TIMEOUT: with %s it ends after PENDING_TIMEOUT, and no order would go on without its coupon", c.CouponTimeout))
	}
	if c.DoubleClickWindow < 0 || c.MaxQuantity < 0 || c.MaxItems < 0 {
		errs = append(errs, errors.New("DOUBLE_CLICK_WINDOW, MAX_QUANTITY, MAX_ITEMS: negative; 0 switches a rule off"))
	}
	if c.PriceGrace < 0 || c.PriceGrace > time.Hour {
		errs = append(errs, fmt.Errorf("PRICE_GRACE: %s is not between 0 and an hour", c.PriceGrace))
	}
	if c.DeliveryFee < 0 || c.FreeDeliveryFrom < 0 {
		errs = append(errs, errors.New("DELIVERY_FEE, FREE_DELIVERY_FROM: negative"))
	}
	return errors.Join(errs...)
}

func (c *Config) rules() order.Rules {
	return order.Rules{
		DoubleClickWindow: c.DoubleClickWindow, PendingTimeout: c.PendingTimeout, TransferTimeout: c.TransferTimeout,
		CouponTimeout: c.CouponTimeout, DeliveryFee: c.DeliveryFee, FreeDeliveryFrom: c.FreeDeliveryFrom,
		MaxQuantity: c.MaxQuantity, MaxItems: c.MaxItems, PriceGrace: c.PriceGrace, PointCurrency: c.PointCurrency,
	}
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	// A configuration that was built by hand has no defaults: zero timeouts would cancel every order.
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("configure order: %w", err)
	}
	forget := &forgetter{age: cfg.DoubleClickWindow + time.Minute}
	return host.Run(ctx, cfg.Config, host.Parts[order.World]{
		Definition: order.Topology,
		Store:      store.Store{},
		Migrate:    store.Migrate,
		Books:      store.Books(),
		Due:        store.Due,
		Publishes:  "order.v1",
		Seed: func(_ context.Context, pool *pgxpool.Pool) error {
			forget.pool = pool
			return nil
		},
		Routes:     routes(cfg.rules()),
		Components: []run.Component{{Name: "double-click guard", Run: forget.run}},
	})
}

// forgetter deletes rows of the double-click guard that can match nothing any more.
type forgetter struct {
	pool *pgxpool.Pool
	age  time.Duration
}

func (f *forgetter) run(ctx context.Context) error {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		for more := true; more; {
			n, err := store.Forget(ctx, f.pool, f.age)
			if err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "forget", "error", err)
			}
			more = n > 0
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
