// Package store is order's SQL: whole batches in and out for the engine (store.go, order.go, price.go,
// recent.go, cart.go), members' copies (member.go), and single reads for the API (read.go).
package store

import (
	"context"
	"embed"
	"maps"
	"slices"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/order"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings order's own tables up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, migrations)
}

// Store loads and saves the World of a batch.
type Store struct{}

// wanted are the keys of the rows that a batch needs.
type wanted struct{ orders, prices, recent, members, carts set }

type set map[string]struct{}

func (s set) add(key string)   { s[key] = struct{}{} }
func (s set) sorted() []string { return slices.Sorted(maps.Keys(s)) }

func keysOf(in []flow.Input) wanted {
	want := wanted{orders: set{}, prices: set{}, recent: set{}, members: set{}, carts: set{}}
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case order.Place:
			want.place(msg)
		case order.PlaceCart:
			want.place(msg.Place)
			want.carts.add(msg.UserID)
		case order.PutInCart:
			want.carts.add(msg.UserID)
			want.members.add(msg.UserID)
			want.prices.add(msg.ProductID)
		case order.TakeFromCart:
			want.carts.add(msg.UserID)
		case *stockv1.ProductListed, *stockv1.ProductPriceChanged:
			want.prices.add(i.Subject)
		case *memberv1.MemberChanged:
			want.members.add(i.Subject)
		case flow.Erased[*memberv1.MemberChanged]:
			want.members.add(i.Subject)
			want.carts.add(i.Subject)
		case order.ChangeAddress:
			want.orders.add(msg.OrderID)
			want.members.add(msg.UserID)
		default:
			want.orders.add(i.Subject)
		}
	}
	return want
}

func (want wanted) place(c order.Place) {
	want.members.add(c.UserID)
	for _, item := range c.Items {
		want.prices.add(item.ProductID)
	}
	if c.Rules.DoubleClickWindow > 0 {
		want.recent.add(order.RecentKey(c.UserID, c.BodyHash))
	}
}

// Load brings what the batch needs: first the carts and the guard's rows, locked, because they name products and further
// orders; then members and prices, which are read as they stand; then the orders. It takes one batch, and a second one
// where carts hold products or the guard's rows name orders.
//
// Orders are not locked: whoever decides about an order holds its subject lock, taken before this and
// kept until COMMIT, and a statement that begins after the lock sees what its last holder committed.
// The order that a guard's row names is another subject's. It is only looked at, and as committed: if
// it is being cancelled in this moment, the double click came before the cancel.
func (Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*order.World, error) {
	w, want := &order.World{}, keysOf(in)
	first, second := &pg.Batch{}, &pg.Batch{}
	lockCarts(first, w, want.carts.sorted())
	lockRecent(first, w, want.recent.sorted())
	loadMembers(first, w, want.members.sorted())
	loadPrices(first, w, want.prices.sorted())
	loadOrders(first, w, want.orders.sorted())
	if err := tx.Send(ctx, first); err != nil {
		return nil, err
	}
	if w.Recent.Len() != len(want.recent) || w.Carts.Len() != len(want.carts) {
		return nil, errForgotten
	}
	inCarts, named := set{}, set{}
	productsOf(w, inCarts)
	for id := range want.prices {
		delete(inCarts, id)
	}
	for _, recent := range w.Recent.All() {
		if _, loaded := want.orders[recent.OrderID]; recent.OrderID != "" && !loaded {
			named.add(recent.OrderID)
		}
	}
	loadPrices(second, w, inCarts.sorted())
	loadOrders(second, w, named.sorted())
	return w, tx.Send(ctx, second)
}

// Save writes what changed, table by table in the order in which Load went.
func (Store) Save(b *pg.Batch, w *order.World) error {
	if err := saveCarts(b, w.Carts.Changed()); err != nil {
		return err
	}
	saveRecent(b, w.Recent.Changed())
	saveMembers(b, w.Members.Changed())
	savePrices(b, w.Prices.Changed())
	saveOrders(b, w.Orders.Changed())
	saveAddresses(b, w.Addresses.Changed())
	return nil
}
