package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/webhook"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var own = store.Store{Rules: webhook.Rules{MaxEndpoints: 10, GiveUpAfter: time.Hour, Retention: 24 * time.Hour}}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// decide runs inputs through Load, the decisions and Save, in one transaction.
func decide(t *testing.T, pool *pgxpool.Pool, now time.Time, inputs ...flow.Input) []flow.Outcome {
	t.Helper()
	var outcomes []flow.Outcome
	err := pg.Transact(t.Context(), pool, func(tx *pg.Tx) error {
		w, err := own.Load(t.Context(), tx, inputs)
		if err != nil {
			return err
		}
		for _, in := range inputs {
			in.Meta.Now = now
			out, err := webhook.Topology.Decide(w, in)
			if err != nil {
				return err
			}
			outcomes = append(outcomes, out)
		}
		return own.Save(tx.Last(), w)
	})
	if err != nil {
		t.Fatal(err)
	}
	return outcomes
}

func command(c flow.Command) flow.Input {
	return flow.Input{Kind: flow.KindCommand, Subject: c.Subject(), Msg: c}
}

func fact(id string) flow.Input {
	r := flow.Record{ID: id, Type: "quadrille.order.v1.OrderCompleted", SubjectID: "order-1", Time: time.Now().UTC()}
	return flow.Input{Kind: flow.KindEvent, Subject: r.SubjectID, Msg: r}
}

// endpoint makes one and returns its id.
func endpoint(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	id := newID()
	decide(t, pool, time.Now(), command(webhook.Create{ID: id, URL: "https://shop.example/", Events: []string{"*"}, Secret: "whsec_AAAA"}))
	return id
}

func claim(t *testing.T, pool *pgxpool.Pool, endpointID string, lease time.Duration) []store.Claimed {
	t.Helper()
	claimed, err := store.Claim(t.Context(), pool, map[string]int{endpointID: 100}, lease)
	if err != nil {
		t.Fatal(err)
	}
	return claimed
}

func save(t *testing.T, pool *pgxpool.Pool, results ...store.Result) {
	t.Helper()
	for i := range results {
		results[i].ID, results[i].At = newID(), time.Now()
	}
	if err := store.SaveResults(t.Context(), pool, results); err != nil {
		t.Fatal(err)
	}
}

// count asks for one number.
func count(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// However often an event comes, and in whatever company, its delivery is one; and what became of that stays.
func TestRepeatedFacts(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	id, a, b := endpoint(t, pool), newID(), newID()
	now := time.Now()
	decide(t, pool, now, fact(a), fact(a))
	save(t, pool, store.Result{Claimed: claim(t, pool, id, time.Minute)[0], Delivered: true})
	decide(t, pool, now, fact(b), fact(a))
	if n := count(t, pool, `SELECT count(*) FROM delivery`); n != 2 {
		t.Errorf("%d deliveries, want 2", n)
	}
	if got := claim(t, pool, id, time.Minute); len(got) != 1 || got[0].EventID != b {
		t.Errorf("claimed %+v, want the one that is new", got)
	}
}

// A claim is one process's until it ends; the attempt of one that is over moves nothing, except that what was
// delivered was delivered.
func TestClaims(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	id := endpoint(t, pool)
	first, second := newID(), newID()
	decide(t, pool, time.Now(), fact(first), fact(second))
	old := claim(t, pool, id, 0) // ends at once: its process was stopped
	if len(old) != 2 || len(old[0].Body) == 0 || old[0].Claim != 1 {
		t.Fatalf("claimed %+v", old)
	}
	present := claim(t, pool, id, time.Minute)
	if len(present) != 2 || present[0].Claim != 2 || len(claim(t, pool, id, time.Minute)) != 0 {
		t.Fatalf("claimed %+v, and once more", present)
	}
	if err := store.GiveBack(t.Context(), pool, old); err != nil {
		t.Fatal(err)
	}
	byEvent := func(list []store.Claimed, event string) store.Claimed {
		return list[slices.IndexFunc(list, func(c store.Claimed) bool { return c.EventID == event })]
	}
	save(t, pool, store.Result{Claimed: byEvent(old, first), Status: 500}, store.Result{Claimed: byEvent(old, second), Delivered: true, Status: 200})
	if len(claim(t, pool, id, time.Minute)) != 0 {
		t.Error("a claim that is over made something due that somebody is sending")
	}
	state := func(event string) (states []int32) {
		err := pool.QueryRow(t.Context(), `SELECT ARRAY[state, attempts] FROM delivery WHERE event_id = $1`, event).Scan(&states)
		if err != nil {
			t.Fatal(err)
		}
		return states
	}
	if got := state(first); !slices.Equal(got, []int32{0, 1}) {
		t.Errorf("first: state and attempts %v", got)
	}
	if got := state(second); !slices.Equal(got, []int32{1, 1}) {
		t.Errorf("second: state and attempts %v", got)
	}
	// The present claim's failure comes after the old one's success: it is logged, and the delivery stays delivered.
	save(t, pool, store.Result{Claimed: byEvent(present, first), Status: 503, Wait: time.Minute}, store.Result{Claimed: byEvent(present, second), Status: 503})
	if got := state(second); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("second: state and attempts %v", got)
	}
	attempts, err := store.Attempts(t.Context(), pool, id, first, "", 10)
	if err != nil || len(attempts) != 2 || attempts[0].Attempt != 2 || attempts[0].Outcome != "RETRYING" || *attempts[0].Status != 503 {
		t.Errorf("log %+v: %v", attempts, err)
	}
	if next := attempts[0].NextAttemptAt; next == nil || time.Until(*next) < 30*time.Second {
		t.Errorf("next attempt at %v", next)
	}
}

