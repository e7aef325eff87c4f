package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/internal/store"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// orderAt is the id of an order that was placed at a moment.
func orderAt(t time.Time) string {
	id := uuid.Must(uuid.NewV7())
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		id[5-i] = byte(ms >> (8 * i))
	}
	return id.String()
}

// Every way in which a provider's list and the payments can differ, each found once, and what agrees is not.
func TestDifferences(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	noon := day.Add(12 * time.Hour)
	world := &payment.World{}
	var lines []provider.Movement
	want := map[string]string{} // order: kind
	add := func(kind string, p payment.Payment, at time.Time, moves ...provider.Movement) {
		p.OrderID = orderAt(at)
		p.Amount, p.Currency, p.UpdatedAt = 100, "KRW", noon
		if p.Refund == "" {
			p.Refund = payment.NoRefund
		}
		if p.State != "" {
			world.Payments.Put(p.OrderID, p)
		}
		for _, m := range moves {
			if m.OrderID == "" {
				m.OrderID = p.OrderID
			}
			if m.At.IsZero() {
				m.At = at
			}
			m.Currency = "KRW"
			lines = append(lines, m)
		}
		if kind != "" {
			want[p.OrderID] = kind
		}
	}
	in := func(id string, amount int64) provider.Movement {
		return provider.Movement{Kind: provider.Charged, ChargeID: id, Amount: amount}
	}
	back := func(id string) provider.Movement {
		return provider.Movement{Kind: provider.Returned, ChargeID: id, Amount: 100}
	}
	foreign := func(m provider.Movement) provider.Movement { m.OrderID = "window-1"; return m }
	late := func(m provider.Movement) provider.Movement { m.At = day.Add(24*time.Hour + time.Minute); return m }
	done, cancelled := payment.Completed, payment.Cancelled

	add("", payment.Payment{State: done, ChargeID: "c1"}, noon, in("c1", 100))
	add("", payment.Payment{State: done, ChargeID: "c2"}, noon, foreign(in("c2", 100)))
	add("", payment.Payment{State: done, ChargeID: "c3"}, day.Add(24*time.Hour-time.Minute), late(in("c3", 100)))
	add("", payment.Payment{State: cancelled, Refund: payment.RefundDone, ChargeID: "c4"}, noon, in("c4", 100), back("c4"))
	add("", payment.Payment{State: cancelled, Refund: payment.RefundRefused, ChargeID: "c5"}, noon, in("c5", 100), back("c5")) // by hand
	add("", payment.Payment{State: payment.Failed}, noon)
	add("", payment.Payment{State: payment.Charging}, noon)
	add("", payment.Payment{State: done, ChargeID: "c6"}, day.Add(-time.Hour)) // of another day
	add(store.StillOpen, payment.Payment{State: payment.Awaiting}, noon, in("d1", 100))
	add(store.StillOpen, payment.Payment{State: payment.Asking, Token: "d2:window-2"}, noon, foreign(in("d2", 100)))
	add(store.ChargedAfterAll, payment.Payment{State: payment.Failed}, noon, in("d3", 100))
	add(store.ChargedAfterAll, payment.Payment{State: cancelled}, noon, in("d4", 100))
	add(store.SecondCharge, payment.Payment{State: done, ChargeID: "c7"}, noon, in("c7", 100), in("d5", 100))
	add(store.AmountDiffers, payment.Payment{State: done, ChargeID: "c8"}, noon, in("c8", 99))
	add(store.UnknownCharge, payment.Payment{}, noon, in("d6", 100))
	add(store.RefundStillOpen, payment.Payment{State: cancelled, Refund: payment.RefundPending, ChargeID: "c9"}, noon, in("c9", 100), back("c9"))
	add(store.RefundedUnasked, payment.Payment{State: done, ChargeID: "c10"}, noon, in("c10", 100), back("c10"))
	add(store.MissingCharge, payment.Payment{State: done, ChargeID: "c11"}, noon)
	add(store.MissingRefund, payment.Payment{State: cancelled, Refund: payment.RefundDone, ChargeID: "c12"}, noon, in("c12", 100))
	if err := save(t.Context(), pool, world); err != nil {
		t.Fatal(err)
	}

	d, err := store.OpenDay(t.Context(), pool, day)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenDay(t.Context(), pool, day); !errors.Is(err, store.ErrBusy) {
		t.Errorf("two at once: %v, want ErrBusy", err)
	}
	for page := range slices.Chunk(lines, 7) {
		if err := d.Add(t.Context(), page); err != nil {
			t.Fatal(err)
		}
	}
	charges, refunds, err := d.Count(t.Context())
	if err != nil || charges != 15 || refunds != 4 {
		t.Errorf("%d charges, %d refunds, %v", charges, refunds, err)
	}
	found, err := d.Differences(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if want[f.OrderID] != f.Kind {
			t.Errorf("%s of %s (%s): want %q", f.Kind, f.OrderID, f.ChargeID, want[f.OrderID])
		}
		delete(want, f.OrderID)
	}
	for order, kind := range want {
		t.Errorf("%s of %s was not found", kind, order)
	}
	d.Close(t.Context())
	again, err := store.OpenDay(t.Context(), pool, day)
	if err != nil {
		t.Fatalf("after the first has closed: %v", err)
	}
	again.Close(t.Context())
}

func TestReconciliationsAreKept(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	ctx := t.Context()
	r := store.Reconciliation{
		Day: "2026-03-01", Provider: "toss", StartedAt: time.Now(), Charges: 3,
		Differences: []store.Difference{{Kind: store.UnknownCharge, OrderID: "o", ChargeID: "c", Amount: 5, Currency: "KRW"}},
	}
	for _, charges := range []int64{3, 4} {
		r.Charges = charges
		if err := store.PutReconciliation(ctx, pool, r); err != nil {
			t.Fatal(err)
		}
	}
	all, err := store.Reconciliations(ctx, pool)
	if err != nil || len(all) != 1 || all[0].Charges != 4 || all[0].Day != r.Day || !slices.Equal(all[0].Differences, r.Differences) {
		t.Errorf("kept %+v, %v", all, err)
	}
	for since, want := range map[time.Duration]bool{-time.Hour: true, time.Hour: false} {
		if done, err := store.Reconciled(ctx, pool, r.Day, "toss", time.Now().Add(since)); err != nil || done != want {
			t.Errorf("compared since %s: %v, %v", since, done, err)
		}
	}
	if _, err := pool.Exec(ctx, `UPDATE reconciliation SET day = current_date`); err != nil {
		t.Fatal(err)
	}
	open, err := store.OpenDifferences(ctx, pool)
	if err != nil || open.Count != 1 || !slices.Equal(open.Orders, []string{"o"}) {
		t.Errorf("open: %+v, %v", open, err)
	}
}
