package history_test

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/tests/bench/history"
)

func TestMain(m *testing.M) {
	// Of the person who runs the tests: the command line would speak to that system.
	os.Unsetenv("GATEWAY_URL")
	os.Unsetenv("OPERATOR_TOKEN")
	testkit.Main(m)
}

const patience = 60 * time.Second

// past is a small one: 30 days, so that inboxes and answers of commands are among it.
func past(urls map[string]string) history.Config {
	return history.Config{Databases: urls, Orders: 2_000, Members: 50, Products: 20, Days: 30, Sample: 1_000, Seed: 7}
}

func databases(t *testing.T) map[string]string {
	urls := map[string]string{}
	for _, name := range local.Services() {
		urls[name] = testkit.Database(t)
	}
	return urls
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A shop opens on a past: verify finds nothing wrong with it, an old order is told with its timeline, and a new one
// goes through, of a member and a product that were there.
func TestAShopOpensOnItsPast(t *testing.T) {
	t.Parallel()
	urls := databases(t)
	var log bytes.Buffer
	cfg := past(urls)
	cfg.Log = &log
	report, err := history.Load(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	spaceAndTimeAreStated(t, log.String())
	estimateHolds(t, report)
	eventsAreTrue(t, urls["gateway"])
	indexesAreBack(t, urls)
	inboxHasDays(t, urls["order"])

	s := open(t, urls)
	s.verify(t, cfg)
	s.tellsOld(t, urls["order"])
	s.sells(t)
	s.verify(t, history.Config{Orders: cfg.Orders + 1, Products: cfg.Products})

	if _, err := history.Load(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "there are rows already") {
		t.Errorf("a past over another: %v", err)
	}
}

// spaceAndTimeAreStated: what it will take is said before anything is loaded.
func spaceAndTimeAreStated(t *testing.T, log string) {
	t.Helper()
	before, _, loaded := strings.Cut(log, "vacuum and analyze")
	before, _, _ = strings.Cut(before, "million rows") // of the progress, if it lasted a second
	if !loaded || !strings.Contains(before, "have to be free with 20 % to spare") || !strings.Contains(before, "at the sample's rate") {
		t.Errorf("space and time were not stated:\n%s", log)
	}
}

// estimateHolds: what the sample foretold is about what it took. Small tables differ by whole pages.
func estimateHolds(t *testing.T, r history.Report) {
	t.Helper()
	t.Logf("%d rows, %d bytes, %d foretold; %v, %.1f s foretold", r.Rows, r.TotalBytes, r.Estimate.DataBytes, r.Phases, r.Estimate.Seconds)
	if got, want := r.TotalBytes, r.Estimate.DataBytes; got < want*7/10 || got > want*14/10 {
		t.Errorf("%d bytes, the estimate was %d", got, want)
	}
	if r.Estimate.Seconds <= 0 {
		t.Errorf("the estimate of the time was %v s", r.Estimate.Seconds)
	}
	if r.Rows < 2_000*30 || r.Orders != 2_000 {
		t.Errorf("%d orders have %d rows", r.Orders, r.Rows)
	}
}

// query collects the rows of a question.
func query[T any](t *testing.T, url, sql string, to pgx.RowToFunc[T], args ...any) []T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	check(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql, args...)
	check(t, err)
	all, err := pgx.CollectRows(rows, to)
	check(t, err)
	return all
}

type event struct {
	ID         uuid.UUID
	Subject    string
	Type       string
	OccurredAt time.Time
	Payload    []byte
}

// eventsAreTrue reads every event as its readers would: it is of its subject, and of its time.
func eventsAreTrue(t *testing.T, url string) {
	t.Helper()
	events := query(t, url, `SELECT id, subject, type, occurred_at, payload FROM event`, pgx.RowToStructByPos[event])
	if len(events) < 2_000*5 {
		t.Fatalf("%d events", len(events))
	}
	for _, e := range events {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(e.Type))
		check(t, err)
		m := kind.New()
		if err := proto.Unmarshal(e.Payload, m.Interface()); err != nil {
			t.Fatalf("%s %s: %v", e.Type, e.ID, err)
		}
		if about := m.Get(kind.Descriptor().Fields().ByNumber(1)).String(); about != e.Subject {
			t.Fatalf("%s of %s is about %s", e.Type, e.Subject, about)
		}
		if made := time.UnixMilli(int64(uint64(e.ID[0])<<40 | uint64(e.ID[1])<<32 | uint64(e.ID[2])<<24 | uint64(e.ID[3])<<16 | uint64(e.ID[4])<<8 | uint64(e.ID[5]))); made.Sub(e.OccurredAt).Abs() > time.Minute {
			t.Fatalf("%s of %s happened at %s and its id was made at %s", e.Type, e.Subject, e.OccurredAt, made)
		}
		for _, at := range times(m) {
			if at.Sub(e.OccurredAt).Abs() > 5*time.Minute {
				t.Fatalf("%s of %s happened at %s and names the time %s", e.Type, e.Subject, e.OccurredAt, at)
			}
		}
	}
}

