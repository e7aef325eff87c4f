package service_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/order/service"
)

// gauge reads a series of the service's metrics; -1 if it is not there.
func gauge(t *testing.T, admin, name, progress string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, admin+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(key, name+"{") && strings.Contains(key, `progress="`+progress+`"`) {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return -1
}

// An order that stands still shows in the metric of the step it waits for, and the step is 0 again when
// it has gone on.
func TestOldestWaitingOrder(t *testing.T) {
	t.Parallel()
	admin := rig.Listen(t, "")
	s := start(t, func(c *service.Config) { c.AdminListener = admin })
	at := "http://" + admin.Addr().String()
	const oldest, orders = "quadrille_oldest_waiting_order_seconds", "quadrille_waiting_orders"
	if got := gauge(t, at, oldest, "STOCK"); got != 0 {
		t.Errorf("while nobody waits the oldest waits for %v", got)
	}
	s.list()
	id := s.place(seedBody)
	if _, err := s.Pool.Exec(t.Context(), `UPDATE orders SET updated_at = updated_at - interval '81 days' WHERE order_id = $1`, id); err != nil {
		t.Fatal(err)
	}
	if age, n := gauge(t, at, oldest, "STOCK"), gauge(t, at, orders, "STOCK"); age < 81*24*3600 || n != 1 {
		t.Errorf("%v orders wait for stock, the oldest for %v seconds", n, age)
	}
	s.Publish(id, decreased(id))
	s.CaughtUp()
	if age := gauge(t, at, oldest, "STOCK"); age != 0 {
		t.Errorf("the order has gone on, and stock's oldest waits for %v", age)
	}
	if n := gauge(t, at, orders, "PAYMENT"); n != 1 {
		t.Errorf("%v orders wait for payment", n)
	}
}
