package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/member"
	"github.com/quadrille-io/quadrille/services/member/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// inputs are commands as the engine hands them on.
func inputs(commands ...flow.Command) []flow.Input {
	in := make([]flow.Input, len(commands))
	for i, c := range commands {
		in[i] = flow.Input{Kind: flow.KindCommand, Subject: c.Subject(), Msg: c, Meta: flow.Meta{Now: noon, IDs: func(i int) string { return fmt.Sprint(i) }}}
	}
	return in
}

// within decides a batch in a transaction. between runs when it is loaded.
func within(ctx context.Context, tx *pg.Tx, between func(), commands ...flow.Command) (replies []int, err error) {
	in := inputs(commands...)
	w, err := store.Store{}.Load(ctx, tx, in)
	if err != nil {
		return nil, err
	}
	between()
	for _, i := range in {
		out, err := member.Topology.Decide(w, i)
		if err != nil {
			return nil, err
		}
		replies = append(replies, out.Reply.Status)
	}
	return replies, store.Store{}.Save(tx.Last(), w)
}

// transact runs a batch as the engine does.
func transact(ctx context.Context, pool *pgxpool.Pool, between func(), commands ...flow.Command) (replies []int, err error) {
	err = pg.Transact(ctx, pool, func(tx *pg.Tx) error {
		replies, err = within(ctx, tx, between, commands...)
		return err
	})
	return replies, err
}

// save writes a world as it is.
func save(ctx context.Context, pool *pgxpool.Pool, w *member.World) error {
	return pg.Transact(ctx, pool, func(tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
}

// load reads the members of these ids.
func load(ctx context.Context, pool *pgxpool.Pool, ids ...string) (w *member.World, err error) {
	var commands []flow.Command
	for _, id := range ids {
		commands = append(commands, member.Erase{MemberID: id})
	}
	err = pg.Transact(ctx, pool, func(tx *pg.Tx) error {
		w, err = store.Store{}.Load(ctx, tx, inputs(commands...))
		return err
	})
	return w, err
}

func batch(t *testing.T, pool *pgxpool.Pool, commands ...flow.Command) []int {
	t.Helper()
	replies, err := transact(t.Context(), pool, func() {}, commands...)
	if err != nil {
		t.Fatal(err)
	}
	return replies
}

func register(id, email string) member.Register {
	return member.Register{MemberID: id, Email: email, Name: id, Language: "en", PasswordHash: "$" + id}
}

// Whoever wants an e-mail address waits for the one who may be getting it, and then finds it taken: also when neither
// of the two has a row yet, and when the wait was for one that was given up.
func TestOneEmailAtATime(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	loaded, decided := make(chan struct{}), make(chan struct{})
	var first, second []int
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() {
		first, errs[0] = transact(t.Context(), pool, func() { close(loaded); <-decided }, register("a", "kim@shop.example"))
	})
	wg.Go(func() {
		<-loaded
		second, errs[1] = transact(t.Context(), pool, func() {}, register("b", "KIM@shop.example"), register("c", "c@shop.example"))
	})
	<-loaded
	testkit.Eventually(t, 20*time.Second, func() error {
		var waiting int
		err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&waiting)
		if err == nil && waiting == 0 {
			err = errors.New("the second does not wait")
		}
		return err
	})
	close(decided)
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first, []int{201}) || !slices.Equal(second, []int{409, 201}) {
		t.Errorf("answered %v and %v", first, second)
	}
}

// One of a batch takes the address that another gives up; and swapping is no more than that.
func TestAddressesChangeHandsWithinABatch(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	batch(t, pool, register("a", "a@shop.example"), register("b", "b@shop.example"))
	to := func(id, email string) member.Change { return member.Change{MemberID: id, Email: &email} }
	got := batch(t, pool, to("a", "x@shop.example"), to("b", "a@shop.example"), to("a", "b@shop.example"))
	if !slices.Equal(got, []int{200, 200, 200}) {
		t.Fatalf("answered %v", got)
	}
	if x, known, err := store.FindByEmail(t.Context(), pool, "A@shop.example"); err != nil || !known || x.MemberID != "b" {
		t.Errorf("found %v, %v", x, err)
	}
}

