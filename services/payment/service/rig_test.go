package service_test

import (
	"context"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/payment/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// system is the payment service as it runs, with a provider of its own. The test is every other service.
type system struct {
	*rig.Rig
	provider *provider
}

// start runs the service against a provider; timeout is how long it waits for the provider's answers.
func start(t *testing.T, timeout time.Duration) *system {
	t.Helper()
	r := &system{Rig: rig.New(t, "payment.v1", "order.v1", "stock.v1", "coupon.v1"), provider: openProvider(t)}
	var cfg service.Config
	r.Configure(&cfg, &cfg.Config, map[string]string{
		"PAYMENT_SIMULATOR_URL": r.provider.url(), "PAYMENT_TIMEOUT": timeout.String(),
	})
	r.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
	return r
}

// in is the system for a subtest.
func (r *system) in(t *testing.T) *system {
	provider := *r.provider
	provider.t = t
	return &system{Rig: r.In(t), provider: &provider}
}
