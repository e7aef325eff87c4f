package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/choreography"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// checking is a store that holds events against the declared choreography, with a grace period that is over at once.
func checking(grace time.Duration) store.Store {
	return store.Store{Rules: gateway.NewRules(choreography.Topologies(), grace)}
}

// decide puts a batch through Load, the deciding code and Save, at the database's time.
func decide(t *testing.T, pool *pgxpool.Pool, s store.Store, batch ...flow.Input) {
	t.Helper()
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
		w, err := s.Load(ctx, tx, batch)
		if err != nil {
			return err
		}
		var now time.Time
		if err := pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
			return err
		}
		for _, in := range batch {
			if _, err := gateway.Topology.Decide(w, flow.Input{
				Kind: in.Kind, Subject: in.Subject, Msg: in.Msg, Meta: flow.Meta{Now: now, IDs: func(int) string { return "" }},
			}); err != nil {
				return err
			}
		}
		return s.Save(tx.Last(), w)
	})
}

// chain makes n events of an order, each caused by the one before, all on order.v1.
func chain(n int) (ins []flow.Input) {
	subject, first := rig.NewID(), rig.NewID()
	cause := ""
	for i := range n {
		r := flow.Record{
			Topic: "order.v1", ID: rig.NewID(), Type: "quadrille.order.v1.OrderCancelRequested", Source: "/quadrille/order",
			SubjectID: subject, Time: time.Now(), Sequence: int64(i + 1), CausationID: cause, CommandID: rig.NewID(), CorrelationID: first,
		}
		if i == 0 {
			r.ID, r.Type = first, "quadrille.order.v1.OrderCreated"
		}
		cause = first
		ins = append(ins, flow.Input{Kind: flow.KindEvent, Subject: subject, Msg: r})
	}
	return ins
}

// Whether events come in one batch or one by one, whatever is between them: the same stands against them.
func TestFindingsAcrossBatches(t *testing.T) {
	t.Parallel()
	pool, s := rig.Database(t, store.Migrate), checking(0)
	events := chain(4)
	subject := events[0].Subject
	sweep := func() {
		due, err := store.Overdue(t.Context(), pool, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range due {
			decide(t, pool, s, flow.Input{Kind: flow.KindDeadline, Subject: d.Subject(), Msg: d})
		}
	}
	stands := func(want ...string) {
		t.Helper()
		timeline, err := store.Timeline(t.Context(), pool, subject)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range timeline {
			for _, f := range e.Findings {
				got = append(got, fmt.Sprintf("%d %s %s", e.Sequence, f.Rule, f.Detail))
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	id := events[0].Msg.(flow.Record).ID
	decide(t, pool, s, events[1])
	stands()
	sweep()
	stands("2 cause its cause "+id+" has not come", "2 gap number 1 of order has not come")
	decide(t, pool, s, events[3], events[3])
	sweep()
	stands("2 cause its cause "+id+" has not come", "2 gap number 1 of order has not come",
		"4 cause its cause "+id+" has not come", "4 gap number 3 of order has not come")
	sweep() // a second look finds nothing new
	decide(t, pool, s, events[0])
	stands("1 stepback number 1 of order came after number 4", "4 gap number 3 of order has not come")

	// What somebody files who does not check yet is looked up before it is found missing.
	events = chain(2)
	subject = events[0].Subject
	decide(t, pool, s, events[1])
	decide(t, pool, store.Store{}, events[0])
	sweep()
	stands()
}

// Each finding is told once, whoever asks; what stands is what was not cleared, by rule.
func TestTakeAndOpen(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	w := &gateway.World{}
	finding := func(rule gateway.Rule, cleared bool) gateway.Finding {
		f := gateway.Finding{EventID: rig.NewID(), Subject: rig.NewID(), Rule: rule, Detail: "because", Cleared: cleared}
		w.Findings.Put(f.Key(), f)
		return f
	}
	gap, cause, undeclared := finding(gateway.Gap, false), finding(gateway.Cause, true), finding(gateway.Undeclared, false)
	rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
	if _, err := pool.Exec(t.Context(), `UPDATE finding SET found_at = now() - interval '2 days'`); err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for range 3 {
		found, err := store.TakeFindings(t.Context(), pool, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			told[f.Key()]++
		}
	}
	if diff := cmp.Diff(map[string]int{gap.Key(): 1, cause.Key(): 1, undeclared.Key(): 1}, told); diff != "" {
		t.Error(diff)
	}
	open, err := store.Open(t.Context(), pool)
	if err != nil || len(open) != 2 {
		t.Fatalf("%+v: %v", open, err)
	}
	if o := open[0]; o.Rule != gateway.Gap || o.Count != 1 || o.Recent != 1 || !slices.Equal(o.Subjects, []string{gap.Subject}) ||
		time.Since(o.Since) < 47*time.Hour {
		t.Errorf("gap: %+v", o)
	}
	if o := open[1]; o.Rule != gateway.Undeclared || o.Count != 1 || o.Recent != 0 || len(o.Subjects) != 0 {
		t.Errorf("undeclared, of two days ago: %+v", o)
	}
}

// What Save wrote of checks and starts, Load brings back.
func TestChecksRoundTrip(t *testing.T) {
	t.Parallel()
	pool, s := rig.Database(t, store.Migrate), checking(time.Minute)
	due := time.Now().UTC().Truncate(time.Microsecond)
	event := gateway.Event{ID: rig.NewID(), Type: "quadrille.order.v1.OrderCompleted", Service: "order", OccurredAt: due}
	check := gateway.Check{
		Subject: rig.NewID(),
		Tracks:  map[string]gateway.Track{"order": {Seen: gateway.Spans{{1, 2}, {4, 4}}, High: map[string]int64{"order.v1": 4}}},
		Doubts: []gateway.Doubt{
			{Rule: gateway.Gap, EventID: event.ID, Service: "order", From: 3, To: 3, Due: due, Found: true},
			{Rule: gateway.Cause, EventID: event.ID, Cause: "lost", Event: &event, Due: due},
		},
	}
	start := gateway.Start{Offset: 7, At: due}
	w := &gateway.World{}
	w.Checks.Put(check.Subject, check)
	w.Starts.Put("order.v1/3", start)
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error { return s.Save(tx.Last(), w) })
	rig.Transact(t, pool, func(ctx context.Context, tx *pg.Tx) error {
		loaded, err := s.Load(ctx, tx, []flow.Input{{Subject: check.Subject, Msg: gateway.Overdue{SubjectID: check.Subject}}})
		if err != nil {
			return err
		}
		gotCheck, _ := loaded.Checks.Get(check.Subject)
		gotStart, _ := loaded.Starts.Get("order.v1/3")
		gotStart.At = gotStart.At.UTC()
		if diff := cmp.Diff(check, gotCheck) + cmp.Diff(start, gotStart); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}
