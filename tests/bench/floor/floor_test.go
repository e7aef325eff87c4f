package floor_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/tests/bench/floor"
)

// orders of each side. Each has its own member and product, so that rows which orders share are written once
// for each of them on both sides.
const orders = 200

// TestFloorIsTheSystem has the same orders through the real system and through the floor, and compares what
// was written: how often each table's rows, and how large they are; which records, with which headers, and
// how large. When it fails after a change of the system, plan.go is what has to follow.
func TestFloorIsTheSystem(t *testing.T) {
	t.Parallel()
	s := newSystem(t, orders)
	s.seed(t)
	before := census(t, s.databases)
	s.place(t)
	real := census(t, s.databases)
	for name, c := range before {
		real[name] = real[name].plus(c, -1)
	}

	// How many events of an order are taken at once is a matter of timing: the floor does as was done.
	gatewayTouches := 1 + int(math.Round(perOrder(real["gateway.order_line"].updates)))
	orderTouches := int(math.Round(perOrder(real["order.orders"].updates)))
	bare, prefix := runFloor(t, gatewayTouches, orderTouches)
	compareTables(t, real, bare)
	compareRecords(t, records(t, s.brokers, s.prefix), records(t, s.brokers, prefix))
}

func perOrder(n int64) float64 { return float64(n) / orders }

// runFloor writes the orders and counts what it wrote; the seeds are taken out.
func runFloor(t *testing.T, gatewayTouches, orderTouches int) (map[string]count, string) {
	t.Helper()
	cfg := floor.Config{
		Database: testkit.Database(t), Brokers: testkit.Brokers(t), Prefix: testkit.TopicPrefix(t),
		Orders: orders, Seed: 1, Batch: 64, Products: orders, Members: orders, Partitions: partitions,
		GatewayTouches: gatewayTouches, OrderTouches: orderTouches, Traced: true,
	}
	databases := map[string]string{}
	for _, service := range floor.Services() {
		databases[service] = sibling(t, cfg.Database, floor.DatabaseName(cfg.Prefix, service))
	}
	t.Cleanup(func() { drop(t, cfg.Database, cfg.Prefix) })
	result, err := floor.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if result.Orders != orders || result.PerSecond <= 0 || result.Latency.P99 < result.Latency.P50 || result.Latency.P50 <= 0 {
		t.Errorf("the floor's result is %+v", result)
	}
	counts := census(t, databases)
	for _, name := range []string{"stock.product", "payment.points"} {
		c := counts[name]
		c.inserts, c.rows, c.bytes = c.inserts-orders, 0, 0
		counts[name] = c
	}
	return counts, cfg.Prefix
}

