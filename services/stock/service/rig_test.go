package service_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/stock/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// system is the stock service as it runs. The test is every other service.
type system struct{ *rig.Rig }

func start(t *testing.T) *system {
	t.Helper()
	s := &system{rig.New(t, "stock.v1", "order.v1", "coupon.v1", "payment.v1")}
	var cfg service.Config
	s.Configure(&cfg, &cfg.Config, nil)
	s.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
	return s
}

// about is an event of an order.
type about interface {
	proto.Message
	GetOrderId() string
}

// happen publishes events of orders all at once, as their services would.
func (s *system) happen(messages ...about) {
	s.T.Helper()
	events := make([]rig.Event, len(messages))
	for i, m := range messages {
		events[i] = rig.NewEvent(m.GetOrderId(), m)
	}
	s.Send(events...)
}
