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
	fill(t, conn, n, payload)
	return conn
}

func fill(t *testing.T, conn *pgx.Conn, n, payload int) {
	t.Helper()
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{Topic: "order.v1", Key: "order", EventID: uuid.New(), Seq: int32(i + 1), Payload: make([]byte, payload)}
	}
	if err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error { return Append(t.Context(), tx, records) }); err != nil {
		t.Fatal(err)
	}
}

// A read of a backlog touches its head, whatever the statistics say: that the table has never been looked
// at, or that it was nearly empty when vacuum was there last, which is the rule. Left alone, the planner
// then reads all of the table and sorts it.
func TestReadFindsTheHeadByTheIndex(t *testing.T) {
	t.Parallel()
	t.Run("no statistics", func(t *testing.T) {
		t.Parallel()
		readsTheHead(t, backlog(t, 20_000, 100), 1)
	})
	t.Run("nearly empty at the last vacuum", func(t *testing.T) {
		t.Parallel()
		conn := backlog(t, 20_000, 100)
		for _, sql := range []string{`DELETE FROM outbox WHERE id % 200 <> 0`, `VACUUM outbox`, `DELETE FROM outbox`} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		fill(t, conn, 20_000, 100)
		readsTheHead(t, conn, 20_001)
	})
}

// readsTheHead checks the relay's plan and what it reads of 20,000 rows, the first of which has the id given.
func readsTheHead(t *testing.T, conn *pgx.Conn, first int64) {
	t.Helper()
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
	if len(oldest) != 2000 || !full || oldest[0].id != first || oldest[1999].id != first+1999 {
		t.Errorf("read %d rows (full: %v): want the first 2,000", len(oldest), full)
	}
}

// What the relay holds while its process is stopped, or the server does not answer, it does not hold for ever.
func TestTheRelaysSessionIsBounded(t *testing.T) {
	t.Parallel()
	conn, err := connect(t.Context(), testkit.Database(t, migrateAlone))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeConn(conn) })
	for setting, want := range map[string]string{
		"idle_session_timeout": "5s", "statement_timeout": "10s", "lock_timeout": "5s",
		"client_connection_check_interval": "2s", "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "2",
	} {
		var got string
		if err := conn.QueryRow(t.Context(), `SELECT current_setting($1)`, setting).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s is %s: want %s", setting, got, want)
		}
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
