package outbox_test

import (
	"context"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What follows are relays that look right, and are wrong. Each is what some project has run in
// production; none of them is compiled into anything but this study.

// studied is a row as a wrong relay reads it.
type studied struct {
	ID      int64
	Key     string
	EventID uuid.UUID
	Seq     int32
	Payload []byte
}

func scanStudied(r pgx.CollectableRow) (s studied, err error) {
	return s, r.Scan(&s.ID, &s.Key, &s.EventID, &s.Seq, &s.Payload)
}

func (s studied) record(topic string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(s.Key), Value: s.Payload, Headers: []kgo.RecordHeader{
		{Key: "ce_id", Value: []byte(s.EventID.String())}, {Key: "ce_sequence", Value: []byte(strconv.Itoa(int(s.Seq)))},
	}}
}

const columns = `id, key, event_id, seq, payload`

// wrong is one relay under study.
type wrong interface {
	// step sends what the relay's rule finds, and says how much that was.
	step(context.Context) (int, error)
}

// base is what they share.
type base struct {
	stage  *stage
	client *kgo.Client
}

func (b base) send(ctx context.Context, rows []studied) error {
	records := make([]*kgo.Record, len(rows))
	for i, row := range rows {
		records[i] = row.record(b.stage.topic)
	}
	return b.client.ProduceSync(ctx, records...).FirstErr()
}

// querier is the pool, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func (b base) read(ctx context.Context, q querier, sql string, args ...any) ([]studied, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanStudied)
}

// cursorRelay remembers the last id it has sent. Ids are given at the INSERT and seen at the COMMIT, so
// a transaction that commits late has lower ids than some that were seen, and is passed over for good.
type cursorRelay struct {
	base
	last int64
}

func (c *cursorRelay) step(ctx context.Context) (int, error) {
	rows, err := c.read(ctx, c.stage.pool, `SELECT `+columns+` FROM outbox WHERE id > $1 ORDER BY id LIMIT 100`, c.last)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	c.last = rows[len(rows)-1].ID
	return len(rows), c.send(ctx, rows)
}

// horizonRelay orders by transaction id, and reads only below the oldest transaction under way, so that
// nothing commits behind its back. But a transaction has its id from its first write, before it gets
// the subject's lock: of two, the one with the later id may get the lock first, and the horizon holds
// back what it committed until the other, whose events come after it, sorts before it.
type horizonRelay struct {
	base
	last studied
	xid  string
}

// withTransactionIDs is the column that horizonRelay needs.
const withTransactionIDs = `ALTER TABLE outbox ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id()`

func (h *horizonRelay) step(ctx context.Context) (int, error) {
	if h.xid == "" {
		h.xid = "0"
	}
	rows, err := h.read(ctx, h.stage.pool, `
		SELECT `+columns+` FROM outbox
		WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) AND (xid, id) > ($1::text::xid8, $2)
		ORDER BY xid, id LIMIT 100`, h.xid, h.last.ID)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	h.last = rows[len(rows)-1]
	if err := h.stage.pool.QueryRow(ctx, `SELECT xid::text FROM outbox WHERE id = $1`, h.last.ID).Scan(&h.xid); err != nil {
		return 0, err
	}
	return len(rows), h.send(ctx, rows)
}

// skipLockedRelay is one of several that share the rows out among them, as job queues do. Two of them have
// neighbouring rows of one key at the same time, and the second may be faster.
type skipLockedRelay struct {
	base
	limit int
	// locked is called between reading and sending.
	locked func()
}

func (l *skipLockedRelay) step(ctx context.Context) (n int, err error) {
	err = pgx.BeginFunc(ctx, l.stage.pool, func(tx pgx.Tx) error {
		rows, err := l.read(ctx, tx, `SELECT `+columns+` FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`, l.limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		if l.locked != nil {
			l.locked()
		}
		if err := l.send(ctx, rows); err != nil {
			return err
		}
		ids := make([]int64, len(rows))
		for i, row := range rows {
			ids[i] = row.ID
		}
		n = len(rows)
		_, err = tx.Exec(ctx, `DELETE FROM outbox WHERE id = ANY($1)`, ids)
		return err
	})
	return n, err
}
