package engine_test

import (
	"context"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// Not parallel: goleak must see this test's goroutines only.
//
//nolint:paralleltest // see above
func TestAnEngineStopsWithNothingHalfDoneAndNothingLeftBehind(t *testing.T) {
	s := newStage(t)
	s.produce(t, s.created("warm-up")) // the test's own client has its connections now
	_, err := s.admin.ListEndOffsets(t.Context(), s.kafka.Topic("order.v1"))
	check(t, err)
	const broker = "github.com/twmb/franz-go/pkg/kfake.(*clientConn)."
	before := []goleak.Option{
		goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction(broker + "read"), goleak.IgnoreAnyFunction(broker + "read.func1"),
		goleak.IgnoreAnyFunction(broker + "read.func2"), goleak.IgnoreAnyFunction(broker + "write"),
	}
	var under atomic.Int64
	release, saving := make(chan struct{}), make(chan struct{}, 1)
	n := s.start(t, calling(func(ctx context.Context, c engine.Call) (flow.Command, error) {
		under.Add(1)
		<-release
		return printLabel(ctx, c)
	}), func(set *setup) {
		set.node.store.onSave = func(*pg.Batch) error {
			select {
			case saving <- struct{}{}:
			default:
			}
			return nil
		}
	})
	for _, o := range orders(20) {
		s.produce(t, s.completed("parcel-of-"+o)) // others than those created below, which wait for no answer
	}
	eventually(t, "calls under way", 20, func() (int64, error) { return under.Load(), nil })
	for _, o := range orders(200) {
		s.produce(t, s.created(o))
	}
	stopped := make(chan struct{})
	<-saving
	go func() { n.stop(); close(stopped) }()
	close(release)
	<-stopped
	if n := s.count(t, labels); n != 20 {
		t.Errorf("%d of the calls under way were answered: want 20", n)
	}
	// Fences, inbox and effects tell the same.
	handled := s.count(t, `SELECT sum(next_offset)::bigint FROM fence`)
	if inbox := s.count(t, `SELECT count(*) FROM inbox`); inbox != handled {
		t.Errorf("%d events in the inbox, %d behind the fences", inbox, handled)
	}
	if taken := s.count(t, `SELECT count(*) FROM outbox`); taken != handled {
		t.Errorf("%d events were emitted for %d handled and 20 answers", taken, handled)
	}
	goleak.VerifyNone(t, before...)
	s.start(t)
	s.handled(t)
	if left := s.count(t, `SELECT count(*) FROM outbox`); left != 221 {
		t.Errorf("%d events in the end: want 221", left)
	}
}
