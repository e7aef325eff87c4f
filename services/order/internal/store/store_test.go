package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/order/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

type fataler interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

func texts() *rapid.Generator[string] { return rapid.StringMatching(`[ -~가-힣"\\]{0,12}`) }

func words() *rapid.Generator[string] { return rapid.StringMatching(`[ -~가-힣"\\]{1,12}`) }

func amounts() *rapid.Generator[int64] { return rapid.Int64Range(0, order.MaxAmount) }

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(r *rapid.T) time.Time { return time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(r, "µs")).UTC() })
}

func perhaps() *rapid.Generator[time.Time] {
	return rapid.OneOf(times(), rapid.Just(time.Time{}))
}

// placed draws what is fixed when an order is placed.
func placed(r *rapid.T) order.Order {
	o := order.Order{
		OrderID: uuid.Must(uuid.NewV7()).String(), UserID: words().Draw(r, "user"),
		ItemsAmount: amounts().Draw(r, "items amount"), DeliveryFee: amounts().Draw(r, "fee"),
		Currency:     rapid.SampledFrom([]string{"KRW", "EUR"}).Draw(r, "currency"),
		PaymentType:  rapid.SampledFrom([]order.PaymentType{order.Credit, order.Points, order.Transfer}).Draw(r, "type"),
		PaymentToken: texts().Draw(r, "token"),
		CouponPolicy: rapid.SampledFrom([]order.CouponPolicy{order.CancelOrder, order.PayFullPrice}).Draw(r, "policy"),
		AddressID:    texts().Draw(r, "address"), CouponTimeout: time.Duration(rapid.Int64Min(0).Draw(r, "timeout")),
		CreatedEvent: texts().Draw(r, "created event"), CreatedAt: times().Draw(r, "created"),
	}
	o.Items = rapid.SliceOfN(rapid.Custom(func(r *rapid.T) order.Item {
		return order.Item{
			ProductID: words().Draw(r, "product"), ProductName: texts().Draw(r, "name"),
			Quantity: rapid.Int32Min(1).Draw(r, "quantity"), ProductPrice: amounts().Draw(r, "price"),
		}
	}), 1, 3).Draw(r, "items")
	if refs := rapid.SliceOfN(words(), 0, 2).Draw(r, "refs"); len(refs) > 0 {
		o.CouponRefs = refs
	}
	return o
}

// moved draws what changes while the order moves.
func moved(r *rapid.T, o order.Order) order.Order {
	undo := rapid.SampledFrom([]order.Undo{"", order.UndoNone, order.UndoPending, order.UndoDone, order.Refunding, order.RefundDone, order.RefundFailed})
	o.Version = rapid.Int64Min(1).Draw(r, "version")
	o.Status = rapid.SampledFrom([]order.Status{order.Pending, order.Completed, order.Shipped, order.Delivered, order.Cancelling, order.Cancelled}).Draw(r, "status")
	o.Progress = rapid.SampledFrom([]order.Progress{order.AtStock, order.AtUndoCoupon, order.AtNothing}).Draw(r, "progress")
	o.Reason = ""
	if o.Status == order.Cancelling || o.Status == order.Cancelled {
		o.Reason = rapid.SampledFrom([]order.Reason{order.OutOfStock, order.TimedOut}).Draw(r, "reason")
	}
	o.DiscountAmount, o.PointAmount = amounts().Draw(r, "discount"), amounts().Draw(r, "points")
	o.PaymentAmount = amounts().Draw(r, "payment")
	o.DeadlineAt, o.CouponDeadlineAt = perhaps().Draw(r, "deadline"), perhaps().Draw(r, "coupon deadline")
	o.StockDecreased, o.CouponAnswered, o.CouponWaived = rapid.Bool().Draw(r, "a"), rapid.Bool().Draw(r, "b"), rapid.Bool().Draw(r, "c")
	o.CancelRequest = rapid.SampledFrom([]order.CancelRequest{order.NotRequested, order.CancelRequested, order.CancelNotAllowed}).Draw(r, "request")
	o.CancelNote = texts().Draw(r, "note")
	o.UndoPayment, o.UndoCoupon, o.UndoStock = undo.Draw(r, "undo payment"), undo.Draw(r, "undo coupon"), undo.Draw(r, "undo stock")
	o.Carrier, o.TrackingNumber, o.ShipmentStatus = texts().Draw(r, "carrier"), texts().Draw(r, "tracking"), texts().Draw(r, "shipment")
	o.StockEvent, o.UpdatedAt = texts().Draw(r, "stock event"), times().Draw(r, "updated")
	return o
}

func price(r *rapid.T, id string) order.Price {
	return order.Price{
		ProductID: id, Name: texts().Draw(r, "name"), Price: amounts().Draw(r, "price"), Currency: "KRW",
		OnSale: rapid.Bool().Draw(r, "on sale"), PreviousPrice: amounts().Draw(r, "previous"), ChangedAt: times().Draw(r, "changed"),
		SaleStartsAt: rapid.SampledFrom([]time.Time{{}, time.UnixMicro(1).UTC()}).Draw(r, "starts"),
		SaleEndsAt:   rapid.SampledFrom([]time.Time{{}, time.UnixMicro(2).UTC()}).Draw(r, "ends"), MaxPerOrder: amounts().Draw(r, "most"),
	}
}

