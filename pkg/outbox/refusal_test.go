package outbox_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/outbox"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// newRefusingStage has a topic that refuses record batches above 2,000 bytes with MESSAGE_TOO_LARGE, which
// no client retries, and two events of one key to send, the first of them larger than that.
func newRefusingStage(t *testing.T) *stage {
	t.Helper()
	limit := "2000"
	s := newStageWith(t, map[string]*string{"max.message.bytes": &limit})
	tx := s.begin(t)
	seq, err := lock(t.Context(), tx, "order")
	check(t, err)
	big := s.event("order", seq)
	big.Payload = incompressible(4000)
	check(t, outbox.Append(t.Context(), tx, []outbox.Record{big}))
	check(t, tx.Commit(t.Context()))
	s.commitEvents(t, "order")
	return s
}

// relent lets the topic take any batch; brokers hear of it a little later.
func (s *stage) relent(t *testing.T) {
	t.Helper()
	limit := "1000000"
	altered, err := kadm.NewClient(s.client(t)).AlterTopicConfigs(t.Context(),
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &limit}}, s.topic)
	check(t, err)
	for _, a := range altered {
		check(t, a.Err)
	}
}

// incompressible returns n bytes that stay about n bytes: limits count what is left by compression.
func incompressible(n int) []byte {
	out, x := make([]byte, n), uint32(2463534242)
	for i := range out {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out[i] = byte(x)
	}
	return out
}

func TestNothingOvertakesARefusedRow(t *testing.T) {
	t.Parallel()
	s := newRefusingStage(t)
	other := *s
	other.topic = testkit.TopicPrefix(t) + "other.v1"
	created, err := kadm.NewClient(s.client(t)).CreateTopic(t.Context(), partitions, -1, nil, other.topic)
	check(t, err)
	check(t, created.Err)
	other.commitEvents(t, "elsewhere")

	r := s.relay(t)
	testkit.Eventually(t, 20*time.Second, func() error {
		if n := gauge(t, r, "outbox_publish_errors_total"); n < 3 {
			return fmt.Errorf("%v batches were refused: want 3", n)
		}
		return nil
	})
	if n := len(s.published(t)); n != 0 {
		t.Errorf("%d rows overtook the refused one", n)
	}
	if n, left := len(other.published(t)), s.waiting(t); n != 1 || left != 2 {
		t.Errorf("%d rows are on the topic that works, %d wait: want it sent once, and the two wait", n, left)
	}
	s.relent(t)
	s.emptied(t)
	if got := s.published(t); len(got) != 2 || header(got[0], "ce_sequence") != "1" {
		t.Errorf("published %d: want the two events, in order", len(got))
	}
}

// The rule taken out: a relay that sends row after row and goes on when one fails.
func TestGoingOnAfterARefusalOvertakes(t *testing.T) {
	t.Parallel()
	s := newRefusingStage(t)
	client := s.client(t)
	goOn := func() {
		rows, err := s.pool.Query(t.Context(), `SELECT id, key, event_id, seq, payload FROM outbox ORDER BY id`)
		check(t, err)
		found, err := pgx.CollectRows(rows, scanStudied)
		check(t, err)
		for _, row := range found {
			if err := client.ProduceSync(t.Context(), row.record(s.topic)).FirstErr(); err != nil {
				continue
			}
			_, err := s.pool.Exec(t.Context(), `DELETE FROM outbox WHERE id = $1`, row.ID)
			check(t, err)
		}
	}
	goOn()
	s.relent(t)
	testkit.Eventually(t, 20*time.Second, func() error {
		if goOn(); s.waiting(t) > 0 {
			return errors.New("the first event is refused still")
		}
		return nil
	})
	if v := s.judge(t); v.swapped != 1 {
		t.Errorf("published %+v: want the second event before the first, or this does not show what the rule is for", v)
	}
}

// A row whose topic is not there must not take others along, nor be forgotten.
func TestUnknownTopicWaits(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	lost := *s
	lost.topic = testkit.TopicPrefix(t) + "later.v1"
	lost.commitEvents(t, "order", "order")
	s.relay(t, configured(func(c *outbox.Config) {
		c.Kafka = append(c.Kafka, kgo.UnknownTopicRetries(1), kgo.MetadataMinAge(50*time.Millisecond))
	}))
	s.commitEvents(t, "order")
	testkit.Eventually(t, 20*time.Second, func() error {
		if n := s.waiting(t); n != 2 {
			return fmt.Errorf("%d rows wait: want the two without a topic", n)
		}
		return nil
	})
	created, err := kadm.NewClient(s.client(t)).CreateTopic(t.Context(), partitions, -1, nil, lost.topic)
	check(t, err)
	check(t, created.Err)
	s.emptied(t)
	if got := lost.published(t); len(got) < 2 || header(got[0], "ce_sequence") != "1" {
		t.Errorf("published %d: want both events, in order", len(got))
	}
}
