package floor

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

// committed is a step's records whose outbox rows are in the database.
type committed struct {
	batch   *batch
	event   int
	outbox  []int64
	records []*kgo.Record
}

// relay sends what its service committed, and deletes the outbox rows once all is acknowledged. It reads
// nothing back: it is handed the records from memory.
type relay struct {
	conn   *pgx.Conn
	client *kgo.Client
	in     chan committed
}

// batchBytes is package outbox's bound on a record batch.
const batchBytes = 1_000_012

// newRelay connects as package outbox's relay does, to the database and to the brokers.
func newRelay(ctx context.Context, cfg Config, service, url string) (*relay, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(cfg.Brokers...), kgo.ClientID("floor-"+service),
		kgo.RequiredAcks(kgo.AllISRAcks()), // with the idempotent producer, which is the default
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ManualFlushing(),
		kgo.StopProducerOnDataLossDetected(),
		kgo.ProducerBatchMaxBytes(batchBytes),
		kgo.MaxBufferedRecords(max(10_000, 2*cfg.Batch)),
	)
	if err != nil {
		return nil, fmt.Errorf("make %s's producer: %w", service, err)
	}
	conn, err := connect(ctx, url, map[string]string{
		"synchronous_commit": "off", "enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off",
	})
	if err != nil {
		client.Close()
		return nil, err
	}
	return &relay{conn: conn, client: client, in: make(chan committed, inFlight)}, nil
}

func (r *relay) close() {
	r.client.Close()
	closeConn(r.conn)
}

// run works until its channel is closed; done is told of every batch.
func (r *relay) run(ctx context.Context, done func(*batch)) error {
	for {
		select {
		case c, open := <-r.in:
			if !open {
				return nil
			}
			if err := r.carry(ctx, c); err != nil {
				return fmt.Errorf("relay %s: %w", facts[c.event].name, err)
			}
			done(c.batch)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *relay) carry(ctx context.Context, c committed) error {
	var mu sync.Mutex
	var refused error
	for _, rec := range c.records {
		r.client.Produce(context.Background(), rec, func(_ *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				refused = err
				mu.Unlock()
			}
		})
	}
	if err := r.client.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	mu.Lock() // every promise is kept before Flush returns
	defer mu.Unlock()
	if refused != nil {
		return fmt.Errorf("produce: %w", refused)
	}
	tag, err := r.conn.Exec(ctx, `DELETE FROM outbox WHERE id = ANY($1)`, c.outbox)
	if err != nil {
		return fmt.Errorf("delete outbox rows: %w", err)
	}
	if tag.RowsAffected() != int64(len(c.records)) {
		return fmt.Errorf("%d of %d outbox rows were deleted", tag.RowsAffected(), len(c.records))
	}
	return nil
}
