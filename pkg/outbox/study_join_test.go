package outbox_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/outbox"
)

// withJoin is Append's statement as one might improve it: a look at the subjects on the way, and the
// ORDER BY left out because the array has an order already. The planner joins as it likes: a merge join
// sorts the array by key, and its sort is not stable.
const withJoin = `
	INSERT INTO outbox (topic, key, event_id, seq, headers, payload)
	SELECT topic, key, event_id, seq, '', ''
	FROM unnest($1::text[], $2::text[], $3::uuid[], $4::int[]) AS r(topic, key, event_id, seq)
	JOIN subject ON subject.id = r.key`

func TestScheduleJoinInTheInsert(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, sql := range []string{
		`INSERT INTO subject SELECT 'order ' || n FROM generate_series(1, 1000) AS n`, `ANALYZE subject`,
	} {
		_, err := s.pool.Exec(t.Context(), sql)
		check(t, err)
	}
	records := make([]outbox.Record, 300)
	for i := range records {
		records[i] = s.event(fmt.Sprintf("order %d", i%8+1), int32(i/8+1))
	}
	joined := s.swaps(t, func(tx pgx.Tx) error { return appendWithJoin(t, tx, records) })
	plain := s.swaps(t, func(tx pgx.Tx) error { return outbox.Append(t.Context(), tx, records) })
	t.Logf("swaps in 300 rows: %d with a join, %d as Append does it", joined, plain)
	if joined == 0 || plain != 0 {
		t.Errorf("%d swaps with a join, %d as Append does it: want some, and none", joined, plain)
	}
}

func appendWithJoin(t *testing.T, tx pgx.Tx, records []outbox.Record) error {
	var topics, keys, ids []string
	var seqs []int32
	for _, r := range records {
		topics, keys, ids, seqs = append(topics, r.Topic), append(keys, r.Key), append(ids, r.EventID.String()), append(seqs, r.Seq)
	}
	// Which plan it is depends on the day's statistics; the test picks the day.
	if _, err := tx.Exec(t.Context(), `SET LOCAL enable_nestloop = off; SET LOCAL enable_hashjoin = off`); err != nil {
		return err
	}
	_, err := tx.Exec(t.Context(), withJoin, topics, keys, ids, seqs)
	return err
}

// swaps counts how many rows of insert come after a later one of their key, by id.
func (s *stage) swaps(t *testing.T, insert func(pgx.Tx) error) (n int) {
	t.Helper()
	tx := s.begin(t)
	check(t, insert(tx))
	check(t, tx.QueryRow(t.Context(), `
		SELECT count(*) FROM (SELECT seq < max(seq) OVER (PARTITION BY key ORDER BY id) AS late FROM outbox) AS r WHERE late`).Scan(&n))
	check(t, tx.Rollback(t.Context()))
	return n
}
