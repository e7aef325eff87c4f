package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/quadrille-io/quadrille/services/dataplatform"
)

// Live is the id of the stream that every fact goes out on once.
var Live = uuid.Nil

// election is the advisory lock's key. Advisory locks are per database, and a database has one export.
const election = 0x6578706f7274 // "export"

// sessionIdle is how long the server keeps the session, hence the election, of an exporter that is silent: longer than
// the longest wait for the platform.
const sessionIdle = 45 * time.Second

// Exporter is the connection of the one replica that exports. The election is a lock of this connection, and all that
// an exporter writes goes over it: who has lost the election without knowing it cannot write any more.
type Exporter struct{ conn *pgx.Conn }

// Connect opens an exporter's own connection; it must not come from a pool, nor through a pooler that gives a session
// to several clients. Settings given in the URL win.
func Connect(ctx context.Context, url string) (*Exporter, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse the export's database URL: %w", err)
	}
	for name, value := range map[string]string{
		"application_name":                    "quadrille export",
		"idle_session_timeout":                strconv.Itoa(int(sessionIdle.Milliseconds())),
		"idle_in_transaction_session_timeout": "5s",
		"client_connection_check_interval":    "2s",
		"tcp_keepalives_idle":                 "5",
		"tcp_keepalives_interval":             "5",
		"tcp_keepalives_count":                "2",
		"statement_timeout":                   "10s",
		"lock_timeout":                        "5s",
		"timezone":                            "UTC",
		// The next facts by their position, whatever the statistics say: a scan and a sort would read all of a backlog
		// to find its head.
		"enable_seqscan":    "off",
		"enable_bitmapscan": "off",
		"jit":               "off",
	} {
		if _, given := cfg.RuntimeParams[name]; !given {
			cfg.RuntimeParams[name] = value
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the export's database: %w", err)
	}
	return &Exporter{conn: conn}, nil
}

// Close gives the election back.
func (e *Exporter) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = e.conn.Close(ctx) // an error here says that it is closed already
}

// Campaign asks for the election once.
func (e *Exporter) Campaign(ctx context.Context) (won bool, err error) {
	if err := e.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(election)).Scan(&won); err != nil {
		return false, fmt.Errorf("ask for the export's election: %w", err)
	}
	return won, nil
}

// Limit bounds a batch.
type Limit struct {
	Facts int
	// Bytes of payloads, as they are stored; the oldest fact goes out whatever its size.
	Bytes int
}

// next are the facts of stream $1 that come after what the platform has taken, at most $2 of them. The bounds of the
// live stream are NULL. It has to be read in the statement that uses it: see Cut.
const next = `
	SELECT f.position, f.occurred_at, octet_length(f.payload) AS size
	FROM fact f WHERE f.position > s.position AND (s.up_to IS NULL OR f.position <= s.up_to)
	  AND (s.since IS NULL OR f.occurred_at >= s.since AND f.day >= (s.since AT TIME ZONE 'UTC')::date)
	ORDER BY f.position LIMIT $2`

// Waiting counts the facts of a stream that are in no batch yet, up to limit. It must have no open batch.
func (e *Exporter) Waiting(ctx context.Context, stream uuid.UUID, limit int) (n int, err error) {
	err = e.conn.QueryRow(ctx, `
		SELECT count(f.position) FROM stream s, LATERAL (`+next+`) f WHERE s.id = $1`, stream, limit).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count waiting facts: %w", err)
	}
	return n, nil
}

// Cut is a batch as it is written down before it is sent.
type Cut struct {
	ID          uuid.UUID
	Stream      uuid.UUID
	First, Last int64
	Facts       int
	Attempts    int
}

// cut reads how far the stream is, and takes what comes next, in one statement and under the stream's lock. Reading it
// before would let an exporter that was paused in between cut facts that another has sent meanwhile in a batch of
// its own. The facts are of the statement's snapshot, which may be older than the locked row; as positions become
// visible in their order, the older snapshot ends earlier and has no holes.
const cut = `
	WITH s AS (SELECT * FROM stream WHERE id = $1 FOR UPDATE), taken AS (
		SELECT position FROM (
			SELECT f.position, sum(f.size) OVER (ORDER BY f.position) - f.size AS before FROM s, LATERAL (` + next + `) f) AS measured
		WHERE before < $3)
	INSERT INTO batch (id, stream, first, last, facts)
	SELECT $4, $1, min(position), max(position), count(*) FROM taken HAVING count(*) > 0
	RETURNING id, stream, first, last, facts, attempts`

// Cut makes a batch of what comes next in the stream; false: nothing does.
func (e *Exporter) Cut(ctx context.Context, stream uuid.UUID, limit Limit) (Cut, bool, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Cut{}, false, fmt.Errorf("make a batch's id: %w", err)
	}
	rows, err := e.conn.Query(ctx, cut, stream, limit.Facts, limit.Bytes, id)
	return one(rows, err, "cut a batch")
}

