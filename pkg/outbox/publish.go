package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// batchBytes is the client's bound on a record batch (its default, said here because readBytes relies
// on it), below the broker's default message.max.bytes of 1,048,588.
const batchBytes = 1_000_012

// producer is a Kafka client made for sending one read after another.
type producer struct{ client *kgo.Client }

func producerOpts(cfg Config) []kgo.Opt {
	return append(append([]kgo.Opt{}, cfg.Kafka...),
		kgo.RequiredAcks(kgo.AllISRAcks()),                       // with the idempotent producer, which is the default
		kgo.RecordPartitioner(partitioner(cfg.Partitions)),       // murmur2 of the key, as every Kafka client does it
		kgo.ManualFlushing(),                                     // see publish
		kgo.StopProducerOnDataLossDetected(),                     // see publish
		kgo.ProducerBatchMaxBytes(batchBytes),                    //
		kgo.MaxBufferedRecords(cfg.BatchMax),                     //
		kgo.RecordRetries(1<<31-1), kgo.RecordDeliveryTimeout(0), // a retriable error is retried for as long as the relay has patience
	)
}

func newProducer(cfg Config) (*producer, error) {
	client, err := kgo.NewClient(producerOpts(cfg)...)
	if err != nil {
		return nil, fmt.Errorf("make the relay's Kafka client: %w", err)
	}
	return &producer{client}, nil
}

func (p *producer) close() { p.client.Close() }

// publish sends rows and returns the ids that were acknowledged. A *produceError says that the others
// failed for good; any other error that their outcome is unknown. After an error the producer is of
// no more use. While waiting it calls alive every second and gives up when that fails.
//
// Nothing overtakes. Suppose row i of a partition fails and a later row j of it goes through: consumers
// would see j before i, whatever is done next. The client fails everything that is buffered for a
// partition along with the record that failed, but what is handed to it a moment after that, it sends.
// Hence ManualFlushing: all rows are buffered before the first byte leaves, and if one has failed by
// then (its topic cannot be loaded, say), nothing is sent at all. From there on a failure meets all of
// its partition's rows.
//
// Nor on the wire. The client keeps up to five batches under way to a broker. A batch that is refused
// while the next is on its way leaves a gap in the producer's sequence numbers, for which the broker
// refuses the next too, but a broker that has no state for this producer yet may take it. A read is
// less than batchBytes altogether, so what it holds for one partition is one batch: the broker takes
// all of it or nothing, and the next read starts only when this one is settled.
//
// A broker that has lost acknowledged records, or forgotten the producer, answers
// OUT_OF_ORDER_SEQUENCE_NUMBER or UNKNOWN_PRODUCER_ID. The client would renumber and go on, silently.
// It is told to stop: somebody must hear of lost events (class data loss in the metric); the rows then
// go out by a new producer.
//
// The records' context is never cancelled. A cancelled record may be on the broker or not, and takes
// the rows behind it down with it (franz-go #1217). Whoever must leave leaves ctx; the rows stay in the
// table, and whoever sends them next, this is as harmless as a second relay (see the package's
// documentation).
func (p *producer) publish(ctx context.Context, rows []row, alive func(context.Context) error) ([]int64, error) {
	d := &delivery{acked: make([]int64, 0, len(rows))}
	for _, row := range rows {
		p.client.Produce(context.Background(), row.record, func(_ *kgo.Record, err error) { d.settle(row.id, err) })
	}
	p.barrier()
	if err := d.failure(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	flushed := make(chan error, 1)
	go func() { flushed <- p.client.Flush(ctx) }()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-flushed:
			if err != nil {
				return nil, context.Cause(ctx)
			}
			return d.acked, d.failure() // every promise was kept before Flush returned
		case <-ticker.C:
			if err := alive(ctx); err != nil {
				cancel(fmt.Errorf("relay's connection while waiting for the brokers: %w", err))
			}
		}
	}
}

// barrier returns once the outcome of every record that has failed so far is known. The client reports
// outcomes one after another in a goroutine of its own; a record without a topic fails at once, so its
// report comes behind the others.
func (p *producer) barrier() {
	reported := make(chan struct{})
	p.client.Produce(context.Background(), &kgo.Record{}, func(*kgo.Record, error) { close(reported) })
	<-reported
}

// delivery collects what became of one read.
type delivery struct {
	mu    sync.Mutex
	acked []int64
	err   error
}

func (d *delivery) settle(id int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.acked = append(d.acked, id)
	} else if d.err == nil {
		d.err = &produceError{row: id, err: err}
	}
}

func (d *delivery) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// produceError says that a row was not taken; row is the first one known.
type produceError struct {
	row int64
	err error
}

func (e *produceError) Error() string { return fmt.Sprintf("produce outbox row %d: %v", e.row, e.err) }
func (e *produceError) Unwrap() error { return e.err }

// class is a short name for metrics: Kafka's own for the error, where it is one of Kafka's.
func (e *produceError) class() string {
	switch {
	case errors.Is(e.err, kerr.OutOfOrderSequenceNumber), errors.Is(e.err, kerr.UnknownProducerID):
		return "data_loss"
	default:
		var k *kerr.Error
		if errors.As(e.err, &k) {
			return k.Message
		}
		return "client"
	}
}
