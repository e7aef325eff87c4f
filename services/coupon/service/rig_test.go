package service_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/coupon/service"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// system is the coupon service as it runs. The test is every other service.
type system struct{ *rig.Rig }

func start(t *testing.T) *system {
	t.Helper()
	s := &system{rig.New(t, "coupon.v1", "order.v1", "stock.v1", "payment.v1")}
	var cfg service.Config
	s.Configure(&cfg, &cfg.Config, nil)
	s.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
	return s
}

// published waits for the n-th event about an order (from 1) and returns it.
func (s *system) published(orderID string, n int) proto.Message {
	s.T.Helper()
	return s.Await(n, rig.About(orderID))[n-1].Message
}
