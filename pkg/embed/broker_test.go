package embed

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kill -9 of the process that runs the broker: what was acknowledged, topics
// and committed offsets are there at the next start.
func TestBrokerSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	addr, kill := played(t, "broker", dir)
	roundTrip(t, addr, "first", func(admin *kadm.Client) error {
		_, err := admin.CreateTopic(t.Context(), 3, 1, nil, "order.v1")
		return err
	})
	kill()
	b, err := StartBroker(t.Context(), BrokerConfig{DataDir: dir, SyncWrites: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client := clientOf(t, b.Addrs()[0])
	offsets, err := kadm.NewClient(client).FetchOffsets(t.Context(), "stock")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup("order.v1", 1); !ok || o.At != 50 {
		t.Errorf("committed offset %+v, want 50", o)
	}
	if got := values(t, b.Addrs()[0], 100); !strings.HasPrefix(got, "first0 first1 ") {
		t.Errorf("kept %q", got)
	}
	roundTrip(t, b.Addrs()[0], "second", nil) // it goes on where it was
}

// roundTrip produces 100 records to one partition and commits an offset.
func roundTrip(t *testing.T, addr, what string, setup func(*kadm.Client) error) {
	t.Helper()
	client := clientOf(t, addr)
	admin := kadm.NewClient(client)
	if setup != nil {
		if err := setup(admin); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		r := &kgo.Record{Topic: "order.v1", Partition: 1, Value: fmt.Appendf(nil, "%s%d", what, i)}
		client.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var offsets kadm.Offsets
	offsets.AddOffset("order.v1", 1, 50, -1)
	if err := admin.CommitAllOffsets(t.Context(), "stock", offsets); err != nil {
		t.Fatal(err)
	}
}

func clientOf(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// values reads the first n records of partition 1, joined by blanks.
func values(t *testing.T, addr string, n int) string {
	t.Helper()
	client := clientOf(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		"order.v1": {1: kgo.NewOffset().AtStart()},
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	for len(got) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", len(got), err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	return strings.Join(got, " ")
}

func TestBrokerRefusesASecondOne(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	b, err := StartBroker(t.Context(), BrokerConfig{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := StartBroker(ctx, BrokerConfig{DataDir: dir}); err == nil {
		t.Error("two brokers on one folder")
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err = StartBroker(t.Context(), BrokerConfig{DataDir: dir})
	if err != nil {
		t.Fatalf("after the first one's end: %v", err)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
