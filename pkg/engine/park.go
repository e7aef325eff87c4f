package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// park queues arrivals behind their subjects and makes a failure of each one that failed (the first of
// its subject), in the transaction that moves the fence: an event is either handled or in the queue.
//
// Everything happens under the subject's lock. Were the queue read and the subject unparked without
// it, a batch that saw "parked" a moment earlier would append its event after the replay had emptied
// the queue, and nobody would ever come back for it.
func (e *Engine[W]) park(b *pg.Batch, failed, queued []*arrival, now time.Time) error {
	if len(queued) == 0 {
		return nil
	}
	if room := e.tuning.ParkedPerMinute - e.consumer.parkedLately(); len(failed) > max(room, 0) {
		first := failed[max(room, 0)]
		return &stopPartition{slot: first.slot, cause: first.err}
	}
	if len(failed) > 0 {
		e.queueFailures(b, failed, now)
	}
	if err := queueParked(b, queued, now); err != nil {
		return err
	}
	for _, a := range failed {
		e.metrics.parked.Inc()
		e.log.Error("subject parked", "subject", a.envelope.Subject, "event_type", a.envelope.Type,
			"event_id", a.envelope.ID, "error", a.err)
	}
	return nil
}

func (e *Engine[W]) queueFailures(batch *pg.Batch, failed []*arrival, now time.Time) {
	var subjects, ids, types, prints, texts []string
	for _, a := range failed {
		subjects, ids = append(subjects, a.envelope.Subject), append(ids, storable(a.envelope.ID))
		types = append(types, storable(a.envelope.Type))
		prints, texts = append(prints, fault.Fingerprint(a.err)), append(texts, storable(a.err.Error()))
	}
	batch.Queue("park subjects", `
		INSERT INTO subject (id, parked) SELECT id, true FROM unnest($1::text[]) AS id ORDER BY id
		ON CONFLICT (id) DO UPDATE SET parked = true`, subjects)
	batch.Queue("keep failures", `
		INSERT INTO failure (subject, event_id, event_type, fingerprint, error, failed_at, next_retry_at)
		SELECT *, $6::timestamptz, $7::timestamptz
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])`,
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

// header is one record header in the parked_event table. Both become base64: a producer may put any
// bytes there, and what PostgreSQL cannot store as text would be an event that cannot even be parked.
type header struct{ K, V []byte }

func queueParked(batch *pg.Batch, arrivals []*arrival, now time.Time) error {
	n := len(arrivals)
	subjects, topics, headers := make([]string, n), make([]string, n), make([]string, n)
	partitions, offsets, payloads := make([]int32, n), make([]int64, n), make([][]byte, n)
	keys := make([][]byte, n)
	for i, a := range arrivals {
		hs := make([]header, len(a.record.Headers))
		for j, h := range a.record.Headers {
			hs[j] = header{[]byte(h.Key), h.Value}
		}
		encoded, err := json.Marshal(hs)
		if err != nil {
			return fmt.Errorf("encode headers of a parked event: %w", err)
		}
		subjects[i], topics[i], headers[i] = a.envelope.Subject, a.topic, string(encoded)
		partitions[i], offsets[i], payloads[i] = a.record.Partition, a.record.Offset, a.record.Value
		keys[i] = append([]byte{}, a.record.Key...) // nil would be NULL, which means: the subject
	}
	batch.Queue("keep parked events", `
		INSERT INTO parked_event (subject, topic, partition, kafka_offset, headers, payload, key, parked_at)
		SELECT subject, topic, partition, kafka_offset, headers, payload, key, $8
		FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::jsonb[], $6::bytea[], $7::bytea[])
		     WITH ORDINALITY AS k(subject, topic, partition, kafka_offset, headers, payload, key, n)
		ORDER BY n`, subjects, topics, partitions, offsets, headers, payloads, keys, now)
	return nil
}

// readParked returns a subject's queue, oldest first, decoded anew: the code may have been mended.
func (e *Engine[W]) readParked(ctx context.Context, tx *pg.Tx, subject string) (queue []*arrival, err error) {
	b := &pg.Batch{}
	pg.Collect(b, "read parked events", func(row pgx.CollectableRow) (*arrival, error) {
		var hs []header
		r := &kgo.Record{}
		if err := row.Scan(&r.Topic, &r.Partition, &r.Offset, &hs, &r.Value, &r.Key); err != nil {
			return nil, err
		}
		for _, h := range hs {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: string(h.K), Value: h.V})
		}
		return e.arrive(r, r.Topic, slot{partition: r.Partition}), nil
	}, func(a *arrival) { queue = append(queue, a) }, `
		SELECT topic, partition, kafka_offset, headers, payload, coalesce(key, convert_to(subject, 'UTF8'))
		FROM parked_event WHERE subject = $1 ORDER BY id`, subject)
	return queue, tx.Send(ctx, b)
}
