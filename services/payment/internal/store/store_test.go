package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func save(ctx context.Context, pool *pgxpool.Pool, w *payment.World) error {
	return pg.Transact(ctx, pool, func(tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
}

func load(ctx context.Context, pool *pgxpool.Pool, in ...flow.Input) (w *payment.World, err error) {
	err = pg.Transact(ctx, pool, func(tx *pg.Tx) error {
		w, err = store.Store{}.Load(ctx, tx, in)
		return err
	})
	return w, err
}

// answer is an input that names an order and no member.
func answer(order string) flow.Input {
	return flow.Input{Kind: flow.KindAnswer, Subject: order, Msg: payment.Charged{OrderID: order}}
}

// cancelled is an input that names an order and its member.
func cancelled(order, user string) flow.Input {
	return flow.Input{Kind: flow.KindEvent, Subject: order, Msg: &orderv1.OrderCancelled{OrderId: order, UserId: user}}
}

func grant(id, user string) flow.Input {
	return flow.Input{Kind: flow.KindCommand, Subject: user, Msg: payment.GrantPoints{GrantID: id, UserID: user, Amount: 1}}
}

// text is what any string column must take.
var text = rapid.StringN(0, 40, -1).Filter(func(s string) bool { return !strings.Contains(s, "\x00") })

func moment() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(0, 4_000_000_000_000_000), func(us int64) time.Time { return time.UnixMicro(us).UTC() })
}

func anyAccount() *rapid.Generator[payment.Account] {
	return rapid.OneOf(rapid.Just(payment.Account{}), rapid.Custom(func(t *rapid.T) payment.Account {
		return payment.Account{Bank: text.Draw(t, "bank"), Number: text.Draw(t, "number"), Holder: text.Draw(t, "holder"), Until: moment().Draw(t, "until")}
	}))
}

func anyPayment(order string) *rapid.Generator[payment.Payment] {
	return rapid.Custom(func(t *rapid.T) payment.Payment {
		return payment.Payment{
			OrderID: order, PaymentID: text.Draw(t, "payment"), UserID: rapid.SampledFrom([]string{"a", "B", "ö", "c"}).Draw(t, "user"),
			State: rapid.SampledFrom([]payment.State{
				payment.Charging, payment.Asking, payment.Voiding, payment.Closing, payment.Awaiting, payment.Completed, payment.Failed, payment.Cancelled,
			}).Draw(t, "state"),
			Refund: rapid.SampledFrom([]payment.Refund{
				payment.NoRefund, payment.RefundPending, payment.RefundAsking, payment.RefundDone, payment.RefundRefused,
			}).Draw(t, "refund"),
			Amount: rapid.Int64Min(0).Draw(t, "amount"), Points: rapid.Int64Min(0).Draw(t, "points"), Discount: rapid.Int64().Draw(t, "discount"),
			CouponCounted: rapid.Bool().Draw(t, "counted"), HasCoupons: rapid.Bool().Draw(t, "coupons"),
			Currency: text.Draw(t, "currency"), PaymentType: text.Draw(t, "type"), ChargeID: text.Draw(t, "charge"),
			FailReason: text.Draw(t, "reason"), OpenedBy: text.Draw(t, "opened"), CancelledBy: text.Draw(t, "cancelledBy"),
			Token: text.Draw(t, "token"), Account: anyAccount().Draw(t, "account"),
			CancelEvent: text.Draw(t, "cancelEvent"), CreatedAt: moment().Draw(t, "created"), UpdatedAt: moment().Draw(t, "updated"),
		}
	})
}

// What Save wrote, Load gives back, new rows and changed ones alike.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		user := fmt.Sprintf("user-%d", run)
		var inputs []flow.Input
		first, second := &payment.World{}, &payment.World{}
		for i := range rapid.IntRange(1, 5).Draw(r, "orders") {
			order := fmt.Sprintf("order-%d-%d", run, i)
			inputs = append(inputs, answer(order))
			p := anyPayment(order).Draw(r, "payment")
			p.UserID = user
			first.Payments.Put(order, p)
			if rapid.Bool().Draw(r, "again") {
				next := anyPayment(order).Draw(r, "next")
				next.UserID, next.CreatedAt = p.UserID, p.CreatedAt // what never changes
				second.Payments.Loaded(order, p)
				second.Payments.Put(order, next)
			}
		}
		grantID := "grant-" + user
		inputs = append(inputs, grant(grantID, user))
		first.Points.Put(user, payment.Points{UserID: user, Balance: rapid.Int64Min(0).Draw(r, "balance")})
		first.Ledger.Put(payment.GrantKey(grantID), payment.Entry{
			UserID: user, Kind: payment.EntryGranted, GrantID: grantID, Amount: rapid.Int64Min(1).Draw(r, "granted"), At: moment().Draw(r, "at"),
		})
		changed := payment.Points{UserID: user, Balance: rapid.Int64Min(0).Draw(r, "changed balance")}
		second.Points.Loaded(user, payment.Points{UserID: user})
		second.Points.Put(user, changed)

		want := &payment.World{}
		for _, world := range []*payment.World{first, second} {
			if err := save(t.Context(), pool, world); err != nil {
				r.Fatal(err)
			}
			for id, p := range world.Payments.All() {
				want.Payments.Loaded(id, p)
			}
			for id, e := range world.Ledger.All() {
				want.Ledger.Loaded(id, e)
			}
		}
		want.Points.Loaded(user, changed)
		got, err := load(t.Context(), pool, inputs...)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true }), cmp.FilterPath(func(p cmp.Path) bool {
			return p.Last().String() == ".changed" || p.Last().String() == ".fresh"
		}, cmp.Ignore()), timeEqual); diff != "" {
			r.Fatalf("-saved +loaded:\n%s", diff)
		}
	})
}

