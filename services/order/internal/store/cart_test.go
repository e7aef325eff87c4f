package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/order/internal/store"
)

// sell puts products on the price list that cost nothing, so that any cart of them is worth the same.
func sell(t *testing.T, pool *pgxpool.Pool, n int) (ids []string) {
	t.Helper()
	w := &order.World{}
	for i := range n {
		id := fmt.Sprintf("free-%02d", i)
		w.Prices.Put(id, order.Price{ProductID: id, Name: id, Currency: "KRW", OnSale: true})
		ids = append(ids, id)
	}
	save(t, pool, w)
	return ids
}

func save(t *testing.T, pool *pgxpool.Pool, w *order.World) {
	t.Helper()
	rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
}

func putIn(user, product string) flow.Input {
	msg := order.PutInCart{UserID: user, ProductID: product, Quantity: 1}
	return flow.Input{Kind: flow.KindCommand, Subject: msg.Subject(), Msg: msg}
}

func takeOut(user, product string) flow.Input {
	msg := order.TakeFromCart{UserID: user, ProductID: product}
	return flow.Input{Kind: flow.KindCommand, Subject: msg.Subject(), Msg: msg}
}

// all orders whatever is in m's cart, for nothing.
func all(body string) flow.Input {
	in := place(body)
	cmd := in.Msg.(order.Place)
	cmd.Items, cmd.PaymentAmount = nil, 0
	in.Msg = order.PlaceCart{Place: cmd}
	return in
}

// inCart reads the ids of the products in a member's cart, in their order.
func inCart(t *testing.T, pool *pgxpool.Pool, user string) (ids []string) {
	t.Helper()
	w, err := store.Reader{Pool: pool}.Cart(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	cart, _ := w.Carts.Get(user)
	for _, line := range cart.Lines {
		ids = append(ids, line.ProductID)
		if _, known := w.Prices.Get(line.ProductID); !known {
			t.Errorf("no price of %s", line.ProductID)
		}
	}
	return ids
}

// A cart is kept in the order in which it was filled, one for each member, and goes with its member.
func TestCarts(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool)
	ids := sell(t, pool, 3)
	apply(t, pool, putIn("m", ids[2]), putIn("n", ids[0]), putIn("m", ids[0]))
	apply(t, pool, putIn("m", ids[1]), putIn("m", ids[2]), takeOut("m", ids[0]))
	if diff := cmp.Diff([]string{ids[2], ids[1]}, inCart(t, pool, "m")); diff != "" {
		t.Error(diff)
	}
	apply(t, pool, takeOut("m", ids[1]), takeOut("m", ids[2]), takeOut("nobody", ids[0]))
	if got := inCart(t, pool, "m"); len(got) > 0 {
		t.Errorf("%v after all was taken out", got)
	}
	apply(t, pool, putIn("m", ids[0]))
	apply(t, pool, flow.Input{Kind: flow.KindEvent, Subject: "m", Msg: flow.Erased[*memberv1.MemberChanged]{SubjectID: "m"}})
	var rows []string
	if err := pool.QueryRow(t.Context(), `SELECT array_agg(user_id ORDER BY user_id) FROM cart`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"n", "nobody"}, rows); diff != "" {
		t.Errorf("carts after m was erased: %s", diff)
	}
}

// Products are put in one after the other while other replicas order the cart again and again. Each product is in one
// order, or still in the cart: none is lost, none is ordered twice.
func TestOrderCartAgainstPut(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool)
	ids := sell(t, pool, 60)
	put := make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		defer close(put)
		for _, id := range ids {
			if reply := apply(t, pool, putIn("m", id))[0]; reply.Refusal != nil {
				return fmt.Errorf("put %s in: %w", id, reply.Refusal)
			}
		}
		return nil
	})
	for replica := range 3 {
		g.Go(func() error {
			for n := 0; ; n++ {
				select {
				case <-put:
					return nil
				default:
				}
				reply := apply(t, pool, all(fmt.Sprint(replica, n)))[0]
				if r := reply.Refusal; r != nil && r.Code != "cart_empty" {
					return fmt.Errorf("order the cart: %w", r)
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	found := inCart(t, pool, "m")
	var ordered int
	for _, raw := range orderedItems(t, pool) {
		var items []order.Item
		if err := json.Unmarshal(raw, &items); err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			found, ordered = append(found, item.ProductID), ordered+int(item.Quantity)
		}
	}
	slices.Sort(found)
	if diff := cmp.Diff(ids, found); diff != "" {
		t.Errorf("in orders and cart: %s", diff)
	}
	t.Logf("%d pieces were ordered", ordered)
	if ordered == 0 {
		t.Error("no order was placed meanwhile")
	}
}

func orderedItems(t *testing.T, pool *pgxpool.Pool) (items [][]byte) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT coalesce(array_agg(terms->'items'), '{}') FROM orders`).Scan(&items); err != nil {
		t.Fatal(err)
	}
	return items
}

// Two clicks in two replicas are one order, and the second one is answered with it.
func TestDoubleClickOnCart(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	seed(t, pool)
	ids := sell(t, pool, 1)
	apply(t, pool, putIn("m", ids[0]))
	answers := make([]string, 6)
	var g errgroup.Group
	for replica := range answers {
		g.Go(func() error {
			reply := apply(t, pool, all("same"))[0]
			if reply.Refusal != nil {
				return reply.Refusal
			}
			answers[replica] = reply.Body.(order.View).OrderID
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(slices.Compact(answers)) != 1 {
		t.Errorf("answered with %v", answers)
	}
	if n := len(orderedItems(t, pool)); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// Placing an order by its items asks the database for nothing that carts are about.
func TestCartsCostOrdersNothing(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	seed(t, pool)
	ids := sell(t, pool, 2)
	apply(t, pool, putIn("m", ids[0]))
	plain := asked.During(func() { apply(t, pool, place("a"), place("b")) })
	cart := asked.During(func() { apply(t, pool, all("c")) })
	t.Logf("%d statements for orders, %d for an order of a cart", plain, cart)
	if plain != 6 || cart != plain+3 {
		t.Error("an order is 6 statements; an order of a cart makes, locks and saves the cart besides")
	}
}
