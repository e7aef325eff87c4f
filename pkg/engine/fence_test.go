package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// fails waits until a replica has given up, and checks what it says.
func (n *node) fails(t *testing.T, say ...string) {
	t.Helper()
	select {
	case err := <-n.ended:
		n.ended <- err // for stop
		for _, part := range say {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("ended with %v: want it to say %q", err, part)
			}
		}
	case <-time.After(patience):
		t.Fatal("still runs")
	}
}

func TestATopicMadeAnewIsReadFromItsStart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.start(t)
	for _, o := range orders(30) {
		s.produce(t, s.created(o))
	}
	s.handled(t)
	_, err := s.admin.DeleteTopic(t.Context(), s.kafka.Topic("order.v1"))
	check(t, err)
	testkit.Eventually(t, patience, func() error {
		created, err := s.admin.CreateTopic(t.Context(), partitions, 1, nil, s.kafka.Topic("order.v1"))
		return errors.Join(err, created.Err)
	})
	s.producer.PurgeTopicsFromClient(s.kafka.Topic("order.v1"))
	for _, o := range orders(50)[30:] {
		s.produce(t, s.created(o))
	}
	s.becomes(t, 50, `SELECT count(*) FROM reservation`)
	s.took(t, 50)
}

func TestAHandledOffsetBeyondTheLogIsFatal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	first := s.start(t)
	s.produce(t, s.created("order-1"))
	s.handled(t)
	first.stop()
	_, err := s.pool.Exec(t.Context(), `UPDATE fence SET next_offset = 1000 WHERE partition = 1`)
	check(t, err)
	s.start(t, noWait).fails(t, "events are missing", "partition 1 ends at", "lost acknowledged events, or it is another cluster")
}

func TestEventsDeletedBeforeTheyWereReadAreFatal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	first := s.start(t)
	s.becomes(t, partitions, `SELECT count(*) FROM fence`) // it has been here, and will miss what it never saw
	first.stop()
	for _, o := range orders(20) {
		s.produce(t, s.created(o))
	}
	s.deleteAll(t)
	s.start(t, noWait).fails(t, "events are missing", "deleted before they were read")
}

// deleteAll deletes every event that is on order.v1, as retention does.
func (s *stage) deleteAll(t *testing.T) {
	t.Helper()
	var offsets kadm.Offsets
	ends, err := s.admin.ListEndOffsets(t.Context(), s.kafka.Topic("order.v1"))
	check(t, err)
	ends.Each(func(o kadm.ListedOffset) { offsets.AddOffset(o.Topic, o.Partition, o.Offset, -1) })
	deleted, err := s.admin.DeleteRecords(t.Context(), offsets)
	check(t, err)
	check(t, deleted.Error())
}

// What was published before a service ran for the first time is read: it begins at the start, not at the end.
func TestWhatWasThereBeforeTheFirstStartIsRead(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, o := range orders(30) {
		s.produce(t, s.created(o))
	}
	s.start(t)
	s.handled(t)
	s.took(t, 30)
}

// Events that are deleted from the log while the consumer runs and has not read them yet stop the service: going on
// behind them would be to lose them in silence.
func TestEventsDeletedWhileTheyWaitAreFatal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	gate := newGate()
	n := s.start(t, noWait, tuned(func(t *engine.Tuning) { t.BatchMax = 2 }), func(set *setup) {
		set.pool.PrepareConn = gate.pass
		set.cfg.Kafka.Options = append(set.cfg.Kafka.Options, kgo.FetchMaxPartitionBytes(1), kgo.FetchMaxBytes(1), kgo.MaxConcurrentFetches(1))
	})
	testkit.Eventually(t, patience, n.engine.Ready)
	s.becomes(t, partitions, `SELECT count(*) FROM fence`)
	gate.shut()
	for i := range 60 {
		s.produce(t, s.created(fmt.Sprint("order-", i)))
	}
	gate.waited(t)
	s.deleteAll(t)
	gate.open()
	n.fails(t, "events are missing", "deleted before they were read")
}

