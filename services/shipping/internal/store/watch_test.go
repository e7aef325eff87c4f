package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

var epoch = time.Unix(1_700_000_000, 0).UTC()

// on is a shipment in a state, with what that state implies.
func on(order string, state shipping.State, tracking shipping.Tracking) shipping.Shipment {
	s := shipping.Shipment{
		OrderID: order, UserID: "u", State: state, Tracking: tracking, Carrier: "c", BookingID: "b-" + order, TrackingNumber: "t-" + order,
		CreatedAt: epoch, UpdatedAt: epoch, PreparedAt: epoch,
	}
	if state == shipping.Dispatched || state == shipping.Delivered {
		s.DispatchedAt = epoch
	}
	if state == shipping.Delivered {
		s.DeliveredAt = epoch
	}
	return s
}

// becomes saves a shipment as a decision on the row of before would.
func becomes(t *testing.T, pool *pgxpool.Pool, s shipping.Shipment) {
	t.Helper()
	w := &shipping.World{}
	w.Shipments.Loaded(s.OrderID, shipping.Shipment{OrderID: s.OrderID})
	w.Shipments.Put(s.OrderID, s)
	if err := save(t.Context(), pool, w); err != nil {
		t.Fatal(err)
	}
}

// elapse lets everybody's turn come.
func elapse(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `UPDATE parcel_watch SET due_at = '-infinity'`); err != nil {
		t.Fatal(err)
	}
}

func claim(t *testing.T, pool *pgxpool.Pool, limit int) (orders []string) {
	t.Helper()
	claimed, err := store.Claim(t.Context(), pool, limit, time.Hour, 4*time.Hour, "c")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claimed {
		orders = append(orders, c.OrderID)
	}
	slices.Sort(orders)
	return orders
}

// A parcel is asked about from its booking until it is delivered, lost, sent back or cancelled.
func TestWhichParcelsAreWatched(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	for _, c := range []struct {
		state    shipping.State
		tracking shipping.Tracking
		watched  bool
	}{
		{shipping.Prepared, shipping.TrackBooked, true},
		{shipping.Stopping, shipping.TrackBooked, true},
		{shipping.Dispatched, shipping.TrackDispatched, true},
		{shipping.Dispatched, shipping.TrackInVan, true},
		{shipping.Dispatched, shipping.TrackInTrouble, true},
		{shipping.Dispatched, shipping.TrackLost, false},
		{shipping.Dispatched, shipping.TrackSentBack, false},
		{shipping.Delivered, shipping.TrackDelivered, false},
		{shipping.Cancelled, shipping.TrackBooked, false},
	} {
		becomes(t, pool, on("o", shipping.Prepared, shipping.TrackBooked))
		becomes(t, pool, on("o", c.state, c.tracking))
		elapse(t, pool)
		if got := len(claim(t, pool, 10)) == 1; got != c.watched {
			t.Errorf("%s %s: watched %v", c.state, c.tracking, got)
		}
	}
	w := &shipping.World{}
	for _, state := range []shipping.State{shipping.Booking, shipping.Asking, shipping.Voiding, shipping.Failed} {
		s := on(string(state), state, "")
		s.PreparedAt = time.Time{}
		w.Shipments.Put(s.OrderID, s)
	}
	if err := save(t.Context(), pool, w); err != nil {
		t.Fatal(err)
	}
	elapse(t, pool)
	if got := claim(t, pool, 10); len(got) > 0 {
		t.Errorf("nothing is booked, and yet asked about: %v", got)
	}
}

