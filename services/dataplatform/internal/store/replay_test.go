package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/dataplatform"
	"github.com/quadrille-io/quadrille/services/dataplatform/internal/store"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// replay asks for one and returns its id, or the status it was refused with.
func (s shelf) replay(from time.Time) (id uuid.UUID, status int) {
	s.t.Helper()
	id = uuid.MustParse(rig.NewID())
	in := flow.Input{
		Kind: flow.KindCommand, Msg: dataplatform.RequestReplay{ReplayID: id.String(), From: from},
		Meta: flow.Meta{Now: time.Now().Add(24 * time.Hour)},
	}
	rig.Transact(s.t, s.pool, func(ctx context.Context, tx *pg.Tx) error {
		w, err := store.Store{}.Load(ctx, tx, []flow.Input{in})
		if err != nil {
			return err
		}
		out, err := dataplatform.Topology.Decide(w, in)
		if err != nil {
			return err
		}
		if status = out.Reply.Status; out.Reply.Refusal != nil {
			status = out.Reply.Refusal.Status
		}
		return store.Store{}.Save(tx.Last(), w)
	})
	return id, status
}

func (s shelf) sendAll(e *store.Exporter, stream uuid.UUID, limit store.Limit) (sent []dataplatform.Fact) {
	s.t.Helper()
	for {
		n, err := e.Waiting(s.t.Context(), stream, 10)
		s.must(err)
		if n == 0 {
			return sent
		}
		c := s.cut(e, stream, limit)
		sent = append(sent, s.read(e, c)...)
		s.must(e.Sent(s.t.Context(), c))
	}
}

// A replay sends what was sent since a time, and only that: neither what is older nor what was not sent yet.
func TestReplayIsBounded(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.must(store.PrepareDays(t.Context(), s.pool, noon))
	old, since, later := facts(3, noon.Add(-24*time.Hour)), facts(5, noon), facts(2, noon)
	s.keep(old...)
	s.keep(since[:2]...)
	s.keep(facts(1, noon.Add(-time.Second))...)
	s.keep(since[2:]...)
	e := s.exporter()
	if sent := s.sendAll(e, store.Live, large); len(sent) != 9 {
		t.Fatalf("%d were sent live", len(sent))
	}
	s.keep(later...)
	id, status := s.replay(noon)
	if status != 202 {
		t.Fatalf("the replay was answered %d", status)
	}
	open, is, err := e.OpenReplay(t.Context())
	if err != nil || !is || open != id {
		t.Fatalf("the open replay is %v, %v", open, err)
	}
	if got := ids(s.sendAll(e, id, store.Limit{Facts: 2, Bytes: 1 << 20})); !slices.Equal(got, ids(since)) {
		t.Errorf("sent again: %v, want %v", got, ids(since))
	}
	s.must(e.EndReplay(t.Context(), id))
	if _, is, err := e.OpenReplay(t.Context()); is || err != nil {
		t.Errorf("a replay is still open, %v", err)
	}
	if got := ids(s.sendAll(e, store.Live, large)); !slices.Equal(got, ids(later)) {
		t.Errorf("live goes on with %v, want %v", got, ids(later))
	}
	states, err := store.Replays(t.Context(), s.pool, 10)
	if err != nil || len(states) != 1 || states[0].DoneAt == nil || states[0].Facts != 5 || states[0].Batches != 3 || !states[0].From.Equal(noon) {
		t.Errorf("%+v, %v", states, err)
	}
}

// A replay that the platform does not take is told of, once it was tried often and long enough; one that goes on is not.
func TestStuckReplays(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.keep(facts(2, noon)...)
	e := s.exporter()
	s.sendAll(e, store.Live, large)
	id, _ := s.replay(noon)
	c := s.cut(e, id, large)
	told := func(behind time.Duration, want ...string) {
		t.Helper()
		stuck, err := store.StuckReplays(t.Context(), s.pool, behind, 2)
		var got []string
		for _, r := range stuck {
			got = append(got, r.ReplayID+" "+r.LastError)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v: want %v", got, err, want)
		}
	}
	s.must(e.Failed(t.Context(), c, "once"))
	told(0)
	s.must(e.Failed(t.Context(), c, "twice"))
	told(0, id.String()+" twice")
	told(time.Hour)
	s.must(e.Sent(t.Context(), c))
	told(0)
}

// A day goes when all of it is exported and no open replay needs it; then it cannot be asked for any more.
func TestDaysGo(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx, day := t.Context(), 24*time.Hour
	s.must(store.PrepareDays(ctx, s.pool, noon))
	s.must(store.PrepareDays(ctx, s.pool, noon)) // again: another replica, or another hour
	s.keep(facts(2, noon.Add(-20*day))...)       // a day that nobody has prepared: the default one
	s.keep(facts(2, noon.Add(-day))...)
	s.keep(facts(2, noon)...)
	drop := func(what string, before time.Time, want ...string) {
		t.Helper()
		dropped, err := store.DropDays(ctx, s.pool, before)
		if err != nil || !slices.Equal(dropped, want) {
			t.Errorf("%s: dropped %v, %v: want %v", what, dropped, err, want)
		}
	}
	count := func(want int) {
		t.Helper()
		var n int
		if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM fact`).Scan(&n); err != nil || n != want {
			t.Errorf("%d facts are kept, %v: want %d", n, err, want)
		}
	}
	drop("nothing is exported", noon.Add(2*day))
	e := s.exporter()
	s.sendAll(e, store.Live, store.Limit{Facts: 2, Bytes: 1 << 20})
	drop("nothing is old", noon.Add(-30*day))
	id, _ := s.replay(noon.Add(-day))
	drop("a replay needs yesterday", noon)
	count(4) // what is older than the replay went
	s.must(e.EndReplay(ctx, id))
	drop("yesterday is free", noon, "fact_20261120")
	count(2)
	if _, status := s.replay(noon.Add(-day)); status != 400 {
		t.Errorf("a replay of what is gone was answered %d", status)
	}
	if _, status := s.replay(noon.Truncate(day)); status != 202 {
		t.Errorf("a replay of what is kept was answered %d", status)
	}
}