// What Save writes, Load brings back equal: new rows, and rows that were there and changed.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	rapid.Check(t, func(r *rapid.T) {
		first := &order.World{}
		var in []flow.Input
		for range rapid.IntRange(1, 4).Draw(r, "orders") {
			o := moved(r, placed(r))
			first.Orders.Put(o.OrderID, o)
			in = append(in, flow.Input{Subject: o.OrderID, Msg: order.Cancel{OrderID: o.OrderID}})
		}
		for range rapid.IntRange(1, 4).Draw(r, "prices") {
			id := uuid.NewString()
			first.Prices.Put(id, price(r, id))
			in = append(in, flow.Input{Subject: id, Msg: &stockv1.ProductPriceChanged{ProductId: id}})
		}
		for range rapid.IntRange(1, 4).Draw(r, "recent") {
			c := order.Place{UserID: words().Draw(r, "user"), BodyHash: uuid.NewString(), Rules: order.Rules{DoubleClickWindow: 1}}
			first.Recent.Put(order.RecentKey(c.UserID, c.BodyHash), order.Recent{OrderID: uuid.NewString(), At: times().Draw(r, "at")})
			in = append(in, flow.Input{Subject: "new", Msg: c})
		}
		rig.Transact(r, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), first) })
		second := reload(r, pool, in)
		equal(r, first, second)
		for id, o := range first.Orders.All() {
			second.Orders.Put(id, moved(r, o))
		}
		for id := range first.Prices.All() {
			second.Prices.Put(id, price(r, id))
		}
		for key := range first.Recent.All() {
			second.Recent.Put(key, order.Recent{OrderID: texts().Draw(r, "order"), At: times().Draw(r, "at")})
		}
		rig.Transact(r, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), second) })
		equal(r, second, reload(r, pool, in))
	})
}

func reload(t fataler, pool *pgxpool.Pool, in []flow.Input) (w *order.World) {
	t.Helper()
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) (err error) {
		w, err = store.Store{}.Load(ctx, tx, in)
		return err
	})
	return w
}

func equal(t fataler, want, got *order.World) {
	t.Helper()
	if diff := cmp.Diff(maps.Collect(want.Orders.All()), maps.Collect(got.Orders.All())); diff != "" {
		t.Errorf("orders (-saved +loaded):\n%s", diff)
	}
	if diff := cmp.Diff(maps.Collect(want.Prices.All()), maps.Collect(got.Prices.All())); diff != "" {
		t.Errorf("prices (-saved +loaded):\n%s", diff)
	}
	if diff := cmp.Diff(maps.Collect(want.Recent.All()), maps.Collect(got.Recent.All())); diff != "" {
		t.Errorf("recent (-saved +loaded):\n%s", diff)
	}
}

func seed(t fataler, pool *pgxpool.Pool) {
	t.Helper()
	w := &order.World{}
	w.Prices.Put("P", order.Price{ProductID: "P", Name: "Lamp", Price: 1000, PreviousPrice: 1000, Currency: "KRW", OnSale: true, ChangedAt: time.UnixMicro(1)})
	w.Members.Put("m", order.Member{UserID: "m", AddressIDs: []string{"home", "work"}, DefaultAddressID: "home", ChangedAt: time.Unix(0, 0).UTC()})
	rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
}

func place(body string) flow.Input {
	id := uuid.Must(uuid.NewV7()).String()
	return flow.Input{Kind: flow.KindCommand, Subject: id, Msg: order.Place{
		OrderID: id, UserID: "m", BodyHash: body, Items: []order.PlaceItem{{ProductID: "P", Quantity: 1}},
		PaymentAmount: 1000, PaymentType: order.Credit,
		Rules: order.Rules{DoubleClickWindow: time.Hour, PendingTimeout: time.Minute, CouponTimeout: time.Second},
	}}
}

// apply does what the engine does with a batch, without its own tables.
func apply(t fataler, pool *pgxpool.Pool, in ...flow.Input) (replies []flow.Reply) {
	t.Helper()
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
		replies = nil
		w, err := store.Store{}.Load(ctx, tx, in)
		if err != nil {
			return err
		}
		for _, i := range in {
			i.Meta = flow.Meta{Now: time.Now().UTC().Truncate(time.Microsecond), IDs: func(int) string { return uuid.NewString() }}
			out, err := order.Topology.Decide(w, i)
			if err != nil {
				return err
			}
			replies = append(replies, out.Reply)
		}
		return store.Store{}.Save(tx.Last(), w)
	})
	return replies
}

