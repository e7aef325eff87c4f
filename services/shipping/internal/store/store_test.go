package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func save(ctx context.Context, pool *pgxpool.Pool, w *shipping.World) error {
	return pg.Transact(ctx, pool, func(tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
}

func load(ctx context.Context, pool *pgxpool.Pool, in ...flow.Input) (w *shipping.World, err error) {
	err = pg.Transact(ctx, pool, func(tx *pg.Tx) error {
		w, err = store.Store{}.Load(ctx, tx, in)
		return err
	})
	return w, err
}

func completed(order, address string) flow.Input {
	return flow.Input{
		Kind: flow.KindEvent, Subject: order, Msg: &orderv1.OrderCompleted{OrderId: order, ShippingAddressId: address},
	}
}

func asked(order string) flow.Input {
	return flow.Input{Kind: flow.KindAnswer, Subject: order, Msg: shipping.BookingAsked{OrderID: order}}
}

// text is what any string column must take.
var text = rapid.StringN(0, 40, -1).Filter(func(s string) bool { return !strings.Contains(s, "\x00") })

func moment() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(0, 4_000_000_000_000_000), func(us int64) time.Time { return time.UnixMicro(us).UTC() })
}

func anyShipment(order, user string) *rapid.Generator[shipping.Shipment] {
	return rapid.Custom(func(t *rapid.T) shipping.Shipment {
		s := shipping.Shipment{
			OrderID: order, UserID: user, AddressID: text.Draw(t, "address"),
			State: rapid.SampledFrom([]shipping.State{
				shipping.Booking, shipping.Asking, shipping.Voiding, shipping.Prepared, shipping.Stopping, shipping.Cancelled, shipping.Failed,
			}).Draw(t, "state"),
			Carrier: text.Draw(t, "carrier"), BookingID: text.Draw(t, "booking"), TrackingNumber: text.Draw(t, "number"),
			FailReason: text.Draw(t, "reason"), CancelAsked: rapid.Bool().Draw(t, "asked"), CancelRefused: rapid.Bool().Draw(t, "refused"),
			CompletedEvent: text.Draw(t, "completed"), CancelEvent: text.Draw(t, "cancel"), PreparedEvent: text.Draw(t, "prepared"),
			DispatchEvent: text.Draw(t, "dispatch"), CreatedAt: moment().Draw(t, "created"), UpdatedAt: moment().Draw(t, "updated"),
		}
		if rapid.Bool().Draw(t, "was prepared") {
			s.PreparedAt, s.Tracking = moment().Draw(t, "prepared at"), shipping.TrackBooked
		}
		if rapid.Bool().Draw(t, "left") {
			s.State, s.DispatchedAt, s.Tracking = shipping.Dispatched, moment().Draw(t, "dispatched at"), shipping.TrackLost
			if rapid.Bool().Draw(t, "arrived") {
				s.State, s.DeliveredAt, s.Tracking = shipping.Delivered, moment().Draw(t, "delivered at"), shipping.TrackDelivered
			}
		}
		return s
	})
}

func anyAddress(id string) *rapid.Generator[*memberv1.Address] {
	return rapid.Custom(func(t *rapid.T) *memberv1.Address {
		return &memberv1.Address{
			AddressId: id, Name: text.Draw(t, "name"), Phone: text.Draw(t, "phone"), Line1: text.Draw(t, "line1"),
			Line2: text.Draw(t, "line2"), City: text.Draw(t, "city"), PostalCode: text.Draw(t, "postal code"), Country: text.Draw(t, "country"),
		}
	})
}

func addressOf(user string, a *memberv1.Address) shipping.Address {
	return shipping.Address{
		AddressID: a.GetAddressId(), UserID: user, Name: a.GetName(), Phone: a.GetPhone(), Line1: a.GetLine1(),
		Line2: a.GetLine2(), City: a.GetCity(), PostalCode: a.GetPostalCode(), Country: a.GetCountry(),
	}
}

var worlds = cmp.Options{
	cmp.Exporter(func(reflect.Type) bool { return true }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".changed" || p.Last().String() == ".fresh" }, cmp.Ignore()),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }),
}

