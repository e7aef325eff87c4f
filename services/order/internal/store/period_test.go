package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/order/internal/store"
)

// placedAt puts an order of m down as placed at that moment, with an id of another clock.
func placedAt(t *testing.T, pool *pgxpool.Pool, at time.Time, ahead time.Duration) string {
	t.Helper()
	id := uuid.New()
	ms := at.Add(ahead).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | id[6]&0x0f
	w := &order.World{}
	w.Orders.Put(id.String(), order.Order{OrderID: id.String(), UserID: "m", Status: order.Pending, Progress: order.AtStock, CreatedAt: at, UpdatedAt: at})
	save(t, pool, w)
	return id.String()
}

func listed(t *testing.T, pool *pgxpool.Pool, f store.Filter) []string {
	t.Helper()
	f.UserID = "m"
	orders, err := store.Reader{Pool: pool}.Orders(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, o := range orders {
		ids = append(ids, o.OrderID)
	}
	return ids
}

// A period has its first moment and not its last, by the database's clock, whatever the clock that made the ids said.
func TestOrdersOfAPeriod(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	first := placedAt(t, pool, noon, -50*time.Minute)
	second := placedAt(t, pool, noon.Add(time.Minute), 50*time.Minute)
	third := placedAt(t, pool, noon.Add(2*time.Hour), 0)
	for _, c := range []struct {
		from, to time.Time
		want     []string
	}{
		{time.Time{}, time.Time{}, []string{third, second, first}},
		{noon, time.Time{}, []string{third, second, first}},
		{noon.Add(time.Microsecond), time.Time{}, []string{third, second}},
		{time.Time{}, noon, []string{}},
		{noon, noon.Add(time.Minute), []string{first}},
		{noon, noon.Add(time.Minute + time.Microsecond), []string{second, first}},
		{noon.Add(2 * time.Hour), noon.Add(3 * time.Hour), []string{third}},
		{noon.Add(time.Hour), noon, []string{}},
		{time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), []string{third, second, first}},
	} {
		if diff := cmp.Diff(c.want, listed(t, pool, store.Filter{From: c.from, To: c.to, Limit: 10})); diff != "" {
			t.Errorf("%s to %s: %s", c.from, c.to, diff)
		}
	}
}

// Going on from page to page shows every order once, in one order, although new ones come between two pages.
func TestPagesWhileOrdersCome(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	var want, got []string
	for i := range 7 {
		want = append(want, placedAt(t, pool, noon.Add(time.Duration(i)*time.Second), 0))
	}
	slices.Reverse(want)
	for after, page := "", 0; page < 10; page++ {
		ids := listed(t, pool, store.Filter{After: after, Limit: 2})
		if len(ids) == 0 {
			break
		}
		got, after = append(got, ids...), ids[len(ids)-1]
		placedAt(t, pool, noon.Add(time.Duration(page+10)*time.Second), 0)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(fmt.Sprint(len(got), " orders: ", diff))
	}
}
