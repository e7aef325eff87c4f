package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/mailer/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func input(msg any) flow.Input {
	kind := flow.KindEvent
	switch msg.(type) {
	case mailer.Mailed:
		kind = flow.KindAnswer
	case mailer.Bounce:
		kind = flow.KindCommand
	}
	return flow.Input{Kind: kind, Msg: msg, Meta: flow.Meta{Now: noon, IDs: func(int) string { return uuid.NewString() }}}
}

func batch(t *testing.T, pool *pgxpool.Pool, messages ...any) (calls int) {
	t.Helper()
	inputs := make([]flow.Input, len(messages))
	for i, m := range messages {
		inputs[i] = input(m)
	}
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
		w, err := store.Store{}.Load(ctx, tx, inputs)
		if err != nil {
			return err
		}
		for _, in := range inputs {
			o, err := mailer.Topology.Decide(w, in)
			if err != nil {
				return err
			}
			calls += len(o.Calls)
		}
		return store.Store{}.Save(tx.Last(), w)
	})
	return calls
}

// introduce adds the contact of the one who orders here.
func introduce(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	put(t, pool, &memberv1.MemberChanged{MemberId: "kim", Email: "kim@example.com"})
}

// There is nobody to mail: that is noted, and nothing is asked for.
func TestStrangersAreNotMailed(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	if n := batch(t, pool, facts("order-1")...); n != 0 {
		t.Errorf("%d mails were asked for, to nobody", n)
	}
	var skipped int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM mail WHERE state = 'SKIPPED'`).Scan(&skipped); err != nil || skipped != len(mailer.Kinds()) {
		t.Errorf("%d mails are skipped, %v", skipped, err)
	}
	introduce(t, pool)
	if n := batch(t, pool, facts("order-2")...); n != len(mailer.Kinds()) {
		t.Errorf("%d mails were asked for once there is somebody", n)
	}
}

func facts(orderID string) []any {
	return []any{
		&orderv1.OrderCompleted{OrderId: orderID, UserId: "kim", CompletedAt: timestamppb.New(noon)},
		&shippingv1.ShipmentDispatched{OrderId: orderID, UserId: "kim", Carrier: "simulator", DispatchedAt: timestamppb.New(noon)},
		&shippingv1.ShipmentDelivered{OrderId: orderID, UserId: "kim", DeliveredAt: timestamppb.New(noon)},
		&orderv1.OrderCancelled{OrderId: orderID, UserId: "kim", CancelledAt: timestamppb.New(noon)},
		&paymentv1.PaymentRefunded{OrderId: orderID, UserId: "kim", RefundedAt: timestamppb.New(noon)},
	}
}

// There is no inbox: the rows recognise a repeated event, in the same batch and in a later one.
func TestRepeatedFactsAskOnce(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	introduce(t, pool)
	kinds := len(mailer.Kinds())
	if n := batch(t, pool, append(facts("order-1"), facts("order-1")...)...); n != kinds {
		t.Errorf("%d mails asked for, want %d", n, kinds)
	}
	if n := batch(t, pool, append(facts("order-2"), facts("order-1")...)...); n != kinds {
		t.Errorf("%d mails asked for, want those of the second order", n)
	}
	batch(t, pool, mailer.Mailed{OrderID: "order-1", Kind: mailer.Completed, Outcome: mailer.IsSent})
	if n := batch(t, pool, facts("order-1")...); n != 0 {
		t.Errorf("%d mails asked for again", n)
	}
}

// 500 facts cost as many statements as one.
func TestBatchIsFewStatements(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	introduce(t, pool)
	var events, answers, bounces []any
	for i := range 100 {
		order := fmt.Sprintf("order-%03d", i)
		events = append(events, facts(order)...)
		for _, kind := range mailer.Kinds() {
			answers = append(answers, mailer.Mailed{OrderID: order, Kind: kind, Outcome: mailer.IsSent, AddressSince: noon})
			bounces = append(bounces, mailer.Bounce{OrderID: order, Kind: kind, Code: "5.1.1"})
		}
	}
	for _, messages := range [][]any{events, answers, bounces} { // in this order: an answer needs its mail
		most := 3 // mails, contacts, and what is saved of one and the other
		if n := asked.During(func() { batch(t, pool, messages...) }); n > most {
			t.Errorf("%d of %T: %d statements, want %d at most", len(messages), messages[0], n, most)
		}
	}
}

func drawMail(r *rapid.T) mailer.Mail {
	texts := rapid.StringMatching(`[ -~가-힣"\\{},]{0,12}`)
	times := rapid.Custom(func(r *rapid.T) time.Time { return time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(r, "µs")).UTC() })
	m := mailer.Mail{
		OrderID: uuid.NewString(), UserID: texts.Draw(r, "user"), Kind: rapid.SampledFrom(mailer.Kinds()).Draw(r, "kind"),
		State:     rapid.SampledFrom([]mailer.State{mailer.Waiting, mailer.Sent, mailer.Undeliverable, mailer.Skipped, mailer.Bounced}).Draw(r, "state"),
		Code:      texts.Draw(r, "code"),
		CreatedAt: times.Draw(r, "created"), UpdatedAt: times.Draw(r, "updated"),
		Data: mailer.Data{
			DiscountAmount: rapid.Int64().Draw(r, "discount"), PaymentAmount: rapid.Int64().Draw(r, "payment"), Currency: texts.Draw(r, "currency"),
			Reason: texts.Draw(r, "reason"), Carrier: texts.Draw(r, "carrier"), TrackingNumber: texts.Draw(r, "tracking"), At: times.Draw(r, "at"),
		},
	}
	if rapid.Bool().Draw(r, "went to an address") {
		m.AddressSince = times.Draw(r, "since")
	}
	for range rapid.IntRange(0, 3).Draw(r, "items") {
		m.Data.Items = append(m.Data.Items, mailer.Item{ProductName: texts.Draw(r, "product"), Quantity: rapid.Int32().Draw(r, "quantity"), ProductPrice: rapid.Int64().Draw(r, "price")})
	}
	return m
}