// A declined charge gives points back, and its answer names no member: the payment says whose they are.
func TestAnswerBringsTheMembersBalance(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	world := &payment.World{}
	world.Payments.Put("o", payment.Payment{OrderID: "o", UserID: "kim"})
	world.Points.Put("kim", payment.Points{UserID: "kim", Balance: 7})
	if err := save(t.Context(), pool, world); err != nil {
		t.Fatal(err)
	}
	got, err := load(t.Context(), pool, answer("o"))
	if err != nil {
		t.Fatal(err)
	}
	if points, found := got.Points.Get("kim"); !found || points.Balance != 7 {
		t.Errorf("balance %d, found %t", points.Balance, found)
	}
}

var timeEqual = cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() })

// A batch of 500 orders, each of another member, costs a handful of statements: the engine leaves 8 of its
// 20 for Load and Save.
func TestBatchCostsFewStatements(t *testing.T) {
	t.Parallel()
	pool, statements := rig.CountedDatabase(t, store.Migrate)
	var inputs []flow.Input
	world := &payment.World{}
	for i := range 500 {
		order, user := fmt.Sprintf("order-%03d", i), fmt.Sprintf("user-%03d", i)
		inputs = append(inputs, cancelled(order, user))
		if i%10 == 0 {
			inputs = append(inputs, grant("grant-"+user, user))
		}
		world.Payments.Put(order, payment.Payment{OrderID: order, UserID: user, State: payment.Completed, Refund: payment.NoRefund})
		world.Points.Put(user, payment.Points{UserID: user, Balance: 5})
		world.Ledger.Put(payment.LedgerKey(order, payment.EntryTaken), payment.Entry{
			UserID: user, OrderID: order, Kind: payment.EntryTaken, Amount: -5,
		})
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
	if n := statements.During(func() { err = save(t.Context(), pool, &payment.World{}) }); n != 0 || err != nil {
		t.Errorf("saving nothing: %d statements, %v", n, err)
	}
}

func TestConstraintsStateTheRules(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	ctx := t.Context()
	entry := func(order string, kind payment.EntryKind, amount int64) *payment.World {
		w := &payment.World{}
		w.Ledger.Put("k", payment.Entry{UserID: "u", OrderID: order, Kind: kind, Amount: amount, At: time.Unix(0, 0)})
		return w
	}
	granted := func() *payment.World {
		w := &payment.World{}
		w.Ledger.Put("k", payment.Entry{UserID: "u", GrantID: "g", Kind: payment.EntryGranted, Amount: 1, At: time.Unix(0, 0)})
		return w
	}
	points := func(balance int64) *payment.World {
		w := &payment.World{}
		w.Points.Put("u", payment.Points{UserID: "u", Balance: balance})
		return w
	}
	for _, given := range []*payment.World{entry("o", payment.EntryTaken, -5), granted(), points(5)} {
		if err := save(ctx, pool, given); err != nil {
			t.Fatal(err)
		}
	}
	below := &payment.World{}
	below.Points.Loaded("u", payment.Points{UserID: "u", Balance: 5})
	below.Points.Put("u", payment.Points{UserID: "u", Balance: -1})
	for rule, world := range map[string]*payment.World{
		"ledger_once_per_order_and_kind": entry("o", payment.EntryTaken, -5),
		"ledger_once_per_grant":          granted(),
		"ledger_sign":                    entry("o", payment.EntryReturn, -5),
		"ledger_of_order_or_grant":       entry("", payment.EntryReturn, 5),
		"points_never_negative":          below,
		"points_pkey":                    points(9), // made by another replica meanwhile: never overwritten
	} {
		var violated *pgconn.PgError
		if err := save(ctx, pool, world); !errors.As(err, &violated) || violated.ConstraintName != rule {
			t.Errorf("%s: got %v", rule, err)
		}
	}
	for _, sql := range []string{"UPDATE ledger SET amount = 1", "DELETE FROM ledger"} {
		if _, err := pool.Exec(ctx, sql); err == nil {
			t.Errorf("%s: the ledger is append-only", sql)
		}
	}
	changed := &payment.World{}
	changed.Ledger.Loaded("k", payment.Entry{})
	changed.Ledger.Put("k", payment.Entry{UserID: "u", GrantID: "h", Kind: payment.EntryGranted, Amount: 1})
	if err := save(ctx, pool, changed); err == nil {
		t.Error("a changed ledger entry was saved")
	}
}

// Balances are locked in one order, whatever the order of the inputs: batches that share members wait for
// each other and do not deadlock.
func TestLoadLocksBalances(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	ctx := t.Context()
	world := &payment.World{}
	world.Points.Put("u", payment.Points{UserID: "u", Balance: 1})
	if err := save(ctx, pool, world); err != nil {
		t.Fatal(err)
	}
	err := pg.Transact(ctx, pool, func(tx *pg.Tx) error {
		if _, err := (store.Store{}).Load(ctx, tx, []flow.Input{cancelled("o", "u")}); err != nil {
			return err
		}
		var free int
		if err := pool.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM points FOR NO KEY UPDATE SKIP LOCKED) AS free`).Scan(&free); err != nil {
			return err
		}
		if free != 0 {
			t.Error("the balance is not locked")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLedgerPages(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	ctx := t.Context()
	if balance, entries, err := store.Ledger(ctx, pool, "nobody", 0, 10); err != nil || balance != 0 || entries != nil {
		t.Fatalf("no account: %d %v %v", balance, entries, err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for i := range 5 {
		w := &payment.World{}
		order := fmt.Sprintf("order-%d", i)
		w.Ledger.Put(order, payment.Entry{UserID: "u", OrderID: order, Kind: payment.EntryReturn, Amount: int64(i + 1), At: at})
		w.Ledger.Put("other-"+order, payment.Entry{UserID: "v", OrderID: "other-" + order, Kind: payment.EntryReturn, Amount: 100, At: at})
		if i == 0 {
			w.Points.Put("u", payment.Points{UserID: "u", Balance: 15})
		}
		if err := save(ctx, pool, w); err != nil {
			t.Fatal(err)
		}
	}
	var amounts []int64
	for before := int64(0); ; {
		balance, page, err := store.Ledger(ctx, pool, "u", before, 2)
		if err != nil || balance != 15 {
			t.Fatalf("balance %d, %v", balance, err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			amounts, before = append(amounts, e.Amount), e.ID
			if e.OrderID == nil || e.At != at {
				t.Errorf("entry %+v", e)
			}
		}
	}
	if !slices.Equal(amounts, []int64{5, 4, 3, 2, 1}) {
		t.Errorf("amounts %v, want the member's own, newest first", amounts)
	}
}

func TestWhatNeedsAPerson(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	ctx := t.Context()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	world := &payment.World{}
	for i := range 25 {
		id := fmt.Sprintf("order-%02d", i)
		world.Payments.Put(id, payment.Payment{
			OrderID: id, State: payment.Cancelled, Refund: payment.RefundRefused, UpdatedAt: at.Add(time.Duration(i) * time.Second),
		})
	}
	world.Payments.Put("done", payment.Payment{OrderID: "done", State: payment.Cancelled, Refund: payment.RefundDone})
	if err := save(ctx, pool, world); err != nil {
		t.Fatal(err)
	}
	refused, err := store.RefusedRefunds(ctx, pool)
	if err != nil || refused.Count != 25 || len(refused.Orders) != 20 || refused.Orders[0] != "order-00" || refused.Since != at {
		t.Errorf("refused: %+v, %v", refused, err)
	}
	if _, err := pool.Exec(ctx, `
		INSERT INTO call (subject, kind, body, state, due_at, cause, root, traceparent, created_at)
		SELECT 's' || n, kind, '', state, now(), '', '', '', now() - age FROM (VALUES
			(1, 'ask_charge', 0, interval '11 min'), (2, 'ask_charge', 1, '11 min'), (3, 'ask_charge', 0, '9 min'), (4, 'charge', 0, '11 min')
		) AS c(n, kind, state, age)`); err != nil {
		t.Fatal(err)
	}
	unknown, err := store.Unsettled(ctx, pool, []string{payment.CallAskCharge, payment.CallVoid}, 10*time.Minute)
	if err != nil || unknown.Count != 1 || !slices.Equal(unknown.Orders, []string{"s1"}) {
		t.Errorf("unknown: %+v, %v", unknown, err)
	}
}
