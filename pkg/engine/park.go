package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// stopPartition says that so many subjects were parked within a minute that it must be the code, not
// the events: the partition stands still until a person says so, instead of parking every order.
type stopPartition struct {
	slot  slot
	cause error
}

func (s *stopPartition) Error() string {
	return fmt.Sprintf("more keys parked in a minute than allowed: partition %d is stopped: %v", s.slot.partition, s.cause)
}

func (s *stopPartition) Unwrap() error { return s.cause }

// park queues arrivals behind their subjects and makes a failure of each one that has an error of its
// own, in the transaction that moves the fence: an event is either handled or in the queue.
//
// Everything happens under the subject's lock. Were the queue read and the subject unparked without
// it, a batch that saw "parked" a moment earlier would append its event after the replay had emptied
// the queue, and nobody would ever come back for it.
func (e *Engine[W]) park(ctx context.Context, tx pgx.Tx, arrivals []*arrival, now time.Time) error {
	if len(arrivals) == 0 {
		return nil
	}
	failed := map[string]*arrival{}
	for _, a := range arrivals {
		if a.err != nil && failed[a.envelope.Subject] == nil {
			failed[a.envelope.Subject] = a
			if !e.consumer.mayPark(now) {
				return &stopPartition{slot: a.slot, cause: a.err}
			}
		}
	}
	batch := &pgx.Batch{}
	if len(failed) > 0 {
		e.queueFailures(batch, failed, now)
	}
	if err := queueParked(batch, arrivals, now); err != nil {
		return err
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("park %d events: %w", len(arrivals), err)
	}
	for subject, a := range failed {
		e.metrics.parked.Inc()
		e.log.Error("subject parked", "subject", subject, "event_type", a.envelope.Type,
			"event_id", a.envelope.ID, "error", a.err)
	}
	return nil
}

func (e *Engine[W]) queueFailures(batch *pgx.Batch, failed map[string]*arrival, now time.Time) {
	var subjects, ids, types, prints, texts []string
	for subject, a := range failed {
		subjects, ids, types = append(subjects, subject), append(ids, a.envelope.ID), append(types, a.envelope.Type)
		prints, texts = append(prints, fault.Fingerprint(a.err)), append(texts, a.err.Error())
	}
	batch.Queue(`UPDATE subject SET parked = true WHERE id = ANY($1)`, subjects)
	// A subject that is parked already keeps its first failure: that one is at the head of its queue.
	batch.Queue(`
		INSERT INTO failure (subject, event_id, event_type, fingerprint, error, failed_at, next_retry_at)
		SELECT *, $6::timestamptz, $7::timestamptz
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
		ON CONFLICT (subject) DO NOTHING`,
		subjects, ids, types, prints, texts, now, e.nextRetry(0, now))
}

// nextRetry is when a subject that was retried n times is tried again by itself; nil: not any more.
func (e *Engine[W]) nextRetry(n int, now time.Time) *time.Time {
	if n >= len(e.tuning.Retries) {
		return nil
	}
	at := now.Add(e.tuning.Retries[n])
	return &at
}

// header is one record header in the parked_event table; V becomes base64.
type header struct {
	K string
	V []byte
}

func queueParked(batch *pgx.Batch, arrivals []*arrival, now time.Time) error {
	n := len(arrivals)
	subjects, topics, headers := make([]string, n), make([]string, n), make([]string, n)
	partitions, offsets, payloads := make([]int32, n), make([]int64, n), make([][]byte, n)
	for i, a := range arrivals {
		hs := make([]header, len(a.record.Headers))
		for j, h := range a.record.Headers {
			hs[j] = header{h.Key, h.Value}
		}
		encoded, err := json.Marshal(hs)
		if err != nil {
			return fmt.Errorf("encode headers of a parked event: %w", err)
		}
		subjects[i], topics[i], headers[i] = a.envelope.Subject, a.topic, string(encoded)
		partitions[i], offsets[i], payloads[i] = a.record.Partition, a.record.Offset, a.record.Value
	}
	batch.Queue(`
		INSERT INTO parked_event (subject, topic, partition, kafka_offset, headers, payload, parked_at)
		SELECT subject, topic, partition, kafka_offset, headers, payload, $7
		FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::jsonb[], $6::bytea[])
		     WITH ORDINALITY AS k(subject, topic, partition, kafka_offset, headers, payload, n)
		ORDER BY n`, subjects, topics, partitions, offsets, headers, payloads, now)
	return nil
}

// readParked returns a subject's queue, oldest first, decoded anew: the code may have been mended.
func (e *Engine[W]) readParked(ctx context.Context, tx pgx.Tx, subject string) ([]*arrival, error) {
	rows, err := tx.Query(ctx, `
		SELECT topic, partition, kafka_offset, headers, payload
		FROM parked_event WHERE subject = $1 ORDER BY id`, subject)
	if err != nil {
		return nil, fmt.Errorf("read parked events: %w", err)
	}
	queue, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*arrival, error) {
		var hs []header
		r := &kgo.Record{}
		if err := row.Scan(&r.Topic, &r.Partition, &r.Offset, &hs, &r.Value); err != nil {
			return nil, err
		}
		for _, h := range hs {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.K, Value: h.V})
		}
		r.Key = []byte(subject)
		return e.arrive(r, r.Topic, slot{partition: r.Partition}), nil
	})
	if err != nil {
		return nil, fmt.Errorf("read parked events: %w", err)
	}
	return queue, nil
}