// The group's offsets are only a hint: without them, and with wrong ones, the database's count.
func TestTheDatabasesOffsetsCountAndNotTheGroups(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	first := s.start(t)
	names := orders(60)
	for _, o := range names[:30] {
		s.produce(t, s.created(o))
	}
	s.handled(t)
	first.stop()
	for _, o := range names[30:] {
		s.produce(t, s.created(o))
	}
	group := s.kafka.Prefix + "stock"
	_, err := s.admin.DeleteGroup(t.Context(), group)
	check(t, err)
	second := s.start(t)
	s.handled(t)
	s.took(t, 60)
	second.stop()
	var ahead kadm.Offsets
	for _, o := range orders(90)[60:] {
		s.produce(t, s.created(o))
	}
	ends, err := s.admin.ListEndOffsets(t.Context(), s.kafka.Topic("order.v1"))
	check(t, err)
	ends.Each(func(o kadm.ListedOffset) { ahead.AddOffset(o.Topic, o.Partition, o.Offset, -1) })
	check(t, s.admin.CommitAllOffsets(t.Context(), group, ahead))
	s.start(t)
	s.handled(t)
	s.took(t, 90)
}

// The database is restored to an earlier state while the consumer runs: everything since is read again,
// whether new events come or not.
func TestARestoredDatabaseIsCaughtUp(t *testing.T) {
	t.Parallel()
	for name, rewind := range map[string]string{
		"rows older": `UPDATE fence SET next_offset = 0`,
		"no rows":    `DELETE FROM fence`,
	} {
		for _, quiet := range []bool{true, false} {
			kind := map[bool]string{true: ", quiet", false: ", busy"}[quiet]
			t.Run(name+kind, func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				s.start(t, tuned(func(t *engine.Tuning) {
					if !quiet {
						t.Sweep = time.Hour // nothing but the next event shows it
					}
				}))
				names := orders(60)
				for _, o := range names[:50] {
					s.produce(t, s.created(o))
				}
				s.handled(t)
				restore(t, s, rewind)
				if !quiet {
					for p := range int32(partitions) {
						r := s.created(names[50+p])
						r.Partition = p
						check(t, s.manual(t).ProduceSync(t.Context(), r).FirstErr())
					}
					s.handled(t)
					s.took(t, 53)
					return
				}
				s.handled(t)
				s.took(t, 50)
			})
		}
	}
}

// restore makes the database as if nothing had been handled.
func restore(t *testing.T, s *stage, rewind string) {
	t.Helper()
	tx, err := s.pool.Begin(t.Context())
	check(t, err)
	for _, sql := range []string{
		rewind, `TRUNCATE subject, inbox, reservation, outbox`, `UPDATE product SET quantity = 1000000`,
	} {
		_, err := tx.Exec(t.Context(), sql)
		check(t, err)
	}
	check(t, tx.Commit(t.Context()))
}

func TestAWrongNumberOfPartitionsIsRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.kafka.Partitions = 12
	s.start(t, noWait).fails(t, "has 3 partitions, 12 are configured")
}

func TestTooFewCopiesAreRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.kafka.Durability = "replicated"
	s.start(t, noWait).fails(t, "3 and 2 are needed", "DURABILITY=single")
}

// A topic that comes late is waited for.
func TestAMissingTopicIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, err := s.admin.DeleteTopic(t.Context(), s.kafka.Topic("order.v1"))
	check(t, err)
	n := s.start(t, noWait)
	if n.engine.Ready() == nil {
		t.Error("ready without its topic")
	}
	testkit.Eventually(t, patience, func() error {
		created, err := s.admin.CreateTopic(context.Background(), partitions, 1, nil, s.kafka.Topic("order.v1"))
		return errors.Join(err, created.Err)
	})
	testkit.Eventually(t, patience, n.engine.Ready)
}
