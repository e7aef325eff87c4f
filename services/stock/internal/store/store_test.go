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
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/stock"
	"github.com/quadrille-io/quadrille/services/stock/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(r *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(r, "µs")).UTC()
	})
}

// maybe is a time, or none.
func maybe(r *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(r, label) {
		return time.Time{}
	}
	return times().Draw(r, label+" at")
}

func texts() *rapid.Generator[string] { return rapid.StringMatching(`[ -~가-힣"\\]{1,12}`) }

func products() *rapid.Generator[stock.Product] {
	return rapid.Custom(func(r *rapid.T) stock.Product {
		return stock.Product{
			ProductID: texts().Draw(r, "id"), Name: texts().Draw(r, "name"),
			Price: rapid.Int64Range(1, stock.MaxPrice).Draw(r, "price"), Currency: rapid.SampledFrom([]string{"KRW", "EUR"}).Draw(r, "currency"),
			Quantity: rapid.Int64Range(0, stock.MaxQuantity).Draw(r, "quantity"), OnSale: rapid.Bool().Draw(r, "on sale"),
			PictureURL: rapid.SampledFrom([]string{"", "https://cdn.example/p.jpg"}).Draw(r, "picture"), Frozen: rapid.Bool().Draw(r, "frozen"),
			LowThreshold: rapid.Int64Range(0, 9).Draw(r, "threshold"), LowAt: maybe(r, "low"), LowTold: rapid.Bool().Draw(r, "told"),
			Sale: stock.Sale{
				StartsAt: maybe(r, "starts"), MaxPerOrder: rapid.Int64Range(0, 9).Draw(r, "per order"),
				MaxPerMember: rapid.Int64Range(0, 9).Draw(r, "per member"),
			},
			CreatedAt: times().Draw(r, "created"), UpdatedAt: times().Draw(r, "updated"),
		}
	})
}

func reservations() *rapid.Generator[stock.Reservation] {
	items := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) stock.Item {
		return stock.Item{
			ProductID: texts().Draw(r, "product"), ProductName: texts().Draw(r, "name"),
			Quantity: rapid.Int32Min(1).Draw(r, "quantity"), ProductPrice: rapid.Int64().Draw(r, "price"),
			Counted: rapid.Bool().Draw(r, "counted"),
		}
	}), 1, 4)
	return rapid.Custom(func(r *rapid.T) stock.Reservation {
		row := stock.Reservation{
			OrderID: uuid.NewString(), UserID: texts().Draw(r, "user"),
			State:     rapid.SampledFrom([]stock.State{stock.Taken, stock.Refused, stock.Returned}).Draw(r, "state"),
			CreatedAt: times().Draw(r, "created"), UpdatedAt: times().Draw(r, "updated"),
		}
		if row.State != stock.Refused && rapid.Bool().Draw(r, "took something") {
			row.Items = items.Draw(r, "items")
		}
		return row
	})
}

// What Save writes, Load brings back equal: new rows, and rows that were there and changed.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	rapid.Check(t, func(r *rapid.T) {
		first := &stock.World{}
		for _, p := range rapid.SliceOfN(products(), 1, 5).Draw(r, "products") {
			first.Products.Put(p.ProductID, p)
		}
		for _, x := range rapid.SliceOfN(reservations(), 1, 5).Draw(r, "reservations") {
			first.Reservations.Put(x.OrderID, x)
		}
		rig.Transact(r, pool, func(_ context.Context, tx *pg.Tx) error {
			tx.Last().Queue("empty the tables", `TRUNCATE product, reservation`)
			return store.Store{}.Save(tx.Last(), first)
		})
		second := reload(r, pool, first)
		equal(r, first, second)

		for id, old := range first.Products.All() {
			p := products().Draw(r, "changed product")
			p.ProductID, p.CreatedAt = id, old.CreatedAt
			second.Products.Put(id, p)
		}
		for id, old := range first.Reservations.All() {
			x := reservations().Draw(r, "changed reservation")
			x.OrderID, x.UserID, x.CreatedAt = id, old.UserID, old.CreatedAt
			second.Reservations.Put(id, x)
		}
		rig.Transact(r, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), second) })
		equal(r, second, reload(r, pool, second))
	})
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

// reload loads the rows of a World by inputs that name them.
func reload(t fataler, pool *pgxpool.Pool, w *stock.World) *stock.World {
	t.Helper()
	var in []flow.Input
	for id := range w.Products.All() {
		in = append(in, flow.Input{Subject: id, Msg: stock.Restock{ProductID: id}})
	}
	for id := range w.Reservations.All() {
		in = append(in, flow.Input{Subject: id, Msg: &orderv1.OrderCancelled{OrderId: id}})
	}
	var loaded *stock.World
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) (err error) {
		loaded, err = store.Store{}.Load(ctx, tx, in)
		return err
	})
	return loaded
}

func equal(t fataler, want, got *stock.World) {
	t.Helper()
	if diff := cmp.Diff(maps.Collect(want.Products.All()), maps.Collect(got.Products.All())); diff != "" {
		t.Errorf("products (-saved +loaded):\n%s", diff)
	}
	if diff := cmp.Diff(maps.Collect(want.Reservations.All()), maps.Collect(got.Reservations.All())); diff != "" {
		t.Errorf("reservations (-saved +loaded):\n%s", diff)
	}
}

// An order's undo brings the products of its reservation along, which its event does not name.
func TestLoadFollowsReservations(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool, "P", 5)
	apply(t, pool, created("o1", "P", 2))
	apply(t, pool, flow.Input{Subject: "o1", Msg: &orderv1.OrderCancelled{
		OrderId: "o1", UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK,
	}})
	if p, err := (store.Reader{Pool: pool}).Product(t.Context(), "P"); err != nil || p.Quantity != 5 {
		t.Errorf("after the undo: %+v, %v", p, err)
	}
}

