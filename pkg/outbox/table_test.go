package outbox

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

func migrateAlone(ctx context.Context, url string) error {
	return pg.Migrate(ctx, url, Migrations, MigrationTable)
}

// backlog returns a relay's connection to an outbox with n rows of the given payload, in one key.
func backlog(t *testing.T, n, payload int) *pgx.Conn {
	t.Helper()
	conn, err := connect(t.Context(), testkit.Database(t, migrateAlone))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeConn(conn) })
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{Topic: "order.v1", Key: "order", EventID: uuid.New(), Seq: int32(i + 1), Payload: make([]byte, payload)}
	}
	if err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error { return Append(t.Context(), tx, records) }); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A read of a backlog touches its head, whatever the statistics say: here they say that the table has
// never been looked at.
func TestReadFindsTheHeadByTheIndex(t *testing.T) {
	t.Parallel()
	conn := backlog(t, 20_000, 100)
	rows, err := conn.Query(t.Context(), `EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) `+readOldest, 2000, rowOverhead, readBytes)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	plan := strings.Join(lines, "\n")
	if !strings.Contains(plan, "Index Scan using outbox_pkey on outbox (actual rows=2000") || strings.Contains(plan, "Sort") {
		t.Errorf("the plan reads more than the head:\n%s", plan)
	}
	oldest, full, err := read(t.Context(), conn, 2000)
	if err != nil {
		t.Fatal(err)
	}
	if len(oldest) != 2000 || !full || oldest[0].id != 1 || oldest[1999].id != 2000 {
		t.Errorf("read %d rows (full: %v): want the first 2,000", len(oldest), full)
	}
}

// Large rows are read as many at a time as fit one record batch, and always at least one.
func TestReadIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	for payload, want := range map[int]int{900_000: 1, 400_000: 2, 90_000: 10} {
		rows, _, err := read(t.Context(), backlog(t, 12, payload), 2000)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != want {
			t.Errorf("read %d rows of %d bytes: want %d", len(rows), payload, want)
		}
	}
}

// The largest row that the constraints allow must be readable, or it would block the relay for ever.
func TestTheLargestRowIsRead(t *testing.T) {
	t.Parallel()
	const allowed = 900_000 + 32_768 + 4_096
	if allowed+rowOverhead > readBytes {
		t.Errorf("a row may have %d bytes, and a read ends at %d", allowed+rowOverhead, readBytes)
	}
	if readBytes >= batchBytes {
		t.Errorf("a read may have %d bytes, and a record batch ends at %d", readBytes, batchBytes)
	}
}

func TestHeadersThatAreNotOursAreRefused(t *testing.T) {
	t.Parallel()
	whole := encodeHeaders(nil, []Header{{Key: "ce_id", Value: "1"}, {Key: "", Value: ""}})
	for cut := 1; cut < len(whole); cut++ {
		headers, err := decodeHeaders(whole[:cut])
		if err == nil && len(headers) != 1 {
			t.Errorf("%d bytes of %d are read as %v", cut, len(whole), headers)
		}
	}
	if _, err := decodeHeaders([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}); err == nil {
		t.Error("a length beyond the end is taken")
	}
}
