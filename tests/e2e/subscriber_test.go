package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

var topics = []string{"order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1"}

// subscriber reads every topic from outside, with a plain Kafka client, and holds what it finds against
// the envelope that is promised.
func subscriber(t *testing.T, s *shop) {
	records := s.everything(t)
	if len(records) < 1_000 {
		t.Errorf("only %d events", len(records))
	}
	ids := map[string]bool{}
	for _, r := range records {
		ids[header(r, "ce_id")] = true
	}
	next := map[string]int{}
	for _, r := range records { // in the order of each partition
		if err := envelope(r, ids); err != nil {
			t.Fatalf("%s %d/%d: %v\n%v", r.Topic, r.Partition, r.Offset, err, headers(r))
		}
		// No gap and no repetition: what a relay published again after a crash would be the same number.
		of := header(r, "ce_source") + " " + header(r, "ce_subject")
		next[of]++
		if got := header(r, "ce_sequence"); got != fmt.Sprint(next[of]) {
			t.Fatalf("%s: ce_sequence %s, want %d", of, got, next[of])
		}
	}
	t.Logf("%d events of %d subjects", len(records), len(next))
}

// everything reads all topics to their present ends.
func (s *shop) everything(t *testing.T) []*kgo.Record {
	t.Helper()
	names := make([]string, 0, len(topics))
	for _, name := range topics {
		names = append(names, s.prefix+name)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.brokers...), kgo.ConsumeTopics(names...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, names...)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	ends.Each(func(o kadm.ListedOffset) { want += int(o.Offset) })
	var records []*kgo.Record
	for len(records) < want {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d records: %v", len(records), want, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

// envelope checks CloudEvents 1.0 in Kafka's binary mode, with the extensions that are promised.
func envelope(r *kgo.Record, ids map[string]bool) error {
	for _, name := range []string{
		"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_sequence",
		"ce_correlationid", "ce_partitionkey", "traceparent", "content-type",
	} {
		if header(r, name) == "" {
			return fmt.Errorf("no %s", name)
		}
	}
	id, err := uuid.Parse(header(r, "ce_id"))
	if err != nil || id.Version() != 7 {
		return fmt.Errorf("ce_id is no UUIDv7: %w", err)
	}
	if _, err := time.Parse(time.RFC3339Nano, header(r, "ce_time")); err != nil {
		return err
	}
	if header(r, "ce_specversion") != "1.0" || header(r, "content-type") != "application/protobuf" {
		return fmt.Errorf("wrong version or content type")
	}
	if string(r.Key) != header(r, "ce_subject") || header(r, "ce_partitionkey") != string(r.Key) {
		return fmt.Errorf("the key is %q", r.Key)
	}
	// The first of a chain has no cause, but a command; every other one's cause is an event that is there.
	cause := header(r, "ce_causationid")
	if cause == "" && header(r, "ce_commandid") == "" {
		return fmt.Errorf("caused by nothing")
	}
	if cause != "" && !ids[cause] {
		return fmt.Errorf("caused by %s, which nobody published", cause)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(header(r, "ce_type")))
	if err != nil {
		return err
	}
	message := kind.New()
	if err := proto.Unmarshal(r.Value, message.Interface()); err != nil {
		return err
	}
	if len(message.GetUnknown()) > 0 {
		return fmt.Errorf("unknown fields in %s", kind.Descriptor().FullName())
	}
	return nil
}

func header(r *kgo.Record, name string) string {
	i := slices.IndexFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == name })
	if i < 0 {
		return ""
	}
	return string(r.Headers[i].Value)
}

func headers(r *kgo.Record) map[string]string {
	all := map[string]string{}
	for _, h := range r.Headers {
		all[h.Key] = string(h.Value)
	}
	return all
}

// publish puts a record on a topic as nobody of this system would.
func (s *shop) publish(t *testing.T, r *kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(t)...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r.Topic = s.prefix + r.Topic
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
