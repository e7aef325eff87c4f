package service_test

import (
	"context"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/order/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// system is the order service as it runs. The test is every other service.
type system struct {
	*rig.Rig
	stop func()
}

// members of the tests: m1 and m2 have a default address, m3 has none.
const members = `[
	{"memberId": "m1", "addresses": [{"addressId": "home-1", "default": true}, {"addressId": "work-1"}]},
	{"memberId": "m2", "addresses": [{"addressId": "home-2", "default": true}]},
	{"memberId": "m3"}
]`

func start(t *testing.T, change ...func(*service.Config)) *system {
	t.Helper()
	s := &system{Rig: rig.New(t, "order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1", "member.v1")}
	s.Members(members)
	var cfg service.Config
	s.Configure(&cfg, &cfg.Config, nil)
	for _, f := range change {
		f(&cfg)
	}
	s.stop = s.serve(cfg)
	s.CaughtUp()
	return s
}

func (s *system) serve(cfg service.Config) (stop func()) {
	s.T.Helper()
	return s.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
}

// await waits until order has emitted an event of that name about the order, and returns the first.
func (s *system) await(orderID, name string) rig.Event {
	s.T.Helper()
	return s.Await(1, rig.About(orderID), rig.Named(name))[0]
}

// do sends a request as a member; headers are pairs.
func (s *system) do(member, method, path, body string, headers ...string) rig.Answer {
	s.T.Helper()
	return s.Call(s.Token(member), method, path, body, headers...)
}