// The constraint stands behind the lock.
func TestTheDatabaseKeepsTheRules(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	put := func(x ...member.Member) error {
		w := &member.World{}
		for _, x := range x {
			x.CreatedAt, x.UpdatedAt = noon, noon
			w.Members.Put(x.MemberID, x)
		}
		return save(t.Context(), pool, w)
	}
	two := []member.Address{{AddressID: "1", Default: true}, {AddressID: "2", Default: true}}
	for rule, members := range map[string][]member.Member{
		"member_email_once":   {{MemberID: "a", Email: "x@shop.example"}, {MemberID: "b", Email: "X@shop.example"}},
		"erased_means_empty":  {{MemberID: "a", Name: "Kim", Erased: true}},
		"address_one_default": {{MemberID: "a", Addresses: two}},
		"address_pkey":        {{MemberID: "a", Addresses: two[:1]}, {MemberID: "b", Addresses: two[:1]}},
	} {
		if err := put(members...); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if err := put(member.Member{MemberID: "a"}, member.Member{MemberID: "b"}); err != nil {
		t.Errorf("two without an address: %v", err)
	}
}

func TestErasedLeavesNothing(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	const canary = "zephyrine-canary"
	a := member.Address{AddressID: "home", Name: canary, Phone: canary, Line1: canary, Line2: canary, City: canary, PostalCode: canary, Country: "KR"}
	r := member.Register{MemberID: "a", Email: canary + "@shop.example", Name: canary, Phone: canary, Language: canary, PasswordHash: canary}
	if got := batch(t, pool, r, member.AddAddress{MemberID: "a", Address: a, Limit: 1}, member.Erase{MemberID: "a"}); !slices.Equal(got, []int{201, 201, 204}) {
		t.Fatalf("in one batch: %v", got)
	}
	r.MemberID = "b"
	batch(t, pool, r, member.AddAddress{MemberID: "b", Address: a, Limit: 1})
	batch(t, pool, member.Erase{MemberID: "b"})
	for _, table := range []string{"member", "address"} {
		var n int
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM `+table+` x WHERE x::text LIKE '%canary%'`).Scan(&n); err != nil || n > 0 {
			t.Errorf("%d rows of %s are left: %v", n, table, err)
		}
	}
	if _, known, err := store.Find(t.Context(), pool, "b"); err != nil || known {
		t.Errorf("found one that is erased: %v", err)
	}
	if known, err := store.Known(t.Context(), pool, []string{"a", "b", "c"}); err != nil || !known["a"] || !known["b"] || known["c"] {
		t.Errorf("known: %v, %v", known, err)
	}
	if got := batch(t, pool, register("c", canary+"@shop.example")); got[0] != 201 {
		t.Errorf("the address is not free again: %v", got)
	}
}

func drawMember(r *rapid.T, id string) member.Member {
	text := rapid.StringMatching(`[ -~가-힣"\\{},]{0,12}`)
	moment := rapid.Custom(func(r *rapid.T) time.Time { return time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(r, "µs")).UTC() })
	x := member.Member{MemberID: id, CreatedAt: moment.Draw(r, "created"), UpdatedAt: moment.Draw(r, "updated"), Erased: rapid.Bool().Draw(r, "erased")}
	if x.Erased {
		return x
	}
	x.Name, x.Phone, x.Language, x.PasswordHash = text.Draw(r, "name"), text.Draw(r, "phone"), text.Draw(r, "language"), text.Draw(r, "hash")
	if rapid.Bool().Draw(r, "has an e-mail address") {
		x.Email = id + "@Shop.example"
	}
	n := rapid.IntRange(0, 4).Draw(r, "addresses")
	byDefault := rapid.IntRange(-1, n).Draw(r, "default")
	for i := range n {
		x.Addresses = append(x.Addresses, member.Address{
			AddressID: fmt.Sprint(id, "/", 9-i), Name: text.Draw(r, "name"), Phone: text.Draw(r, "phone"), Line1: text.Draw(r, "line 1"),
			Line2: text.Draw(r, "line 2"), City: text.Draw(r, "city"), PostalCode: text.Draw(r, "postal code"),
			Country: text.Draw(r, "country"), Default: i == byDefault,
		})
	}
	return x
}

// What Save writes, Load brings back equal: new members, and members that were there and changed.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		ids := []string{fmt.Sprint("a", run), fmt.Sprint("b", run), fmt.Sprint("c", run)}
		want := &member.World{}
		for range 2 {
			for _, id := range ids {
				x := drawMember(r, id)
				if old, known := want.Members.Get(id); known {
					x.CreatedAt = old.CreatedAt
				}
				want.Members.Put(id, x)
			}
			if err := save(context.Background(), pool, want); err != nil {
				r.Fatal(err)
			}
			got, err := load(context.Background(), pool, ids...)
			if err != nil {
				r.Fatal(err)
			}
			for id, x := range want.Members.All() {
				if y, _ := got.Members.Get(id); !cmp.Equal(x, y, cmpopts.EquateEmpty()) {
					r.Fatalf("saved and loaded differ (-saved +loaded):\n%s", cmp.Diff(x, y, cmpopts.EquateEmpty()))
				}
			}
			want = got
		}
	})
}

// A batch of hundreds takes as many statements as one of one.
func TestStatements(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	commands := func(n int, prefix string) (all []flow.Command) {
		for i := range n {
			id := fmt.Sprint(prefix, i)
			all = append(all, register(id, id+"@shop.example"), member.AddAddress{MemberID: id, Address: member.Address{AddressID: id}, Limit: 1})
		}
		return all
	}
	one := asked.During(func() { batch(t, pool, commands(1, "one")...) })
	many := asked.During(func() { batch(t, pool, commands(200, "many")...) })
	if one != many || one == 0 {
		t.Errorf("one takes %d statements, two hundred %d", one, many)
	}
}