// Open is the stream's batch that was cut and not taken yet.
func (e *Exporter) Open(ctx context.Context, stream uuid.UUID) (Cut, bool, error) {
	rows, err := e.conn.Query(ctx, `
		SELECT id, stream, first, last, facts, attempts FROM batch WHERE stream = $1 AND sent_at IS NULL`, stream)
	return one(rows, err, "look for an open batch")
}

func one(rows pgx.Rows, err error, what string) (Cut, bool, error) {
	if err != nil {
		return Cut{}, false, fmt.Errorf("%s: %w", what, err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (c Cut, err error) {
		err = row.Scan(&c.ID, &c.Stream, &c.First, &c.Last, &c.Facts, &c.Attempts)
		return c, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Cut{}, false, nil
	}
	if err != nil {
		return Cut{}, false, fmt.Errorf("%s: %w", what, err)
	}
	return c, true, nil
}

// errHoles says that a batch does not hold what it was cut with: somebody deleted facts by hand.
var errHoles = errors.New("facts of a batch are gone")

// Facts are those of a batch, in the order of their positions; always the same ones.
func (e *Exporter) Facts(ctx context.Context, c Cut) ([]dataplatform.Fact, error) {
	rows, err := e.conn.Query(ctx, `
		SELECT f.position, f.id, f.type, f.subject, f.sequence, f.occurred_at, f.causation, f.correlation, f.payload
		FROM stream s JOIN fact f ON f.position BETWEEN $2 AND $3
		 AND (s.since IS NULL OR f.occurred_at >= s.since AND f.day >= (s.since AT TIME ZONE 'UTC')::date)
		WHERE s.id = $1 ORDER BY f.position`, c.Stream, c.First, c.Last)
	if err != nil {
		return nil, fmt.Errorf("read the facts of batch %s: %w", c.ID, err)
	}
	facts, err := pgx.CollectRows(rows, scanFact)
	if err != nil {
		return nil, fmt.Errorf("read the facts of batch %s: %w", c.ID, err)
	}
	if len(facts) != c.Facts {
		return nil, fmt.Errorf("read the facts of batch %s: %w: %d of %d", c.ID, errHoles, len(facts), c.Facts)
	}
	return facts, nil
}

func scanFact(row pgx.CollectableRow) (dataplatform.Fact, error) {
	var f dataplatform.Fact
	var id uuid.UUID
	var causation, correlation pgtype.UUID
	err := row.Scan(&f.Position, &id, &f.Type, &f.Subject, &f.Sequence, &f.OccurredAt, &causation, &correlation, &f.Payload)
	f.ID, f.OccurredAt = id.String(), f.OccurredAt.UTC()
	if causation.Valid {
		f.Causation = uuid.UUID(causation.Bytes).String()
	}
	if correlation.Valid {
		f.Correlation = uuid.UUID(correlation.Bytes).String()
	}
	return f, err
}

// Sent notes that the platform has taken a batch, and moves the stream behind it. Noted again, it changes nothing.
func (e *Exporter) Sent(ctx context.Context, c Cut) error {
	_, err := e.conn.Exec(ctx, `
		WITH b AS (UPDATE batch SET sent_at = clock_timestamp(), attempts = attempts + 1, last_error = ''
		           WHERE id = $1 AND sent_at IS NULL RETURNING stream, last, facts)
		UPDATE stream s SET position = b.last, batches = s.batches + 1, facts = s.facts + b.facts FROM b WHERE s.id = b.stream`, c.ID)
	if err != nil {
		return fmt.Errorf("note batch %s as sent: %w", c.ID, err)
	}
	return nil
}

// longestError bounds what is kept of a failure, in characters.
const longestError = 300

// Failed notes why a batch was not taken.
func (e *Exporter) Failed(ctx context.Context, c Cut, why string) error {
	why = strings.ToValidUTF8(strings.ReplaceAll(why, "\x00", ""), "")
	if utf8.RuneCountInString(why) > longestError {
		why = string([]rune(why)[:longestError])
	}
	_, err := e.conn.Exec(ctx, `
		UPDATE batch SET attempts = attempts + 1, last_error = $2 WHERE id = $1 AND sent_at IS NULL`, c.ID, why)
	if err != nil {
		return fmt.Errorf("note the failure of batch %s: %w", c.ID, err)
	}
	return nil
}

// OpenReplay is the oldest replay that is not done.
func (e *Exporter) OpenReplay(ctx context.Context) (id uuid.UUID, is bool, err error) {
	err = e.conn.QueryRow(ctx, `
		SELECT id FROM stream WHERE done_at IS NULL AND up_to IS NOT NULL ORDER BY opened_at, id LIMIT 1`).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return id, false, nil
	}
	if err != nil {
		return id, false, fmt.Errorf("look for a replay: %w", err)
	}
	return id, true, nil
}

// EndReplay closes a replay all of which was sent.
func (e *Exporter) EndReplay(ctx context.Context, id uuid.UUID) error {
	_, err := e.conn.Exec(ctx, `UPDATE stream SET done_at = clock_timestamp() WHERE id = $1 AND up_to IS NOT NULL AND done_at IS NULL`, id)
	if err != nil {
		return fmt.Errorf("end replay %s: %w", id, err)
	}
	return nil
}