// times lists every Timestamp in a message.
func times(m protoreflect.Message) []time.Time {
	var all []time.Time
	if ts, is := m.Interface().(*timestamppb.Timestamp); is {
		return []time.Time{ts.AsTime()}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				all = append(all, times(v.List().Get(i).Message())...)
			}
		default:
			all = append(all, times(v.Message())...)
		}
		return true
	})
	return all
}

const schemaSQL = `
	SELECT tablename || ' ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ '^inbox'
	UNION ALL SELECT conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
		WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text !~ '^inbox'
	ORDER BY 1`

// indexesAreBack holds every index and constraint against those of a new database, and wants all rows visible to all,
// as autovacuum leaves them.
func indexesAreBack(t *testing.T, urls map[string]string) {
	t.Helper()
	fresh := databases(t)
	for name, migrate := range history.Migrations() {
		check(t, migrate(t.Context(), fresh[name]))
		want := query(t, fresh[name], schemaSQL, pgx.RowTo[string])
		got := query(t, urls[name], schemaSQL, pgx.RowTo[string])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s has other indexes and constraints (-new +past):\n%s", name, diff)
		}
		dark := query(t, urls[name], `SELECT relname || ' ' || relallvisible || ' of ' || relpages FROM pg_class
			WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples > 0 AND relallvisible < relpages`, pgx.RowTo[string])
		for _, table := range dark {
			if !strings.Contains(table, "_migration") {
				t.Errorf("%s: %s pages are visible to all", name, table)
			}
		}
	}
}

// inboxHasDays: of 30 days of orders the last 14 are remembered, each in a partition of its own.
func inboxHasDays(t *testing.T, url string) {
	t.Helper()
	days := query(t, url, `SELECT DISTINCT tableoid::regclass::text || ' ' || to_char(day, 'YYYYMMDD') FROM inbox ORDER BY 1`, pgx.RowTo[string])
	if len(days) < 14 || len(days) > 16 {
		t.Errorf("the inbox remembers %d days: %v", len(days), days)
	}
	for _, d := range days {
		if table, day, _ := strings.Cut(d, " "); table != "inbox_"+day {
			t.Errorf("events of %s are in %s", day, table)
		}
	}
	if ages := query(t, url, `SELECT (max(clock_timestamp() - created_at) < '25h' AND count(*) > 10)::text FROM command`, pgx.RowTo[string]); !slices.Equal(ages, []string{"true"}) {
		t.Errorf("answers of commands are not those of the last day: %v", ages)
	}
}

// A past that does not fit is refused before anything is loaded, with both figures.
func TestTooLargeAPast(t *testing.T) {
	t.Parallel()
	cfg := past(databases(t))
	cfg.Orders, cfg.Members = 2_000_000_000, 1_000_000
	_, err := history.Load(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "GB have to be free, and ") || !strings.Contains(err.Error(), " orders would fit") {
		t.Errorf("two thousand million orders: %v", err)
	}
	if n := query(t, cfg.Databases["order"], `SELECT count(*) FROM pg_class WHERE relname = 'orders'`, pgx.RowTo[int]); n[0] != 0 {
		t.Error("tables were made before it was refused")
	}
}

// Where the disk is too small for all, the services beside the way may know the newest orders only.
func TestTheSideKnowsTheNewest(t *testing.T) {
	t.Parallel()
	cfg := past(databases(t))
	cfg.Orders, cfg.SideOrders = 500, 40
	if _, err := history.Load(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	newest := query(t, cfg.Databases["order"], `SELECT order_id FROM orders ORDER BY order_id DESC`, pgx.RowTo[string])
	if len(newest) != cfg.Orders {
		t.Fatalf("order has %d orders", len(newest))
	}
	known := query(t, cfg.Databases["gateway"], `SELECT order_id FROM order_line ORDER BY order_id DESC`, pgx.RowTo[string])
	if diff := cmp.Diff(newest[:cfg.SideOrders], known); diff != "" {
		t.Errorf("the gateway knows others (-newest +known):\n%s", diff)
	}
	for service, sql := range map[string]string{"mailer": `SELECT DISTINCT order_id FROM mail`, "shipping": `SELECT order_id FROM shipment`} {
		for _, id := range query(t, cfg.Databases[service], sql, pgx.RowTo[string]) {
			if !slices.Contains(known, id) {
				t.Errorf("%s knows order %s, which the gateway does not", service, id)
			}
		}
	}
	if n := query(t, cfg.Databases["payment"], `SELECT count(*) FROM payment`, pgx.RowTo[int]); n[0] < cfg.Orders*9/10 {
		t.Errorf("payment has %d payments", n[0])
	}
}

// What cannot be is refused at once.
func TestConfigIsHeldAgainstWhatCanBe(t *testing.T) {
	t.Parallel()
	urls := map[string]string{}
	for _, name := range local.Services() {
		urls[name] = "postgres://nobody@127.0.0.1:1/none"
	}
	for want, cfg := range map[string]history.Config{
		"no database for": {Orders: 1},
		"negative":        {Databases: urls, Orders: -1},
		"at most":         {Databases: urls, Orders: 1, Members: 2_000_000},
		"one coupon of a": {Databases: urls, Orders: 4_000_000, Members: 100},
		"points":          {Databases: urls, Orders: 1_000_000, Members: 10},
	} {
		if _, err := history.Load(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", cfg, err, want)
		}
	}
}
