package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
)

// One replica compares at a time, and the next one can as soon as it has ended, in whatever way.
func TestOneReconcilerAtATime(t *testing.T) {
	t.Parallel()
	url := testkit.Database(t, store.Migrate)
	one, other := testkit.Pool(t, url), testkit.Pool(t, url)
	failed := errors.New("failed")
	for _, end := range []error{failed, nil} {
		err := store.Alone(t.Context(), one, func(ctx context.Context) error {
			second := store.Alone(ctx, other, func(context.Context) error { t.Error("two at once"); return nil })
			if !errors.Is(second, store.ErrBusy) {
				t.Errorf("the other replica: %v", second)
			}
			return end
		})
		if !errors.Is(err, end) {
			t.Errorf("%v, want %v", err, end)
		}
	}
	ran := false
	if err := store.Alone(t.Context(), other, func(context.Context) error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("the next one: %v, ran: %v", err, ran)
	}
}

// What is found again keeps its time, what is judged and not found goes, what was not judged stays.
func TestDifferencesAreKept(t *testing.T) {
	t.Parallel()
	pool := testkit.Pool(t, testkit.Database(t, store.Migrate))
	keep := func(judged []string, keys ...string) []string {
		t.Helper()
		var found []store.Difference
		for _, key := range keys {
			found = append(found, store.Difference{Key: key, Rule: "r", About: "o", Report: []byte(`{}`)})
		}
		if err := store.KeepDifferences(t.Context(), pool, found, judged); err != nil {
			t.Fatal(err)
		}
		var stand []string
		list, err := store.Differences(t.Context(), pool, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			stand = append(stand, d.Key)
		}
		return stand
	}
	for i, step := range []struct {
		judged, found, want []string
	}{
		{nil, []string{"a"}, []string{"a"}},
		{nil, []string{"b"}, []string{"a", "b"}},
		{[]string{"b"}, []string{"b"}, []string{"a", "b"}},
		{[]string{"a"}, []string{"c"}, []string{"b", "c"}},
		{[]string{"b", "c"}, nil, nil},
	} {
		if got := keep(step.judged, step.found...); !slices.Equal(got, step.want) {
			t.Errorf("step %d: %v stand, want %v", i, got, step.want)
		}
	}
}

// Orders that had an event are listed by its time, products are not, and no time is listed twice.
func TestChangedOrders(t *testing.T) {
	t.Parallel()
	pool := testkit.Pool(t, testkit.Database(t, store.Migrate))
	begin := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	const first, second = "0190a3a0-0000-7000-8000-000000000001", "0190a3a0-0000-7000-8000-000000000002"
	for i, subject := range []string{first, "PRODUCT", second, first} {
		if _, err := pool.Exec(t.Context(), `
			INSERT INTO event (id, subject, type, service, sequence, occurred_at, causation, command, correlation, topic, partition, kafka_offset, payload)
			VALUES (gen_random_uuid(), $1, '', '', 1, $2, '', '', '', '', 0, 0, '')`, subject, begin.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		since, until time.Duration
		limit        int
		want         []string
		upTo         time.Duration
	}{
		{-time.Second, 10 * time.Second, 10, []string{second, first}, 10 * time.Second},
		{-time.Second, 2 * time.Second, 10, []string{first, second}, 2 * time.Second},
		{0, 2 * time.Second, 10, []string{second}, 2 * time.Second},
		{-time.Second, 10 * time.Second, 2, []string{second}, 2 * time.Second},
		{3 * time.Second, 10 * time.Second, 10, nil, 10 * time.Second},
	} {
		got, upTo, err := store.Changed(t.Context(), pool, begin.Add(c.since), begin.Add(c.until), c.limit)
		if err != nil || !slices.Equal(got, c.want) || !upTo.Equal(begin.Add(c.upTo)) {
			t.Errorf("from %s to %s: %v up to %s, %v; want %v up to %s", c.since, c.until, got, upTo.Sub(begin), err, c.want, c.upTo)
		}
	}
}
