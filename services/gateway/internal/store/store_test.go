package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func input(e gateway.Event) flow.Input {
	return flow.Input{Kind: flow.KindEvent, Subject: e.Subject, Msg: flow.Record{ID: e.ID, SubjectID: e.Subject}}
}

var (
	words   = rapid.StringMatching(`[a-zA-Z0-9가-힣 _.-]{0,20}`)
	moments = rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "microseconds")).UTC()
	})
	events = rapid.Custom(func(t *rapid.T) gateway.Event {
		return gateway.Event{
			ID: rig.NewID(), Subject: rig.NewID(), Type: words.Draw(t, "type"), Service: words.Draw(t, "service"),
			Sequence: rapid.Int64().Draw(t, "sequence"), OccurredAt: moments.Draw(t, "occurred"),
			Causation: words.Draw(t, "causation"), Command: words.Draw(t, "command"), Correlation: words.Draw(t, "correlation"),
			Topic: words.Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition"), Offset: rapid.Int64().Draw(t, "offset"),
			Payload: rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload"),
		}
	})
	orders = rapid.Custom(func(t *rapid.T) gateway.Order {
		return gateway.Order{
			OrderID: rig.NewID(), UserID: words.Draw(t, "user"), Seen: gateway.Seen(rapid.Int64().Draw(t, "seen")),
			Status: rapid.SampledFrom(gateway.Statuses).Draw(t, "status"), Step: rapid.SampledFrom(gateway.Steps).Draw(t, "step"),
			Reason: words.Draw(t, "reason"), HasCoupons: rapid.Bool().Draw(t, "coupons"), UndoFrom: rapid.Int32().Draw(t, "undo"),
			Amount: rapid.Int64().Draw(t, "amount"), Currency: words.Draw(t, "currency"), LastEvent: words.Draw(t, "last"),
			CreatedAt: moments.Draw(t, "created"), UpdatedAt: moments.Draw(t, "updated"),
		}
	})
)

// What Save wrote, Load brings back, also when it is written over.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	rapid.Check(t, func(t *rapid.T) {
		event, order := events.Draw(t, "event"), orders.Draw(t, "order")
		again := orders.Draw(t, "order again")
		again.OrderID, order.OrderID = event.Subject, event.Subject
		for _, line := range []gateway.Order{order, again} {
			w := &gateway.World{}
			w.Events.Put(event.ID, event)
			w.Orders.Put(line.OrderID, line)
			rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
			rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
				loaded, err := store.Store{}.Load(ctx, tx, []flow.Input{input(event)})
				if err != nil {
					return err
				}
				gotEvent, _ := loaded.Events.Get(event.ID)
				gotOrder, _ := loaded.Orders.Get(line.OrderID)
				if diff := cmp.Diff(event, gotEvent) + cmp.Diff(line, gotOrder); diff != "" {
					return errors.New(diff)
				}
				return nil
			})
		}
	})
}

// A batch of 500 costs nine statements, with the checks against the declared choreography, and of what is known already
// four: nothing is saved, and nobody's cause is looked for.
func TestBatchCostsFewStatements(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	var batch []flow.Input
	for range 250 {
		id := rig.NewID()
		payload, err := proto.Marshal(&orderv1.OrderCreated{OrderId: id, UserId: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		for sequence := range int64(2) {
			batch = append(batch, flow.Input{Kind: flow.KindEvent, Subject: id, Msg: flow.Record{
				Topic: "order.v1", ID: rig.NewID(), Type: "quadrille.order.v1.OrderCreated", Source: "/quadrille/order",
				SubjectID: id, Time: time.Now(), Sequence: sequence + 1, Payload: payload,
				CausationID: rig.NewID(), CorrelationID: rig.NewID(),
			}})
		}
	}
	s := checking(time.Minute)
	for _, want := range []int{9, 5} {
		n := asked.During(func() {
			rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
				w, err := s.Load(ctx, tx, batch)
				if err != nil {
					return err
				}
				for _, in := range batch {
					gateway.OnEvent(w, in.Msg.(flow.Record), in.Meta)
				}
				return s.Save(tx.Last(), w)
			})
		})
		if n != want {
			t.Errorf("%d statements, want %d", n, want)
		}
	}
	lines, err := store.Orders(t.Context(), pool, store.Filter{Status: gateway.Pending, Limit: 1000})
	if err != nil || len(lines) != 250 {
		t.Errorf("%d lines: %v", len(lines), err)
	}
}

func TestOrdersAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	w := &gateway.World{}
	var ids []string
	for i := range 10 {
		o := gateway.Order{OrderID: rig.NewID(), Status: gateway.Pending, Step: gateway.AtStock}
		if i%2 == 1 {
			o.Status, o.Step = gateway.Completed, gateway.AtShipping
		}
		ids = append(ids, o.OrderID)
		w.Orders.Put(o.OrderID, o)
	}
	rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
	for name, tt := range map[string]struct {
		filter store.Filter
		want   []string
	}{
		"newest first, and one more":  {store.Filter{Limit: 2}, []string{ids[9], ids[8], ids[7]}},
		"older":                       {store.Filter{Limit: 20, Before: ids[2]}, []string{ids[1], ids[0]}},
		"by status":                   {store.Filter{Status: gateway.Pending, Limit: 2}, []string{ids[8], ids[6], ids[4]}},
		"by step":                     {store.Filter{Step: gateway.AtShipping, Limit: 1}, []string{ids[9], ids[7]}},
		"an unknown status is no SQL": {store.Filter{Status: "x' OR true --", Limit: 0}, []string{ids[9]}},
	} {
		lines, err := store.Orders(t.Context(), pool, tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range lines {
			got = append(got, o.OrderID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, err := store.Order(t.Context(), pool, rig.NewID()); !errors.Is(err, store.ErrNoOrder) {
		t.Errorf("an order that is not there: %v", err)
	}
}

func TestTimelineAndCounts(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	w := &gateway.World{}
	for i := range 4 {
		e := gateway.Event{ID: rig.NewID(), Subject: fmt.Sprint("o", i/3), OccurredAt: time.Now()}
		w.Events.Put(e.ID, e)
	}
	rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
	counts, err := store.Counts(t.Context(), pool, []string{"o0", "o1", "o2"})
	if diff := cmp.Diff(map[string]int{"o0": 3, "o1": 1}, counts); diff != "" || err != nil {
		t.Error(diff, err)
	}
	events, err := store.Timeline(t.Context(), pool, "o0")
	if err != nil || len(events) != 3 || events[0].Position <= events[2].Position {
		t.Errorf("%v: %v", events, err)
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	var ids []string
	for i := range 3 {
		id := rig.NewID()
		ids = append(ids, id)
		if err := store.BeginAudit(t.Context(), pool, store.AuditEntry{
			ID: id, Operator: "olga", Method: "POST", Path: fmt.Sprint("/ops/v1/", i), Reason: "because", RequestID: "r",
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.EndAudit(t.Context(), pool, ids[1], 201); err != nil {
		t.Fatal(err)
	}
	entries, err := store.Audit(t.Context(), pool, ids[2], 1)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v: %v", entries, err)
	}
	if entries[0].ID != ids[1] || entries[0].Status == nil || *entries[0].Status != 201 || entries[1].Status != nil || entries[0].At.IsZero() {
		t.Errorf("%+v", entries)
	}
}
