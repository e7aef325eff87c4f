package service_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/dataplatform/service"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/dataplatform"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is the export with a data platform that can be stopped and started.
type world struct {
	*rig.Rig
	secret string
	dir    string
	mock   *dataplatform.Server
	server rig.Server
	cfg    map[string]string
	admin  string // where the replica served last tells its metrics
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	w := &world{
		Rig:    rig.New(t, "", "order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1"),
		secret: "whsec_" + base64.StdEncoding.EncodeToString(key), dir: t.TempDir(),
	}
	w.startPlatform()
	w.cfg = map[string]string{
		"DATABASE_URL": testkit.Database(t), "DATAPLATFORM_URL": w.server.URL() + "/facts", "DATAPLATFORM_SECRET": w.secret,
		"DATAPLATFORM_BATCH_AGE": "40ms", "DATAPLATFORM_BATCH_FACTS": "20", "DATAPLATFORM_TIMEOUT": "2s",
		"DATAPLATFORM_RETRY_MIN": "10ms", "DATAPLATFORM_RETRY_MAX": "200ms",
	}
	return w
}

// startPlatform starts the mock, with what it remembers.
func (w *world) startPlatform() {
	w.T.Helper()
	var err error
	if w.mock, err = dataplatform.New(dataplatform.Config{Dir: w.dir, Secret: w.secret}); err != nil {
		w.T.Fatal(err)
	}
	mock := w.mock
	w.T.Cleanup(func() { _ = mock.Close() }) // closed already where it was stopped
	w.server.Start(w.T, w.mock.Handler())
	w.T.Cleanup(func() { w.server.Kill(w.T) })
}

func (w *world) stopPlatform() {
	w.T.Helper()
	w.server.Kill(w.T)
	if err := w.mock.Close(); err != nil {
		w.T.Fatal(err)
	}
}

// serve starts a replica of the export.
func (w *world) serve(more ...map[string]string) (stop func()) {
	w.T.Helper()
	env := map[string]string{}
	for _, m := range append([]map[string]string{w.cfg}, more...) {
		for name, value := range m {
			env[name] = value
		}
	}
	var cfg service.Config
	w.Configure(&cfg, &cfg.Config, env)
	stop = w.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
	w.admin = "http://" + cfg.AdminListener.Addr().String()
	return stop
}

func (w *world) operator() string { return w.Token("olga", web.RoleOperator) }

// told is an event as the test remembers it.
type told struct{ id, subject string }

// publish puts n orders with two events each on their topics.
func (w *world) publish(n int) (all []told) {
	w.T.Helper()
	events := make([]rig.Event, 0, 2*n)
	for range n {
		id := rig.NewID()
		created := rig.NewEvent(id, &orderv1.OrderCreated{
			OrderId: id, UserId: "u", TotalAmount: 10050, CreatedAt: timestamppb.Now(),
			Checkout: &orderv1.Checkout{PaymentToken: "tok_canary", PaymentAmount: 10050},
		})
		decreased := rig.NewEvent(id, &stockv1.StockDecreased{OrderId: id, UserId: "u"})
		decreased.Causation, decreased.Correlation = created.ID, created.ID
		events = append(events, created, decreased)
		all = append(all, told{created.ID, id}, told{decreased.ID, id})
	}
	w.Send(events...)
	return all
}

// await waits until the platform has every event, and then holds it against what was told: each one exactly once in the
// live stream, in order, about the order it is about, and nothing else.
func (w *world) await(all []told) {
	w.T.Helper()
	testkit.Eventually(w.T, rig.Patience, func() error {
		if totals := w.mock.Totals(); totals.Facts-totals.OnlyReplayed < len(all) {
			return fmt.Errorf("of %d facts came %+v", len(all), totals)
		}
		return nil
	})
	got, about := map[string]dataplatform.Fact{}, map[string]string{}
	for _, o := range w.mock.Received() {
		for _, f := range o.Facts {
			got[f.ID], about[f.ID] = f, o.OrderID
		}
	}
	for _, e := range all {
		if f := got[e.id]; f.Times != 1 || about[e.id] != e.subject {
			w.T.Errorf("%s of %s came %d times, about %q: want once", f.Type, e.subject, f.Times, about[e.id])
		}
	}
	if totals := w.mock.Totals(); totals.Facts != len(all) || totals.MoreThanOnce > 0 || totals.OutOfOrder > 0 || totals.WithoutData > 0 {
		w.T.Errorf("%+v: want %d facts", totals, len(all))
	}
}

// exported waits until the service, too, knows that the platform has everything.
func (w *world) exported() {
	w.T.Helper()
	testkit.Eventually(w.T, rig.Patience, func() error {
		var open, waiting int
		err := w.Pool.QueryRow(w.T.Context(), `
			SELECT (SELECT count(*) FROM batch WHERE sent_at IS NULL),
			       (SELECT count(*) FROM fact WHERE position > (SELECT position FROM stream WHERE up_to IS NULL))`).Scan(&open, &waiting)
		if err == nil && open+waiting > 0 {
			err = fmt.Errorf("%d batches are open, %d facts wait", open, waiting)
		}
		return err
	})
}

// since is long enough ago for everything that a test publishes.
func since() string { return time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) }