// What Save writes, Load brings back equal: new rows, and rows that were there and changed.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	rapid.Check(t, func(r *rapid.T) {
		first := &mailer.World{}
		for range rapid.IntRange(1, 5).Draw(r, "mails") {
			m := drawMail(r)
			first.Mails.Put(mailer.MailKey(m.OrderID, m.Kind), m)
		}
		second := saveAndLoad(r, pool, first)
		for key, m := range second.Mails.All() {
			m.State, m.Code, m.AddressSince, m.UpdatedAt = mailer.Bounced, "5.1.1", noon.Add(-time.Hour), noon
			second.Mails.Put(key, m)
		}
		saveAndLoad(r, pool, second)
	})
}

func saveAndLoad(r *rapid.T, pool *pgxpool.Pool, w *mailer.World) (loaded *mailer.World) {
	r.Helper()
	var in []flow.Input
	for _, m := range w.Mails.All() {
		in = append(in, input(mailer.Mailed{OrderID: m.OrderID, Kind: m.Kind}))
	}
	rig.Transact(r, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
	rig.Transact(r, pool, func(ctx context.Context, tx *pg.Tx) (err error) {
		loaded, err = store.Store{}.Load(ctx, tx, in)
		return err
	})
	var want, got []mailer.Mail
	for _, m := range w.Mails.All() {
		want = append(want, m)
	}
	for _, m := range loaded.Mails.All() {
		got = append(got, m)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.Fatalf("saved and loaded differ (-saved +loaded):\n%s", diff)
	}
	return loaded
}

func TestConstraintKeepsTheKinds(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	err := pg.Transact(t.Context(), pool, func(tx *pg.Tx) error {
		w := &mailer.World{}
		w.Mails.Put("x", mailer.Mail{OrderID: "x", Kind: "newsletter", State: mailer.Waiting, CreatedAt: noon, UpdatedAt: noon})
		return store.Store{}.Save(tx.Last(), w)
	})
	var violated *pgconn.PgError
	if !errors.As(err, &violated) || violated.ConstraintName != "mail_kind_known" {
		t.Errorf("%v, want a violation of mail_kind_known", err)
	}
}

// A late copy of a member's data does not undo a newer one.
func TestContactsKeepTheNewest(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	kim := func(email string, minute int) *memberv1.MemberChanged {
		return &memberv1.MemberChanged{MemberId: "kim", Email: email, Name: "김", Language: "ko", ChangedAt: timestamppb.New(noon.Add(time.Duration(minute) * time.Minute))}
	}
	for _, members := range [][]any{
		{kim("second@example.com", 2), kim("first@example.com", 1), &memberv1.MemberChanged{MemberId: "lee", Email: "lee@example.com"}, &memberv1.MemberChanged{MemberId: "park"}},
		{kim("late@example.com", 1)},
		nil,
	} {
		if err := meet(t.Context(), pool, members...); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Contacts(t.Context(), pool, []string{"kim", "lee", "park", "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	for id, c := range got { // drawn by the database
		if c.Since.IsZero() {
			t.Errorf("%s has had the address since never", id)
		}
		c.Since = time.Time{}
		got[id] = c
	}
	want := map[string]store.Contact{"kim": {Email: "second@example.com", Name: "김", Language: "ko"}, "lee": {Email: "lee@example.com"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
}

func TestInTrouble(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	if none, err := store.InTrouble(t.Context(), pool, mailer.Waiting, 0, time.Hour); err != nil || none.Count != 0 || !none.Since.IsZero() {
		t.Errorf("nothing in trouble: %+v, %v", none, err)
	}
	rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error {
		w := &mailer.World{}
		for i := range 30 {
			at := time.Now().Add(-time.Duration(i) * time.Minute)
			w.Mails.Put(fmt.Sprint(i), mailer.Mail{OrderID: fmt.Sprint(i), Kind: mailer.Completed, State: mailer.Waiting, CreatedAt: at, UpdatedAt: at})
		}
		return store.Store{}.Save(tx.Last(), w)
	})
	got, err := store.InTrouble(t.Context(), pool, mailer.Waiting, 5*time.Minute, 24*time.Hour)
	if err != nil || got.Count < 25 || got.Count > 26 || len(got.Orders) != 20 || got.Orders[0] != "29" || !slices.Contains(got.Orders, "10") || time.Since(got.Since) < 29*time.Minute {
		t.Errorf("in trouble: %+v, %v", got, err)
	}
}