// What Save wrote, Load gives back, new rows and changed ones alike.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		var inputs []flow.Input
		first, second, want := &shipping.World{}, &shipping.World{}, &shipping.World{}
		user := fmt.Sprintf("u-%d", run)
		before, after := &memberv1.MemberChanged{MemberId: user}, &memberv1.MemberChanged{MemberId: user}
		for i := range rapid.IntRange(1, 5).Draw(r, "orders") {
			order, address := fmt.Sprintf("o-%d-%d", run, i), fmt.Sprintf("a-%d-%d", run, i)
			s := anyShipment(order, user).Draw(r, "shipment")
			first.Shipments.Put(order, s)
			a := anyAddress(address).Draw(r, "address")
			before.Addresses = append(before.Addresses, a)
			inputs = append(inputs, completed(order, address))
			if rapid.Bool().Draw(r, "again") {
				second.Shipments.Loaded(order, s)
				created := s.CreatedAt
				s = anyShipment(order, user).Draw(r, "next")
				s.CreatedAt = created // what never changes
				second.Shipments.Put(order, s)
				a = anyAddress(address).Draw(r, "next address")
			}
			after.Addresses = append(after.Addresses, a)
			want.Shipments.Loaded(order, s)
			want.Addresses.Loaded(address, addressOf(user, a))
		}
		for i, world := range []*shipping.World{first, second} {
			book := shipping.Book{UserID: before.GetMemberId()}
			for _, a := range []*memberv1.MemberChanged{before, after}[i].GetAddresses() {
				book.Addresses = append(book.Addresses, addressOf(book.UserID, a))
			}
			world.Books.Put(book.UserID, book)
			if err := save(t.Context(), pool, world); err != nil {
				r.Fatal(err)
			}
		}
		got, err := load(t.Context(), pool, inputs...)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(want, got, worlds); diff != "" {
			r.Fatalf("-saved +loaded:\n%s", diff)
		}
	})
}

// An answer needs no address: personal data is not loaded where nothing is decided on it.
func TestAddressIsLoadedForOrderCompletedOnly(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	world := &shipping.World{}
	world.Shipments.Put("o", shipping.Shipment{OrderID: "o", AddressID: "a"})
	world.Books.Put("u", shipping.Book{UserID: "u", Addresses: []shipping.Address{{AddressID: "a", UserID: "u"}}})
	if err := save(t.Context(), pool, world); err != nil {
		t.Fatal(err)
	}
	got, err := load(t.Context(), pool, asked("o"))
	if err != nil || got.Shipments.Len() != 1 || got.Addresses.Len() != 0 {
		t.Errorf("%d shipments, %d addresses, %v", got.Shipments.Len(), got.Addresses.Len(), err)
	}
}

// A batch of 500 orders costs a handful of statements: the engine leaves 8 of its 20 for Load and Save.
func TestBatchCostsFewStatements(t *testing.T) {
	t.Parallel()
	pool, statements := rig.CountedDatabase(t, store.Migrate)
	var inputs []flow.Input
	world := &shipping.World{}
	for i := range 500 {
		order := fmt.Sprintf("order-%03d", i)
		inputs = append(inputs, completed(order, "address-"+order))
		world.Shipments.Put(order, shipping.Shipment{OrderID: order, State: shipping.Booking})
	}
	n := statements.During(func() {
		rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
			if _, err := (store.Store{}).Load(ctx, tx, inputs); err != nil {
				return err
			}
			return store.Store{}.Save(tx.Last(), world)
		})
	})
	t.Logf("Load and Save of 500 orders: %d statements", n)
	if n > 8 {
		t.Errorf("%d statements, want at most 8", n)
	}
	var err error
	if n := statements.During(func() { err = save(t.Context(), pool, &shipping.World{}) }); n != 0 || err != nil {
		t.Errorf("saving nothing: %d statements, %v", n, err)
	}
}