// Identical requests in several replicas at once, in batches that name them in different orders, are one
// order each, and no two batches deadlock.
func TestDoubleClickAcrossReplicas(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool)
	const bodies = 8
	var mu sync.Mutex
	orders := map[string]map[string]bool{}
	var g errgroup.Group
	for replica := range 4 {
		g.Go(func() error {
			var in []flow.Input
			for i := range 2 * bodies {
				in = append(in, place(fmt.Sprint((i*(replica+1)+replica)%bodies)))
			}
			for i, reply := range apply(t, pool, in...) {
				body := in[i].Msg.(order.Place).BodyHash
				mu.Lock()
				if orders[body] == nil {
					orders[body] = map[string]bool{}
				}
				orders[body][reply.Body.(order.View).OrderID] = true
				mu.Unlock()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for body, ids := range orders {
		if len(ids) != 1 {
			t.Errorf("body %s became %d orders", body, len(ids))
		}
	}
	var n int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&n); err != nil || n != len(orders) {
		t.Errorf("%d orders of %d bodies: %v", n, len(orders), err)
	}
}

// What is older than the window is forgotten; what somebody holds is left.
func TestForget(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool)
	apply(t, pool, place("a"), place("b"))
	if n, err := store.Forget(t.Context(), pool, time.Hour); err != nil || n != 0 {
		t.Errorf("%d young rows were forgotten: %v", n, err)
	}
	rig.InTx(t, pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM recent WHERE key = 'm/a' FOR UPDATE`); err != nil {
			return err
		}
		if n, err := store.Forget(ctx, pool, 0); err != nil || n != 1 {
			t.Errorf("%d rows were forgotten, one is held: %v", n, err)
		}
		return nil
	})
}

// 500 inputs cost as many statements as a few: 8 at most for Load and Save of commands, where the guard,
// members, prices and orders all take part, and 2 for events.
func TestBatchCost(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	seed(t, pool)
	var in, events []flow.Input
	for i := range 500 {
		in = append(in, place(fmt.Sprint(i)))
		id := in[i].Subject
		events = append(events, flow.Input{Kind: flow.KindEvent, Subject: id, Msg: &stockv1.StockDecreased{OrderId: id}})
	}
	for _, batch := range []struct {
		name string
		in   []flow.Input
		most int
	}{{"commands", in, 8}, {"events", events, 2}} {
		n := asked.During(func() { apply(t, pool, batch.in...) })
		t.Logf("500 %s: %d statements", batch.name, n)
		if n > batch.most {
			t.Errorf("500 %s: %d statements, at most %d", batch.name, n, batch.most)
		}
	}
}

func TestConstraints(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool)
	apply(t, pool, place("a"))
	for name, sql := range map[string]string{
		"order_status_known":       `UPDATE orders SET status = 'LOST'`,
		"cancelled_for_a_reason":   `UPDATE orders SET status = 'CANCELLED'`,
		"amounts_never_negative":   `UPDATE orders SET payment_amount = -1`,
		"default_address_is_known": `UPDATE member SET default_address_id = 'elsewhere'`,
	} {
		_, err := pool.Exec(t.Context(), sql)
		var broken *pgconn.PgError
		if !errors.As(err, &broken) || broken.ConstraintName != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A member's copy follows the newest MemberChanged, in whichever order they come, and forgets for good.
func TestMembers(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool)
	w, err := (store.Reader{Pool: pool}).PriceList(t.Context(), "m", []string{"P", "unknown"})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := w.Members.Get("m")
	if diff := cmp.Diff(order.Member{UserID: "m", AddressIDs: []string{"home", "work"}, DefaultAddressID: "home", ChangedAt: time.Unix(0, 0).UTC()}, m); diff != "" {
		t.Error(diff)
	}
	if w.Prices.Len() != 1 {
		t.Errorf("%d prices", w.Prices.Len())
	}
	event := func(msg any) flow.Input { return flow.Input{Kind: flow.KindEvent, Subject: "m", Msg: msg} }
	changed := func(at int64, id string) flow.Input {
		return event(&memberv1.MemberChanged{
			MemberId: "m", Addresses: []*memberv1.Address{{AddressId: id, Default: true, Line1: "unseen"}}, ChangedAt: timestamppb.New(time.Unix(at, 0)),
		})
	}
	for _, c := range []struct {
		in   []flow.Input
		want string
	}{
		{[]flow.Input{changed(20, "new")}, "new"},
		{[]flow.Input{changed(10, "old")}, "new"},
		{[]flow.Input{changed(20, "again")}, "again"},
		{[]flow.Input{changed(30, "one"), changed(25, "two"), changed(31, "three")}, "three"},
		{[]flow.Input{event(flow.Erased[*memberv1.MemberChanged]{SubjectID: "m"})}, ""},
		{[]flow.Input{changed(40, "late")}, ""},
	} {
		apply(t, pool, c.in...)
		w, err := (store.Reader{Pool: pool}).PriceList(t.Context(), "m", nil)
		if err != nil {
			t.Fatal(err)
		}
		if m, _ := w.Members.Get("m"); m.DefaultAddressID != c.want || len(m.AddressIDs) != len(c.want[:min(1, len(c.want))]) {
			t.Errorf("after %v: %+v", c.in, m)
		}
	}
}