// A claimed parcel has what is needed to ask, and its next turn later each time; news begin the pauses anew.
func TestPausesGrow(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	ctx := t.Context()
	pause := func() (hours float64) {
		t.Helper()
		if err := pool.QueryRow(ctx, `SELECT extract(epoch FROM due_at - clock_timestamp())::float8 / 3600 FROM parcel_watch`).Scan(&hours); err != nil {
			t.Fatal(err)
		}
		return hours
	}
	becomes(t, pool, on("o", shipping.Prepared, shipping.TrackBooked))
	if got := claim(t, pool, 10); len(got) > 0 {
		t.Errorf("asked about at once: %v", got)
	}
	for turn, want := range []float64{1, 2, 4, 4, 4} {
		elapse(t, pool)
		if got := claim(t, pool, 10); !slices.Equal(got, []string{"o"}) {
			t.Fatalf("turn %d: %v", turn, got)
		}
		if got := pause(); got < want*0.74 || got > want*1.26 {
			t.Errorf("turn %d: %.2f hours until the next, want %.0f give or take a quarter", turn, got, want)
		}
	}
	if err := store.Postpone(ctx, pool, []string{"o"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := pause(); got > 1.26/60 || got < 0.74/60 {
		t.Errorf("postponed by %.3f hours, want a minute", got)
	}
	becomes(t, pool, on("o", shipping.Dispatched, shipping.TrackDispatched))
	if got := pause(); got < 7.0/60 || got > 13.0/60 {
		t.Errorf("after news: %.3f hours, want ten minutes", got)
	}
	elapse(t, pool)
	claimed, err := store.Claim(ctx, pool, 10, time.Hour, 4*time.Hour, "c")
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%v, %v", claimed, err)
	}
	want := store.Claimed{OrderID: "o", Carrier: "c", BookingID: "b-o", TrackingNumber: "t-o", Tracking: shipping.TrackDispatched}
	if claimed[0] != want {
		t.Errorf("%+v, want %+v", claimed[0], want)
	}
	if got := pause(); got > 1.26 {
		t.Errorf("after news and a turn: %.2f hours", got)
	}
}

// Replicas that claim at the same time share the parcels: what one is about to take, another passes by, without waiting.
func TestParcelsAreShared(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	w := &shipping.World{}
	var want []string
	for i := range 100 {
		s := on(fmt.Sprintf("o-%03d", i), shipping.Prepared, shipping.TrackBooked)
		want = append(want, s.OrderID)
		w.Shipments.Put(s.OrderID, s)
	}
	if err := save(t.Context(), pool, w); err != nil {
		t.Fatal(err)
	}
	elapse(t, pool)
	other, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := other.Exec(t.Context(), `UPDATE parcel_watch SET due_at = 'infinity' WHERE order_id < 'o-050'`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	var got []string
	for _, limit := range []int{30, 30} {
		claimed, err := store.Claim(ctx, pool, limit, time.Hour, time.Hour, "c")
		if err != nil {
			t.Fatalf("while another one claims: %v", err)
		}
		for _, c := range claimed {
			got = append(got, c.OrderID)
		}
	}
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if !slices.Equal(got, want[50:]) {
		t.Errorf("claimed %v, want those that nobody was about to take", got)
	}
	if rest := claim(t, pool, 100); len(rest) > 0 {
		t.Errorf("claimed again: %v", rest)
	}
}

// A hint makes a turn come now, but not again and again: who repeats it does not have the carrier asked more often.
func TestHint(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	hint := func(order string, pause time.Duration) bool {
		t.Helper()
		due, err := store.Hint(t.Context(), pool, order, pause)
		if err != nil {
			t.Fatal(err)
		}
		return due
	}
	becomes(t, pool, on("o", shipping.Prepared, shipping.TrackBooked))
	if !hint("o", time.Hour) || hint("nobody", time.Hour) {
		t.Error("which parcels there are")
	}
	if got := claim(t, pool, 10); len(got) != 1 {
		t.Error("never asked about, and not due")
	}
	hint("o", time.Hour)
	if got := claim(t, pool, 10); len(got) != 0 {
		t.Error("asked about a moment ago, and due again")
	}
	hint("o", 0)
	if got := claim(t, pool, 10); len(got) != 1 {
		t.Error("the pause is over, and not due")
	}
}

func TestWatchedUntil(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	becomes(t, pool, on("o", shipping.Prepared, shipping.TrackBooked))
	if err := store.Watched(t.Context(), pool, []string{"o", "gone"}, epoch); err != nil {
		t.Fatal(err)
	}
	becomes(t, pool, on("o", shipping.Dispatched, shipping.TrackDispatched)) // which leaves it as it is
	elapse(t, pool)
	claimed, err := store.Claim(t.Context(), pool, 1, time.Hour, time.Hour, "c")
	if err != nil || len(claimed) != 1 || !claimed[0].WatchedUntil.Equal(epoch) {
		t.Errorf("%+v, %v", claimed, err)
	}
}

func line(order, status, source string, at time.Time) shipping.Line {
	return shipping.Line{OrderID: order, Status: status, At: at, Source: source, Location: "Seoul"}
}

func told(t *testing.T, pool *pgxpool.Pool, lines ...shipping.Line) {
	t.Helper()
	w := &shipping.World{}
	for _, l := range lines {
		w.History.Put(l.Key(), l)
	}
	if err := save(t.Context(), pool, w); err != nil {
		t.Fatal(err)
	}
}

// The history is in the order of the carrier's times, whatever came when; the same line again is there once.
func TestHistory(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	a, b, c := line("o", "DISPATCHED", "c", epoch), line("o", "IN_TRANSIT", "c", epoch.Add(time.Microsecond)), line("o", "DELIVERED", "c", epoch.Add(time.Hour))
	told(t, pool, c)
	told(t, pool, a, c, line("p", "LOST", "c", epoch))
	told(t, pool, b)
	got, err := store.History(t.Context(), pool, "o")
	if err != nil || !slices.Equal(got, []shipping.Line{a, b, c}) {
		t.Errorf("%+v, %v", got, err)
	}
	becomes(t, pool, on("o", shipping.Dispatched, shipping.TrackDispatched))
	elapse(t, pool)
	claimed, err := store.Claim(t.Context(), pool, 1, time.Hour, time.Hour, "c")
	if err != nil || len(claimed) != 1 || claimed[0].Lines != 3 {
		t.Errorf("%+v, %v", claimed, err)
	}
}

// What was told is never taken back or told otherwise.
func TestHistoryIsAppendOnly(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	told(t, pool, line("o", "LOST", "c", epoch))
	for _, sql := range []string{`UPDATE tracking_history SET status = 'DELIVERED'`, `DELETE FROM tracking_history`} {
		_, err := pool.Exec(t.Context(), sql)
		var violated *pgconn.PgError
		if !errors.As(err, &violated) || violated.ConstraintName != "tracking_history_is_append_only" {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// Who is to look into parcels hears of those that are in trouble still, and for a while.
func TestInTrouble(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	becomes(t, pool, on("a", shipping.Dispatched, shipping.TrackLost))
	becomes(t, pool, on("b", shipping.Dispatched, shipping.TrackLost))
	becomes(t, pool, on("found", shipping.Delivered, shipping.TrackDelivered))
	becomes(t, pool, on("held", shipping.Dispatched, shipping.TrackInTrouble))
	told(t, pool, line("a", "LOST", "c", epoch), line("found", "LOST", "c", epoch), line("held", "UNDELIVERABLE", "c", epoch))
	told(t, pool, line("b", "LOST", "c", epoch), line("b", "LOST", "tracker", epoch))
	lost, err := store.InTrouble(t.Context(), pool, shipping.TrackLost, time.Hour)
	if err != nil || lost.Count != 2 || !slices.Equal(lost.Orders, []string{"a", "b"}) || time.Since(lost.Since) > time.Hour {
		t.Errorf("lost: %+v, %v", lost, err)
	}
	held, err := store.InTrouble(t.Context(), pool, shipping.TrackInTrouble, time.Hour)
	if err != nil || held.Count != 1 || held.Orders[0] != "held" {
		t.Errorf("undeliverable: %+v, %v", held, err)
	}
	if old, err := store.InTrouble(t.Context(), pool, shipping.TrackLost, 0); err != nil || old.Count != 0 {
		t.Errorf("of before: %+v, %v", old, err)
	}
	if back, err := store.InTrouble(t.Context(), pool, shipping.TrackSentBack, time.Hour); err != nil || back.Count != 0 || len(back.Orders) != 0 {
		t.Errorf("returned: %+v, %v", back, err)
	}
}

// A parcel is silent when neither its state nor its history has had anything new for long.
func TestSilent(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	for _, order := range []string{"fresh", "old", "older", "told"} {
		becomes(t, pool, on(order, shipping.Dispatched, shipping.TrackDispatched))
	}
	becomes(t, pool, on("over", shipping.Delivered, shipping.TrackDelivered))
	told(t, pool, line("told", "IN_TRANSIT", "c", epoch))
	if _, err := pool.Exec(t.Context(), `
		UPDATE parcel_watch SET news_at = clock_timestamp() - CASE order_id WHEN 'older' THEN interval '3 days' ELSE interval '2 days' END
		WHERE order_id <> 'fresh'`); err != nil {
		t.Fatal(err)
	}
	got, err := store.Silent(t.Context(), pool, 24*time.Hour)
	if err != nil || got.Count != 2 || !slices.Equal(got.Orders, []string{"older", "old"}) || time.Since(got.Since) < 71*time.Hour {
		t.Errorf("%+v, %v", got, err)
	}
	becomes(t, pool, on("old", shipping.Dispatched, shipping.TrackInVan))
	if got, err := store.Silent(t.Context(), pool, 24*time.Hour); err != nil || got.Count != 1 || got.Orders[0] != "older" {
		t.Errorf("after news: %+v, %v", got, err)
	}
}

// What a replica of an earlier release left behind is put right: the list is what the shipments say.
func TestTend(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	want := map[string]bool{}
	for _, s := range []shipping.Shipment{
		on("prepared", shipping.Prepared, shipping.TrackBooked), on("stopping", shipping.Stopping, shipping.TrackBooked),
		on("gone", shipping.Dispatched, shipping.TrackDispatched), on("held", shipping.Dispatched, shipping.TrackInTrouble),
		on("lost", shipping.Dispatched, shipping.TrackLost), on("back", shipping.Dispatched, shipping.TrackSentBack),
		on("here", shipping.Delivered, shipping.TrackDelivered), on("cancelled", shipping.Cancelled, shipping.TrackBooked),
	} {
		becomes(t, pool, s)
		want[s.OrderID] = s.Followed()
	}
	tend := func(rows int64) {
		t.Helper()
		if n, err := store.Tend(t.Context(), pool); err != nil || n != rows {
			t.Errorf("%d rows, %v, want %d", n, err, rows)
		}
	}
	tend(0)
	if _, err := pool.Exec(t.Context(), `
		WITH old AS (DELETE FROM parcel_watch WHERE order_id <> 'held')
		INSERT INTO parcel_watch (order_id, due_at) VALUES ('lost', now()), ('back', now()), ('here', now()), ('cancelled', now())`); err != nil {
		t.Fatal(err)
	}
	tend(7)
	tend(0)
	elapse(t, pool)
	got := claim(t, pool, 100)
	for order, watched := range want {
		if slices.Contains(got, order) != watched {
			t.Errorf("%s: watched %v", order, !watched)
		}
	}
}