// sibling is the URL of another database of the same server.
func sibling(t *testing.T, database, name string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// drop removes the floor's databases.
func drop(t *testing.T, database, prefix string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(ctx)
	for _, service := range floor.Services() {
		name := pgx.Identifier{floor.DatabaseName(prefix, service)}.Sanitize()
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	}
}

// notOrders are tables that change with something else than the number of orders.
var notOrders = map[string]string{
	"fence":          "a row per partition and batch",
	"member":         "copied from a file at every start",
	"address":        "copied from a file at every start",
	"reading_start":  "a row per partition, once",
	"reconciliation": "by the clock",
}

// beside are services that the floor does without, so that it is compared with more than itself: they export what is on
// the topics, and how much they write of it is their business.
var beside = []string{"dataplatform.", "webhook."}

// byTiming are tables whose updates depend on what is taken at once, and by how much an order's may differ:
// half an update where the number of touches is rounded; of subjects, the first ones that a service makes are
// not right for the event that is emitted (see engine's habit).
var byTiming = map[string]float64{
	"order.orders": 0.51, "gateway.order_line": 0.51, "gateway.conformance": 0.6,
	"order.subject": 0.3, "stock.subject": 0.3, "payment.subject": 0.3, "shipping.subject": 0.3,
}

// compareTables holds what the floor did to each table against what the system did.
func compareTables(t *testing.T, real, bare map[string]count) {
	t.Helper()
	names := slices.Sorted(maps.Keys(real))
	for name := range bare {
		if _, there := real[name]; !there {
			names = append(names, name)
		}
	}
	for _, name := range names {
		_, table, _ := strings.Cut(name, ".")
		want, got := real[name], bare[name]
		if strings.HasSuffix(table, "_migration") || notOrders[table] != "" ||
			slices.ContainsFunc(beside, func(service string) bool { return strings.HasPrefix(name, service) }) {
			continue
		}
		updates := 0.02 // a transaction that is run again counts twice: that happens to a few
		if more, timed := byTiming[name]; timed {
			updates = more
		}
		for _, c := range []struct {
			what      string
			want, got int64
			tolerance float64
		}{
			{"inserts", want.inserts, got.inserts, 0.02},
			{"updates", want.updates, got.updates, updates},
			{"deletes", want.deletes, got.deletes, 0.02},
		} {
			if math.Abs(perOrder(c.want)-perOrder(c.got)) > c.tolerance {
				t.Errorf("%s of %s: the system makes %.2f for an order, the floor %.2f", c.what, name, perOrder(c.want), perOrder(c.got))
			}
		}
		if want.inserts+want.updates > 0 {
			t.Logf("%-22s %.2f %.2f %.2f rows of %.0f bytes, the floor's %.0f", name, perOrder(want.inserts), perOrder(want.updates),
				perOrder(want.deletes), want.width(), got.width())
		}
		near(t, "rows of "+name, want.width(), got.width())
	}
	for _, service := range floor.Services() {
		if name := service + ".fence"; real[name].updates == 0 || bare[name].updates == 0 {
			t.Errorf("%s moved %d times, the floor's %d times", name, real[name].updates, bare[name].updates)
		}
	}
}

// near says so if two mean sizes are more than a tenth apart.
func near(t *testing.T, what string, want, got float64) {
	t.Helper()
	if math.Abs(want-got) > want/10 {
		t.Errorf("%s have %.1f bytes in the system and %.1f in the floor", what, want, got)
	}
}

// kind is what there is of one type of event.
type kind struct {
	count   int
	bytes   int
	headers []string
}

func (k kind) size() float64 { return float64(k.bytes) / float64(max(1, k.count)) }

// kinds sorts records by topic and type; those about products and members are not an order's.
func kinds(records []*kgo.Record, prefix string) map[string]kind {
	all := map[string]kind{}
	for _, r := range records {
		if strings.HasPrefix(string(r.Key), "PRD_") || strings.TrimPrefix(r.Topic, prefix) == "member.v1" {
			continue
		}
		bytes, headers, eventType := len(r.Key)+len(r.Value), []string{}, ""
		for _, h := range r.Headers {
			bytes += len(h.Key) + len(h.Value)
			headers = append(headers, h.Key)
			if h.Key == "ce_type" {
				eventType = string(h.Value)
			}
		}
		name := strings.TrimPrefix(r.Topic, prefix) + " " + eventType
		all[name] = kind{count: all[name].count + 1, bytes: all[name].bytes + bytes, headers: headers}
	}
	return all
}

func prefixOf(records []*kgo.Record) string {
	if len(records) == 0 {
		return ""
	}
	prefix, _, _ := strings.Cut(records[0].Topic, "-")
	return prefix + "-"
}

// compareRecords holds the floor's records against the system's.
func compareRecords(t *testing.T, real, bare []*kgo.Record) {
	t.Helper()
	want, got := kinds(real, prefixOf(real)), kinds(bare, prefixOf(bare))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("topics and types (-system +floor):\n%s", diff)
	}
	for name, w := range want {
		g := got[name]
		if w.count != orders || g.count != orders {
			t.Errorf("%s: %d records of the system, %d of the floor, for %d orders", name, w.count, g.count, orders)
		}
		if diff := cmp.Diff(w.headers, g.headers); diff != "" {
			t.Errorf("headers of %s (-system +floor):\n%s", name, diff)
		}
		near(t, "records of "+name, w.size(), g.size())
		t.Logf("%-48s %.0f bytes, the floor's %.0f", name, w.size(), g.size())
	}
}

// TestRefused names what cannot be.
func TestRefused(t *testing.T) {
	t.Parallel()
	good := floor.Config{Database: "postgres://127.0.0.1:1/none", Brokers: []string{"127.0.0.1:1"}, Prefix: "x-", Orders: 1}
	for name, change := range map[string]func(*floor.Config){
		"no database":      func(c *floor.Config) { c.Database = "" },
		"no brokers":       func(c *floor.Config) { c.Brokers = nil },
		"no prefix":        func(c *floor.Config) { c.Prefix = "" },
		"no orders":        func(c *floor.Config) { c.Orders = 0 },
		"negative warm-up": func(c *floor.Config) { c.Warmup = -1 },
		"negative batch":   func(c *floor.Config) { c.Batch = -1 },
		"six touches":      func(c *floor.Config) { c.GatewayTouches = 6 },
		"one touch":        func(c *floor.Config) { c.OrderTouches = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			change(&cfg)
			if _, err := floor.Run(t.Context(), cfg); err == nil || !strings.HasPrefix(err.Error(), "floor: ") {
				t.Errorf("Run(%s) = %v, want a refusal", fmt.Sprint(cfg), err)
			}
		})
	}
}
