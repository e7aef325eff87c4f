package engine

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// Consume runs records through one transaction, as if they had been polled.
func Consume[W any](ctx context.Context, e *Engine[W], records []*kgo.Record) error {
	c := e.consumer
	c.mu.Lock()
	ids := c.ids
	c.mu.Unlock()
	var batch []*arrival
	for _, r := range records {
		batch = append(batch, e.arrive(r, strings.TrimPrefix(r.Topic, e.cfg.Kafka.Prefix), slot{ids[r.Topic], r.Partition}))
	}
	return e.consume(ctx, batch, nil, nil)
}

// MakeCall makes a call that was claimed some time ago.
func MakeCall[W any](ctx context.Context, e *Engine[W], c Call, claimedAt time.Time) {
	e.worker.make(ctx, c, claimedAt)
}

// TakeAnswer hands an outcome to the command lane as a worker does, and waits until it is dealt with.
func TakeAnswer[W any](ctx context.Context, e *Engine[W], c Call, outcome flow.Command) error {
	return e.worker.answer(ctx, c, outcome)
}

// Queued is how many commands, answers and deadlines wait for the next batch.
func Queued[W any](e *Engine[W]) int { return len(e.lane.queue) }

// Arrived is an arrival made by hand. Its place in its partition is its Offset.
type Arrived struct {
	Topic         byte
	Partition     int32
	Offset        int64
	Subject       string
	Relaxed, Skip bool
}

// Queue is a consumer's queue of arrivals made by hand, with nothing behind it.
type Queue struct {
	c     *consumer[int]
	made  map[*arrival]Arrived
	under []*arrival
}

// NewQueue makes an empty one, in which the last batches were long ago.
func NewQueue(t Tuning) *Queue {
	e := &Engine[int]{tuning: t.withDefaults(), log: slog.New(slog.DiscardHandler), metrics: newMetrics(prometheus.NewRegistry())}
	return &Queue{c: newConsumer(e), made: map[*arrival]Arrived{}}
}

// Add puts arrivals at the end.
func (q *Queue) Add(all ...Arrived) {
	q.c.mu.Lock()
	for _, x := range all {
		a := &arrival{
			record: &kgo.Record{Partition: x.Partition, Offset: x.Offset, Timestamp: time.Now()},
			slot:   slot{[16]byte{x.Topic}, x.Partition}, skip: x.Skip, relaxed: x.Relaxed,
		}
		a.envelope.Subject = x.Subject
		q.made[a] = x
		q.c.enqueue(a)
	}
	q.c.mu.Unlock()
	signal(q.c.wake)
}

// Drop removes what is queued of a partition of a topic, as a revocation does.
func (q *Queue) Drop(topic byte, partition int32) {
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	q.c.drop(map[slot]bool{{[16]byte{topic}, partition}: true})
}

// Started sets how long ago batches were taken: one that somebody waited for, any, and one of everything.
func (q *Queue) Started(hurried, last, all time.Duration) {
	now := time.Now()
	q.c.lastStart, q.c.lastSkip, q.c.lastAll = now.Add(-hurried), now.Add(-last), now.Add(-all)
}

// Patience is how long what is pending can wait for company.
func (q *Queue) Patience(limit int) time.Duration { return q.c.patience(limit) }

// Cut takes a batch. It stays pending until it is Done.
func (q *Queue) Cut(limit int) []Arrived {
	q.under = q.c.cut(limit)
	return q.arrived(q.under)
}

// Done says that the last batch that was cut has committed.
func (q *Queue) Done() { q.c.done(q.under) }

// Work commits batches until ctx ends; see consumer.process.
func (q *Queue) Work(ctx context.Context, commit func(batch []Arrived, parkWith error) error) error {
	return q.c.work(ctx, func(_ context.Context, batch []*arrival, parkWith error) error {
		return commit(q.arrived(batch), parkWith)
	})
}

func (q *Queue) arrived(batch []*arrival) []Arrived {
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	all := make([]Arrived, len(batch))
	for i, a := range batch {
		all[i] = q.made[a]
	}
	return all
}

// Room is how many calls may be claimed as they are asked for.
func Room[W any](e *Engine[W]) int { return e.worker.room() }