// Each endpoint has a share of its own of what is claimed, however much waits for another.
func TestClaimIsFair(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	a, b := endpoint(t, pool), endpoint(t, pool)
	var inputs []flow.Input
	for range 300 {
		inputs = append(inputs, fact(newID()))
	}
	decide(t, pool, time.Now(), inputs...)
	claimed, err := store.Claim(t.Context(), pool, map[string]int{a: 7, b: 3}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, c := range claimed {
		got[c.EndpointID]++
	}
	if got[a] != 7 || got[b] != 3 {
		t.Errorf("claimed %v", got)
	}
}

// Claims side by side take different deliveries.
func TestClaimsSideBySide(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	id := endpoint(t, pool)
	var inputs []flow.Input
	for range 100 {
		inputs = append(inputs, fact(newID()))
	}
	decide(t, pool, time.Now(), inputs...)
	results := make(chan []store.Claimed)
	for range 4 {
		go func() {
			var mine []store.Claimed
			for range 10 {
				claimed, err := store.Claim(context.WithoutCancel(t.Context()), pool, map[string]int{id: 5}, time.Minute)
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				mine = append(mine, claimed...)
			}
			results <- mine
		}()
	}
	seen := map[string]bool{}
	for range 4 {
		for _, c := range <-results {
			if seen[c.EventID] {
				t.Errorf("%s was claimed twice", c.EventID)
			}
			seen[c.EventID] = true
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d of 100 were claimed", len(seen))
	}
}

// Since when an endpoint fails is kept from its first failure to its next success; 410 disables it.
func TestHealth(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	id := endpoint(t, pool)
	attempt := func(r store.Result) webhook.Endpoint {
		decide(t, pool, time.Now(), fact(newID()))
		r.Claimed = claim(t, pool, id, time.Minute)[0]
		r.Wait = time.Hour / 2
		save(t, pool, r)
		e, err := store.Endpoint(t.Context(), pool, id)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	failed := attempt(store.Result{Status: 500})
	if again := attempt(store.Result{Error: "no route"}); failed.FailingSince.IsZero() || again.FailingSince != failed.FailingSince {
		t.Errorf("failing since %s, then %s", failed.FailingSince, again.FailingSince)
	}
	if works := attempt(store.Result{Delivered: true}); !works.FailingSince.IsZero() || works.State != webhook.Enabled {
		t.Errorf("works: %+v", works)
	}
	if gone := attempt(store.Result{Gone: true, Status: 410}); gone.State != webhook.Disabled || gone.Reason != webhook.Gone || gone.DisabledAt.IsZero() {
		t.Errorf("gone: %+v", gone)
	}
	list, err := store.DisabledLately(t.Context(), pool, time.Hour)
	if err != nil || len(list) != 1 || list[0].ID != id || list[0].Reason != webhook.Gone {
		t.Errorf("disabled lately: %+v, %v", list, err)
	}
}

// What time does: too late is given up, a long failure disables, old things go, and a deleted endpoint leaves nothing.
func TestSweep(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	limits := store.Limits{DisableAfter: time.Hour, Retention: 24 * time.Hour, Settle: time.Minute}
	sweep := func() {
		t.Helper()
		if _, err := store.Sweep(t.Context(), pool, limits); err != nil {
			t.Fatal(err)
		}
	}
	id, late, old, fresh := endpoint(t, pool), newID(), newID(), newID()
	decide(t, pool, time.Now().Add(-2*time.Hour), fact(late)) // its hour is over
	decide(t, pool, time.Now().Add(-25*time.Hour), fact(old)) // its day is over
	decide(t, pool, time.Now(), fact(fresh))
	for _, c := range claim(t, pool, id, time.Minute) {
		if c.EventID == late {
			// Its own failure gives it up only when the next attempt would be too late: here somebody resent it.
			_, err := pool.Exec(t.Context(), `UPDATE delivery SET give_up_at = now() + interval '1 hour' WHERE event_id = $1`, late)
			if err != nil {
				t.Fatal(err)
			}
			save(t, pool, store.Result{Claimed: c, Status: 500})
			if _, err := pool.Exec(t.Context(), `UPDATE delivery SET give_up_at = now() - interval '1 s' WHERE event_id = $1`, late); err != nil {
				t.Fatal(err)
			}
		}
	}
	sweep()
	if n := count(t, pool, `SELECT count(*) FROM delivery WHERE event_id = $1 AND state = 2`, late); n != 1 {
		t.Error("what is too late was not given up")
	}
	if log, err := store.Attempts(t.Context(), pool, id, late, "", 10); err != nil || len(log) != 1 || log[0].Outcome != "GIVEN_UP" || log[0].NextAttemptAt != nil {
		t.Errorf("log %+v: %v", log, err)
	}
	if n := count(t, pool, `SELECT (SELECT count(*) FROM delivery WHERE event_id = $1) + (SELECT count(*) FROM fact WHERE event_id = $1)`, old); n != 0 {
		t.Errorf("%d old rows are kept", n)
	}
	if n := count(t, pool, `SELECT count(*) FROM delivery WHERE event_id = $1 AND state = 0`, fresh); n != 1 {
		t.Error("the fresh one is gone")
	}
	mustExec(t, pool, `UPDATE endpoint SET failing_since = now() - interval '59 min'`)
	sweep()
	if n := count(t, pool, `SELECT count(*) FROM endpoint WHERE state = 'ENABLED'`); n != 1 {
		t.Error("disabled too early")
	}
	mustExec(t, pool, `UPDATE endpoint SET failing_since = now() - interval '61 min', old_secret = 'x', old_secret_until = now() - interval '1 s'`)
	sweep()
	if n := count(t, pool, `SELECT count(*) FROM endpoint WHERE reason = 'FAILING' AND old_secret = ''`); n != 1 {
		t.Error("not disabled, or with its old secret")
	}
	decide(t, pool, time.Now(), command(webhook.Delete{ID: id}))
	sweep()
	if n := count(t, pool, `SELECT count(*) FROM delivery`); n == 0 {
		t.Error("a transaction that saw the endpoint may still be under way, and its deliveries are swept")
	}
	mustExec(t, pool, `UPDATE endpoint SET updated_at = now() - interval '2 min'`)
	sweep()
	if n := count(t, pool, `SELECT (SELECT count(*) FROM endpoint) + (SELECT count(*) FROM delivery) + (SELECT count(*) FROM attempt)`); n != 0 {
		t.Errorf("%d rows are left of a deleted endpoint", n)
	}
}

func mustExec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// One recovery takes the oldest thousand and says that there is more.
func TestRecoverInParts(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	id := endpoint(t, pool)
	since := time.Now().Add(-time.Hour)
	var inputs []flow.Input
	for range webhook.RecoverLimit + 5 {
		inputs = append(inputs, fact(newID()))
	}
	decide(t, pool, time.Now(), inputs...)
	mustExec(t, pool, `UPDATE delivery SET state = 2`)
	for _, want := range []string{
		fmt.Sprintf("%d true", webhook.RecoverLimit), "5 false", "0 false",
	} {
		out := decide(t, pool, time.Now(), command(webhook.Recover{ID: id, Since: since}))
		answer := out[0].Reply.Body.(webhook.Recovered)
		if got := fmt.Sprintf("%d %t", answer.Queued, answer.More); got != want {
			t.Errorf("recovered %s, want %s", got, want)
		}
	}
	if n := count(t, pool, `SELECT count(*) FROM delivery WHERE state = 0 AND give_up_at > now()`); n != len(inputs) {
		t.Errorf("%d are on their way, want %d", n, len(inputs))
	}
}

// However many events a batch has, it takes as many statements; without an endpoint, one to see that.
func TestStatements(t *testing.T) {
	t.Parallel()
	pool, asked := rig.CountedDatabase(t, store.Migrate)
	id := newID()
	decide(t, pool, time.Now(), command(webhook.Create{ID: id, URL: "https://shop.example/", Events: []string{"*"}, Secret: "whsec_AAAA"}))
	var few, many int
	few = asked.During(func() { decide(t, pool, time.Now(), fact(newID())) })
	var inputs []flow.Input
	for range 500 {
		inputs = append(inputs, fact(newID()))
	}
	many = asked.During(func() { decide(t, pool, time.Now(), inputs...) })
	if few == 0 || few != many || deliveries(t, pool) != 501 {
		t.Errorf("%d statements for one event, %d for 500", few, many)
	}
}

func deliveries(t *testing.T, pool *pgxpool.Pool) int {
	return count(t, pool, `SELECT count(*) FROM delivery`)
}