func TestConstraintsStateTheRules(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	now := time.Unix(0, 0)
	for rule, s := range map[string]shipping.Shipment{
		"dispatched_never_cancelled": {OrderID: "a", State: shipping.Cancelled, CreatedAt: now, UpdatedAt: now, DispatchedAt: now},
		"delivered_after_dispatch":   {OrderID: "b", State: shipping.Delivered, CreatedAt: now, UpdatedAt: now, DeliveredAt: now},
	} {
		world := &shipping.World{}
		world.Shipments.Put(s.OrderID, s)
		var violated *pgconn.PgError
		if err := save(t.Context(), pool, world); !errors.As(err, &violated) || violated.ConstraintName != rule {
			t.Errorf("%s: got %v", rule, err)
		}
	}
}

func member(id string, addresses ...string) *memberv1.MemberChanged {
	m := &memberv1.MemberChanged{MemberId: id}
	for _, a := range addresses {
		m.Addresses = append(m.Addresses, &memberv1.Address{
			AddressId: a, Name: "N " + a, Phone: "P", Line1: "L1", Line2: "L2", City: "C", PostalCode: "12345", Country: "KR",
		})
	}
	return m
}

// A member's addresses are what the newest event says, whole; and gone for good once the member is erased.
func TestBooks(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	ctx := t.Context()
	has := func(id, user string) {
		t.Helper()
		addresses, err := store.Addresses(ctx, pool, map[string]bool{id: true})
		a, found := addresses[id]
		if err != nil || found != (user != "") || a.UserID != user {
			t.Errorf("address %s: owner %q, found %t, %v; want owner %q", id, a.UserID, found, err, user)
		}
	}
	tell := func(messages ...any) {
		t.Helper()
		var in []flow.Input
		for _, m := range messages {
			subject := ""
			switch m := m.(type) {
			case *memberv1.MemberChanged:
				subject = m.GetMemberId()
			case flow.Command:
				subject = m.Subject()
			}
			in = append(in, flow.Input{Kind: flow.KindEvent, Subject: subject, Msg: m, Meta: flow.Meta{Now: time.Now()}})
		}
		rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
			w, err := store.Store{}.Load(ctx, tx, in)
			if err != nil {
				return err
			}
			for _, i := range in {
				if _, err := shipping.Topology.Decide(w, i); err != nil {
					return err
				}
			}
			return store.Store{}.Save(tx.Last(), w)
		})
	}
	late := member("ann", "z")
	tell(member("ann", "b", "a"), member("bob", "c"))
	late.ChangedAt = timestamppb.New(time.Unix(-1, 0))
	tell(member("ann", "b", "a"), late, member("bob", "c"))
	tell(member("ann", "b", "d"), member("cid", "c")) // whole: a is gone; bob's is not handed over
	has("a", "")
	has("b", "ann")
	has("c", "bob")
	has("d", "ann")
	has("z", "")
	want := shipping.Address{
		AddressID: "d", UserID: "ann", Name: "N d", Phone: "P", Line1: "L1", Line2: "L2", City: "C", PostalCode: "12345", Country: "KR",
	}
	if got, err := store.Addresses(ctx, pool, map[string]bool{"b": true, "d": true, "nobody": true}); err != nil || len(got) != 2 || got["d"] != want {
		t.Errorf("got %+v, %v", got, err)
	}
	tell(flow.Erased[*memberv1.MemberChanged]{SubjectID: "ann"}, member("ann", "b"))
	tell(member("ann", "b"))
	has("b", "")
	has("d", "")
	has("c", "bob")
}

// Somebody else's shipment is not there.
func TestOwnShipmentsOnly(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	world := &shipping.World{}
	world.Shipments.Put("o", shipping.Shipment{OrderID: "o", UserID: "ann", CreatedAt: time.Unix(1, 0).UTC(), UpdatedAt: time.Unix(2, 0).UTC()})
	if err := save(t.Context(), pool, world); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]bool{"ann": true, "bob": false, "": false} {
		if _, found, err := store.ShipmentOf(t.Context(), pool, "o", user); err != nil || found != want {
			t.Errorf("%q: found %t, %v", user, found, err)
		}
	}
	if s, found, err := store.Shipment(t.Context(), pool, "o"); err != nil || !found || s.UserID != "ann" {
		t.Errorf("%+v %t %v", s, found, err)
	}
}
