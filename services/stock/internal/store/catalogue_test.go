package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/stock"
	"github.com/quadrille-io/quadrille/services/stock/internal/store"
)

// limit adds a product of which a member may have so many.
func limit(t fataler, pool *pgxpool.Pool, id string, pieces, perMember int64) {
	t.Helper()
	w := &stock.World{}
	w.Products.Put(id, stock.Product{
		ProductID: id, Name: id, Price: 1, Currency: "KRW", Quantity: pieces, Received: pieces, OnSale: true,
		Sale: stock.Sale{MaxPerMember: perMember}, CreatedAt: time.UnixMicro(1), UpdatedAt: time.UnixMicro(1),
	})
	rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
}

func wants(order, user, product string) flow.Input {
	return flow.Input{Kind: flow.KindEvent, Subject: order, Msg: &orderv1.OrderCreated{
		OrderId: order, UserId: user, OrderItems: []*orderv1.OrderItem{{ProductId: product, Quantity: 1}},
	}}
}

func undone(order string) flow.Input {
	return flow.Input{Kind: flow.KindEvent, Subject: order, Msg: &orderv1.OrderCancelled{
		OrderId: order, UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK,
	}}
}

// 80 orders of 40 members who may have one each, decided by four replicas at once: 40 get one, whichever replica
// comes first. When these are undone, 40 others can have them.
func TestConcurrentMembersAreLimited(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	limit(t, pool, "P", 1000, 1)
	for round := range 2 {
		var g errgroup.Group
		for replica := range 4 {
			g.Go(func() error {
				for batch := range 4 {
					var in []flow.Input
					for i := range 5 {
						n := replica*20 + batch*5 + i
						in = append(in, wants(fmt.Sprintf("o-%d-%d", round, n), fmt.Sprint("u", n%40), "P"))
					}
					apply(failed{t}, pool, in...)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		var taken, members, counted int
		err := pool.QueryRow(t.Context(), `
			SELECT count(*), count(DISTINCT user_id), (SELECT sum(quantity) FROM purchase) FROM reservation WHERE state = 'TAKEN'`).
			Scan(&taken, &members, &counted)
		if err != nil || taken != 40 || members != 40 || counted != 40 {
			t.Fatalf("%d sold to %d members, %d counted: %v", taken, members, counted, err)
		}
		var back []flow.Input
		for n := range 80 {
			back = append(back, undone(fmt.Sprintf("o-%d-%d", round, n)))
		}
		apply(t, pool, back...)
		apply(t, pool, back...)
		if err := pool.QueryRow(t.Context(), `SELECT coalesce(sum(quantity), 0) FROM purchase`).Scan(&counted); err != nil || counted != 0 {
			t.Fatalf("%d are counted after the undo: %v", counted, err)
		}
	}
}

// Two batches with orders of the same members are on their way when the product is let go: the second one looks
// again at what the first one counted.
func TestMembersInTwoBatchesAtOnce(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	limit(t, pool, "P", 1000, 1)
	var batches [2][]flow.Input
	for i := range 20 {
		batches[i%2] = append(batches[i%2], wants(fmt.Sprint("o", i), fmt.Sprint("u", i/2), "P"))
	}
	tangle(t, pool, "P", batches[0], batches[1])
	var most, taken int
	err := pool.QueryRow(t.Context(), `
		SELECT max(n), sum(n) FROM (SELECT count(*) AS n FROM reservation WHERE state = 'TAKEN' GROUP BY user_id) AS u`).Scan(&most, &taken)
	if err != nil || most != 1 || taken != 10 {
		t.Errorf("%d sold, %d to one member: %v", taken, most, err)
	}
}

// Only what has a limit costs something for it: one statement to look and one to count, whatever the size of the batch.
func TestLimitCost(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	limit(t, pool, "P", 1000, 1)
	var in []flow.Input
	for i := range 200 {
		in = append(in, wants(fmt.Sprint("o", i), fmt.Sprint("u", i), "P"))
	}
	if n := asked.During(func() { apply(t, pool, in...) }); n > 6 {
		t.Errorf("%d statements, at most 6", n)
	}
}

// An order that takes pieces leaves alone what only operators change.
func TestSellingWritesNoListing(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	limit(t, pool, "P", 5, 0)
	apply(t, pool, flow.Input{Kind: flow.KindCommand, Subject: "P", Msg: stock.Change{
		ProductID: "P", Name: new("Lamp"), LowThreshold: new(int64(4)), PictureURL: new("https://cdn.example/l.jpg"),
	}})
	apply(t, pool, wants("o", "u", "P"))
	p, err := store.Reader{Pool: pool}.Product(t.Context(), "P")
	if err != nil || p.Name != "Lamp" || p.Quantity != 4 || *p.PictureURL != "https://cdn.example/l.jpg" {
		t.Errorf("%+v, %v", p, err)
	}
	due, err := store.Due(t.Context(), pool, 10)
	if diff := cmp.Diff([]flow.Command{stock.Low{ProductID: "P"}}, due); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	apply(t, pool, flow.Input{Kind: flow.KindDeadline, Subject: "P", Msg: stock.Low{ProductID: "P"}})
	if due, err = store.Due(t.Context(), pool, 10); err != nil || len(due) != 0 {
		t.Errorf("it is due again: %v, %v", due, err)
	}
}

// The ledger shows what operators and orders did, newest first, page by page, whatever lies between them; it adds up to
// the pieces that are left.
func TestLedgerPages(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	ids := make([]string, 60)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7()).String()
	}
	command := func(n int, c flow.Command) {
		rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
			in := flow.Input{Kind: flow.KindCommand, Subject: c.Subject(), Msg: c, Meta: flow.Meta{
				Now: time.UnixMicro(int64(n) + 1).UTC(), Cause: ids[n], IDs: func(int) string { return uuid.NewString() },
			}}
			w, err := store.Store{}.Load(ctx, tx, []flow.Input{in})
			if err == nil {
				_, err = stock.Topology.Decide(w, in)
			}
			if err != nil {
				return err
			}
			return store.Store{}.Save(tx.Last(), w)
		})
	}
	command(0, stock.List{ProductID: "P", Name: "P", Price: 1, Currency: "KRW", Quantity: 9, Reason: "spring"})
	command(1, stock.List{ProductID: "other", Name: "O", Price: 1, Currency: "KRW", Quantity: 99})
	for n := 2; n < 50; n++ {
		apply(t, pool, wants(ids[n], "u", map[bool]string{true: "P", false: "other"}[n%10 == 5]))
	}
	apply(t, pool, undone(ids[25]))
	command(50, stock.Restock{ProductID: "P", Quantity: 3, Reason: "van"})
	command(51, stock.Recount{ProductID: "P", By: 0})
	want := []string{
		ids[51] + " RECOUNT 0", ids[50] + " RESTOCK 3", ids[45] + " TAKEN -1", ids[35] + " TAKEN -1", ids[25] + " RETURNED 1",
		ids[25] + " TAKEN -1", ids[15] + " TAKEN -1", ids[5] + " TAKEN -1", ids[0] + " LISTED 9",
	}
	for _, size := range []struct{ limit, orders int }{{100, 100}, {1, 100}, {2, 7}, {3, 1}, {100, 5}} {
		var got []string
		var sum int64
		after := store.Cursor{}
		for range 100 {
			l, err := store.Reader{Pool: pool}.Ledger(t.Context(), "P", after, size.limit, size.orders)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range l.Entries {
				got, sum = append(got, fmt.Sprintf("%s %s %d", e.ID, e.Kind, e.Amount)), sum+e.Amount
				after = store.Cursor{ID: e.ID, Kind: e.Kind}
			}
			if len(l.Entries) < size.limit {
				if l.Scanned == "" {
					break
				}
				after = store.Cursor{ID: l.Scanned, Kind: "~"}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v: %s", size, diff)
		}
		if p, err := (store.Reader{Pool: pool}).Product(t.Context(), "P"); err != nil || p.Quantity != sum {
			t.Errorf("%d left, the ledger adds up to %d: %v", p.Quantity, sum, err)
		}
	}
}
