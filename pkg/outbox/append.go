package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/quadrille-io/quadrille/pkg/pg"
)

// appendRows takes the ids in the order of the arrays. WITH ORDINALITY … ORDER BY is what says so:
// PostgreSQL computes the identity default above the sort, so ids rise with n. Without the ORDER BY the
// order of an INSERT … SELECT is the plan's business, and any join added here is a chance for the
// planner to hash or to swap sides. So: no join, and the ORDER BY stays.
const appendRows = `
INSERT INTO outbox (topic, key, event_id, seq, headers, payload)
SELECT topic, key, event_id, seq, headers, payload
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::int[], $5::bytea[], $6::bytea[])
     WITH ORDINALITY AS r(topic, key, event_id, seq, headers, payload, n)
ORDER BY n`

// Append writes records to the outbox in one statement, in the given order, as part of tx. They are
// published after tx has committed, and only then; call [Relay.Wake] after COMMIT.
//
// The caller must hold the lock on every record's subject already, in tx. The ids that are taken here
// say the order of sending. Taken before the lock, they lie: A takes id 1, B takes id 2, B gets the
// lock and commits, the relay sends B; A gets the lock after it, decides on B's result, commits, and
// A's event follows B's with a lower id, or the relay sees both and sends A's first.
//
// A record that the broker could not take fails the transaction with a check violation (SQLSTATE 23514)
// that names the rule: payload_fits_broker, headers_fit_broker, key_fits_broker, key_orders_events,
// topic_named.
func Append(ctx context.Context, tx pgx.Tx, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, appendRows, arrays(records)...); err != nil {
		return fmt.Errorf("append %d events to the outbox: %w", len(records), err)
	}
	return nil
}

// Queue is [Append] for a transaction that is spoken to in batches: the events go out with what else it writes.
func Queue(b *pg.Batch, records []Record) {
	if len(records) > 0 {
		b.Queue("append events to the outbox", appendRows, arrays(records)...)
	}
}

// arrays are the arguments of appendRows.
func arrays(records []Record) []any {
	n := len(records)
	topics, keys := make([]string, n), make([]string, n)
	ids, seqs := make([]pgtype.UUID, n), make([]int32, n)
	headers, payloads := make([][]byte, n), make([][]byte, n)
	for i, r := range records {
		topics[i], keys[i] = r.Topic, r.Key
		ids[i], seqs[i] = pgtype.UUID{Bytes: r.EventID, Valid: true}, r.Seq
		headers[i] = encodeHeaders(make([]byte, 0, 512), r.Headers)
		payloads[i] = r.Payload
		switch {
		case r.Null:
			payloads[i] = nil
		case r.Payload == nil:
			payloads[i] = []byte{} // a nil slice would be NULL; an empty message is a message
		}
	}
	return []any{topics, keys, ids, seqs, headers, payloads}
}
