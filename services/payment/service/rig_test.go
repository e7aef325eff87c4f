package service_test

import (
	"context"
	"maps"
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

// secret signs the simulator's webhooks.
const secret = "whsec_test"

// start runs the service against a provider; timeout is how long it waits for the provider's answers.
func start(t *testing.T, timeout time.Duration) *system {
	t.Helper()
	return startWith(t, false, map[string]string{"PAYMENT_TIMEOUT": timeout.String()})
}

// startWith runs the service with some of its environment. The provider's webhooks go to the service, or where
// WEBHOOKS says; cards: it tells of cards that are charged, too.
func startWith(t *testing.T, cards bool, more map[string]string) *system {
	t.Helper()
	r := &system{Rig: rig.New(t, "payment.v1", "order.v1", "stock.v1", "coupon.v1")}
	// The provider is told where its webhooks go before there is somebody to take them.
	api := rig.Listen(t, "")
	to := "http://" + api.Addr().String() + "/webhooks/payments/simulator"
	if other := more["WEBHOOKS"]; other != "" {
		to = other
	}
	r.provider = openProvider(t, to, cards)
	env := map[string]string{
		"PAYMENT_SIMULATOR_URL": r.provider.url(), "PAYMENT_TIMEOUT": patience.String(), "PAYMENT_WEBHOOK_SECRET": "old," + secret,
		"TRANSFER_POLL": "0s",
	}
	maps.Copy(env, more)
	delete(env, "WEBHOOKS")
	var cfg service.Config
	r.Configure(&cfg, &cfg.Config, env)
	cfg.HTTPListener = api
	r.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
	return r
}

// in is the system for a subtest.
func (r *system) in(t *testing.T) *system {
	provider := *r.provider
	provider.t = t
	return &system{Rig: r.In(t), provider: &provider}
}
