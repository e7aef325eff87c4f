package service_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/shipping/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// system is the shipping service as it runs, with a carrier of its own. The test is every other service.
type system struct {
	*rig.Rig
	firm *firm
}

// start runs the service against a carrier; timeout is how long it waits for the carrier's answers.
func start(t *testing.T, timeout time.Duration) *system {
	t.Helper()
	return startWith(t, map[string]string{"CARRIER_TIMEOUT": timeout.String()})
}

// startWith runs the service with some of its environment; webhooks go where WEBHOOKS says, if anywhere else.
func startWith(t *testing.T, more map[string]string) *system {
	t.Helper()
	r := &system{Rig: rig.New(t, "shipping.v1", "order.v1", "member.v1")}
	r.Members(members(t))
	// The carrier is told where its webhooks go before there is somebody to take them.
	api := rig.Listen(t, "")
	to := "http://" + api.Addr().String() + webhooks
	if other := more["WEBHOOKS"]; other != "" {
		to = other
	}
	r.firm = openFirm(t, to)
	env := map[string]string{
		"CARRIER_URL": r.firm.url(), "CARRIER_WEBHOOK_SECRET": "old," + secret, "CARRIER_TIMEOUT": patience.String(),
		"ADDRESS_TRIES": "2",
	}
	maps.Copy(env, more)
	var cfg service.Config
	r.Configure(&cfg, &cfg.Config, env)
	cfg.HTTPListener = api
	r.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
	r.CaughtUp()
	return r
}

// in is the system for a subtest.
func (r *system) in(t *testing.T) *system {
	firm := *r.firm
	firm.t = t
	return &system{Rig: r.In(t), firm: &firm}
}