func seed(t fataler, pool *pgxpool.Pool, id string, quantity int64) {
	t.Helper()
	w := &stock.World{}
	w.Products.Put(id, stock.Product{
		ProductID: id, Name: "Lamp " + id, Price: 1000, Currency: "KRW", Quantity: quantity, OnSale: true,
		CreatedAt: time.UnixMicro(1), UpdatedAt: time.UnixMicro(1),
	})
	rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
}

func created(order, product string, quantity int32) flow.Input {
	return flow.Input{Kind: flow.KindEvent, Subject: order, Msg: &orderv1.OrderCreated{
		OrderId: order, UserId: "u", OrderItems: []*orderv1.OrderItem{{ProductId: product, Quantity: quantity}},
	}}
}

// apply does what the engine does with a batch, without its own tables.
func apply(t fataler, pool *pgxpool.Pool, in ...flow.Input) (emitted []flow.Emission) {
	t.Helper()
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
		emitted = nil
		w, err := store.Store{}.Load(ctx, tx, in)
		if err != nil {
			return err
		}
		for _, i := range in {
			i.Meta = flow.Meta{Now: time.UnixMicro(2).UTC(), IDs: func(int) string { return uuid.NewString() }}
			out, err := stock.Topology.Decide(w, i)
			if err != nil {
				return err
			}
			emitted = append(emitted, out.Events...)
		}
		return store.Store{}.Save(tx.Last(), w)
	})
	return emitted
}

// Two replicas that decide over one product at once wait for each other's rows, in batches that name
// their products in opposite orders: nothing is sold twice, and nothing deadlocks.
func TestConcurrentBatchesNeverOversell(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool, "A", 50)
	seed(t, pool, "B", 50)
	var mu sync.Mutex
	taken := map[string]int{}
	var g errgroup.Group
	for replica := range 4 {
		g.Go(func() error {
			for batch := range 5 {
				var in []flow.Input
				for i := range 10 {
					product := string("AB"[(i+replica)%2])
					in = append(in, created(fmt.Sprintf("o-%d-%d-%d", replica, batch, i), product, 1))
				}
				for _, e := range apply(t, pool, in...) {
					if name := string(e.Message.ProtoReflect().Descriptor().Name()); name == "StockDecreased" {
						mu.Lock()
						taken["all"]++
						mu.Unlock()
					}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if taken["all"] != 100 {
		t.Errorf("%d of 100 pieces were sold", taken["all"])
	}
	for _, id := range []string{"A", "B"} {
		if p, err := (store.Reader{Pool: pool}).Product(t.Context(), id); err != nil || p.Quantity != 0 {
			t.Errorf("%s: %+v, %v", id, p, err)
		}
	}
}

// A batch of 500 orders costs as many statements as one of a single order.
func TestBatchCost(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	var in []flow.Input
	for i := range 100 {
		seed(t, pool, fmt.Sprintf("P%d", i), 1000)
	}
	for i := range 500 {
		in = append(in, created(fmt.Sprintf("o%d", i), fmt.Sprintf("P%d", i%100), 1))
	}
	n := asked.During(func() {
		if n := len(apply(t, pool, in...)); n != 500 {
			t.Fatalf("%d answers", n)
		}
	})
	t.Logf("500 orders of 100 products: %d statements", n)
	if most := 4; n > most {
		t.Errorf("%d statements, at most %d", n, most)
	}
}

// The constraints state the rules and have their names.
func TestConstraints(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool, "P", 1)
	for name, sql := range map[string]string{
		"stock_never_negative":       `UPDATE product SET quantity = quantity - 2`,
		"price_above_zero":           `UPDATE product SET price = 0`,
		"reservation_state_known":    `INSERT INTO reservation VALUES ('o', 'u', 'LOST', '[]', now(), now())`,
		"picture_is_https":           `UPDATE product SET picture_url = 'http://x'`,
		"limits_never_negative":      `UPDATE product SET max_per_order = -1`,
		"sale_starts_before_it_ends": `UPDATE product SET sale_starts_at = now(), sale_ends_at = now()`,
		"purchase_never_negative":    `INSERT INTO purchase VALUES ('P', 'u', -1)`,
		"movement_kind_known":        `INSERT INTO movement VALUES ('P', 'm', 'STOLEN', -1, '', now())`,
		"movement_is_never_changed":  `DELETE FROM movement`,
		"movement_pkey":              `INSERT INTO movement SELECT 'P', 'm', 'RESTOCK', 1, '', now() FROM generate_series(1, 2)`,
		"refused_takes_nothing":      `INSERT INTO reservation VALUES ('o', 'u', 'REFUSED', '[{}]', now(), now())`,
	} {
		_, err := pool.Exec(t.Context(), sql)
		var broken *pgconn.PgError
		if !errors.As(err, &broken) || broken.ConstraintName != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	for _, id := range []string{"lamp-2", "LAMP-1", "chair_1"} {
		seed(t, pool, id, 1)
	}
	reader := store.Reader{Pool: pool}
	for _, c := range []struct {
		query, after string
		limit        int
		want         []string
	}{
		{"", "", 10, []string{"LAMP-1", "chair_1", "lamp-2"}},
		{"", "LAMP-1", 1, []string{"chair_1"}},
		{"LaMp-", "", 10, []string{"LAMP-1", "lamp-2"}},
		{"lamp_", "", 10, nil},
		{"%", "", 10, nil},
	} {
		views, err := reader.Products(t.Context(), c.query, c.after, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range views {
			got = append(got, v.ProductID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v: %s", c, diff)
		}
	}
	if _, err := reader.Product(t.Context(), "none"); !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("an unknown product: %v", err)
	}
}
