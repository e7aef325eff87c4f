package outbox

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/twmb/franz-go/pkg/kgo"
)

// election is the advisory lock's key. Advisory locks are per database, and a database has one outbox.
const election = 0x6f7574626f78 // "outbox"

// readBytes bounds a read, so that all of it fits one record batch (see publish). The largest row that
// the table's constraints allow is counted as 937,124 bytes, hence the oldest row is always read.
const readBytes = 960_000

// rowOverhead is what a row counts beyond its texts: Kafka's framing of a record and of its headers,
// with room to spare.
const rowOverhead = 256

// row is an outbox row on its way.
type row struct {
	id     int64
	event  uuid.UUID
	record *kgo.Record
}

// connConfig is how the relay connects; settings given in the URL win.
func connConfig(url string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse the outbox's database URL: %w", err)
	}
	settings := map[string]string{
		"application_name": "outbox relay",
		// A process that is stopped (SIGSTOP, a frozen machine) keeps its connection and with it the
		// election; its kernel goes on answering keepalives. So the server ends a session that has not
		// asked anything for 5 s: a relay that lives asks at least every 2 s.
		"idle_session_timeout": strconv.Itoa(int(sessionIdle.Milliseconds())),
		// A machine that is gone answers no keepalives.
		"tcp_keepalives_idle":              "5",
		"tcp_keepalives_interval":          "5",
		"tcp_keepalives_count":             "2",
		"client_connection_check_interval": "2s",
		"statement_timeout":                "10s",
		"lock_timeout":                     "5s",
		// A delete that a crash of the server forgets is a row sent twice, which consumers drop anyhow.
		// Not waiting for the disk here takes nothing from anybody's promise, and saves an fsync a batch.
		"synchronous_commit": "off",
		// The oldest rows by the primary key, whatever the statistics of a table say that is empty at
		// one moment and full at the next: a sequential scan and a sort would read all of a backlog
		// to find its head.
		"enable_seqscan":    "off",
		"enable_bitmapscan": "off",
		"enable_sort":       "off",
		"jit":               "off",
	}
	for name, value := range settings {
		if _, given := cfg.RuntimeParams[name]; !given {
			cfg.RuntimeParams[name] = value
		}
	}
	return cfg, nil
}

// sessionIdle is how long the server keeps the session, hence the election, of a relay that is silent.
const sessionIdle = 5 * time.Second

// connect opens the relay's own connection.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := connConfig(url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the outbox's database: %w", err)
	}
	return conn, nil
}

// closeConn gives the lock back in an orderly way; should the server not answer, it notices the closed
// socket or, at worst, the missing keepalives.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // an error here says that it is closed already
}

// campaign asks for the election, and looks how long the oldest row has been waiting: who stands by
// reports it too, since the elected relay may be the one in trouble.
func campaign(ctx context.Context, conn *pgx.Conn) (won bool, oldest uuid.UUID, err error) {
	const ask = `SELECT pg_try_advisory_lock($1), (SELECT event_id FROM outbox ORDER BY id LIMIT 1)`
	var id pgtype.UUID
	if err := conn.QueryRow(ctx, ask, int64(election)).Scan(&won, &id); err != nil {
		return false, uuid.Nil, fmt.Errorf("ask for the relay's election: %w", err)
	}
	return won, id.Bytes, nil
}

// readOldest has no lower bound on id: "id > the last one sent" would pass over a transaction that took
// its ids early and commits late. It is one statement, so one snapshot. octet_length does not fetch a
// payload that is stored out of line, so rows beyond the bound cost nothing.
const readOldest = `
SELECT id, topic, key, event_id, headers, payload
FROM (SELECT *, sum(coalesce(octet_length(payload), 0) + octet_length(headers) + octet_length(key) + $2::int)
                OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS bytes
      FROM (SELECT id, topic, key, event_id, headers, payload FROM outbox ORDER BY id LIMIT $1) AS oldest) AS measured
WHERE bytes <= $3
ORDER BY id`

// read returns the oldest rows, at most limit of them and at most readBytes. full says that there
// are probably more.
func read(ctx context.Context, conn *pgx.Conn, limit int) (rows []row, full bool, err error) {
	found, err := conn.Query(ctx, readOldest, limit, rowOverhead, readBytes)
	if err != nil {
		return nil, false, fmt.Errorf("read the outbox: %w", err)
	}
	size := 0
	rows, err = pgx.CollectRows(found, func(r pgx.CollectableRow) (row, error) {
		var (
			out        row
			topic      string
			id         pgtype.UUID
			headers    []byte
			key, value []byte
		)
		if err := r.Scan(&out.id, &topic, &key, &id, &headers, &value); err != nil {
			return row{}, err
		}
		decoded, err := decodeHeaders(headers)
		if err != nil {
			return row{}, fmt.Errorf("row %d: %w", out.id, err)
		}
		size += len(value) + len(headers) + len(key) + rowOverhead
		out.event = id.Bytes
		out.record = &kgo.Record{Topic: topic, Key: key, Value: value, Headers: decoded}
		return out, nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the outbox: %w", err)
	}
	return rows, len(rows) == limit || size > readBytes/2, nil
}

func oldestOf(rows []row) uuid.UUID {
	if len(rows) == 0 {
		return uuid.Nil
	}
	return rows[0].event
}

// remove deletes exactly these rows: a range would take along what has been committed in between.
func remove(ctx context.Context, conn *pgx.Conn, ids []int64) error {
	if _, err := conn.Exec(ctx, `DELETE FROM outbox WHERE id = ANY($1)`, ids); err != nil {
		return fmt.Errorf("delete %d published rows: %w", len(ids), err)
	}
	return nil
}

// deadTuples is how many deleted rows vacuum has not taken away yet, as PostgreSQL counts them.
func deadTuples(ctx context.Context, conn *pgx.Conn) (n int64, err error) {
	const ask = `SELECT coalesce((SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'outbox'::regclass), 0)`
	if err := conn.QueryRow(ctx, ask).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the outbox's dead rows: %w", err)
	}
	return n, nil
}
