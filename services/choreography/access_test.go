package choreography_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"go.yaml.in/yaml/v3"

	"github.com/quadrille-io/quadrille/pkg/embed"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/services/choreography"
)

// access is what deploy/topics.yaml says of topics and principals.
type access struct {
	Topics []struct {
		Name, Owner string
	}
	Principals []principal
}

type principal struct {
	Name        string
	Write, Read []string
	Group       string
}

const method, password = "PLAIN", "password"

// rules are the principal's access rules, made of its lines as the file's comment says, and of nothing else.
func (p principal) rules() (rules []kfake.ACL) {
	allow := func(resource kmsg.ACLResourceType, name string, operations ...kmsg.ACLOperation) {
		for _, o := range operations {
			rules = append(rules, kfake.ACL{Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: o, Allow: true})
		}
	}
	for _, topic := range p.Write {
		allow(kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs)
	}
	for _, topic := range p.Read {
		allow(kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationRead, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs)
	}
	if p.Group != "" {
		allow(kmsg.ACLResourceTypeGroup, p.Group, kmsg.ACLOperationRead)
	}
	return rules
}

// guarded starts a broker that knows the principals of the generated file and holds them to their rules, with one
// event on each topic.
func guarded(t *testing.T) (access, func(name string, opts ...kgo.Opt) *kgo.Client) {
	t.Helper()
	var a access
	if err := yaml.Unmarshal([]byte(choreography.Topics(choreography.Topologies())), &a); err != nil {
		t.Fatal(err)
	}
	opts := []kfake.Opt{kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser(method, "admin", password)}
	for _, p := range a.Principals {
		opts = append(opts, kfake.User(method, p.Name, password, p.rules()...))
	}
	broker, err := embed.StartBroker(t.Context(), embed.BrokerConfig{Options: opts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := broker.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	as := func(name string, more ...kgo.Opt) *kgo.Client {
		t.Helper()
		opts := append([]kgo.Opt{
			kgo.SeedBrokers(broker.Addrs()...), kgo.SASL(plain.Auth{User: name, Pass: password}.AsMechanism()),
			kgo.MetadataMinAge(10 * time.Millisecond),
		}, more...)
		client, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return client
	}
	admin := as("admin")
	for _, topic := range a.Topics {
		if _, err := kadm.NewClient(admin).CreateTopic(t.Context(), 1, 1, nil, topic.Name); err != nil {
			t.Fatal(err)
		}
		if err := admin.ProduceSync(t.Context(), &kgo.Record{Topic: topic.Name, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return a, as
}

// readers are who may read what, as the design has it: stated here once more, by hand, because a mistake in the
// generator would be in whatever is derived from it.
var readers = map[string][]string{
	"order.v1":    {"order", "stock", "coupon", "payment", "shipping", "mailer", "gateway", "dataplatform", "webhook"},
	"stock.v1":    {"stock", "order", "coupon", "payment", "gateway", "dataplatform", "webhook"},
	"coupon.v1":   {"coupon", "order", "stock", "payment", "gateway", "dataplatform", "webhook"},
	"payment.v1":  {"payment", "order", "stock", "coupon", "mailer", "gateway", "dataplatform", "webhook"},
	"shipping.v1": {"shipping", "order", "mailer", "gateway", "dataplatform", "webhook"},
	"member.v1":   {"order", "shipping", "mailer"},
}

// With a principal of its own and the generated rules, a service writes its own topic and no other, and reads what
// it takes part in: events of a neighbour cannot be forged, and personal data is read by those that need it.
func TestOnlyTheOwnerWrites(t *testing.T) {
	t.Parallel()
	a, as := guarded(t)
	if len(a.Principals) < 9 || len(a.Topics) != len(readers) {
		t.Fatalf("%d principals and %d topics are generated", len(a.Principals), len(a.Topics))
	}
	for _, p := range a.Principals {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			writer := as(p.Name, kgo.RequiredAcks(kgo.AllISRAcks())) // idempotent, as the relay is
			for _, topic := range a.Topics {
				owner, _, _ := strings.Cut(topic.Name, ".")
				want := owner == p.Name
				err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: topic.Name, Value: []byte("y")}).FirstErr()
				if want != (err == nil) || !want && !refused(err) {
					t.Errorf("writes %s: %v, want allowed: %v", topic.Name, err, want)
				}
				want = slices.Contains(readers[topic.Name], p.Name)
				err = readOne(t, as(p.Name, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic.Name: {0: kgo.NewOffset().AtStart()}})))
				if want != (err == nil) || !want && !refused(err) {
					t.Errorf("reads %s: %v, want allowed: %v", topic.Name, err, want)
				}
			}
			p.works(t, as)
		})
	}
}

// refused says that the broker knows who asks, and that they may not. (Who may write nothing at all gets no producer
// id either.)
func refused(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed)
}

// works does what a service does when it starts: it looks its topics up and moves its own group's offsets, and
// nobody else's.
func (p principal) works(t *testing.T, as func(string, ...kgo.Opt) *kgo.Client) {
	t.Helper()
	client := as(p.Name)
	cfg := kafka.Config{Partitions: 1, Durability: "single"}
	if _, err := kafka.Ready(t.Context(), client, cfg, p.Write, p.Read); err != nil {
		t.Errorf("looks up its topics: %v", err)
	}
	if all := slices.Concat(p.Write, p.Read); len(all) > 0 {
		configs, err := kadm.NewClient(client).DescribeTopicConfigs(t.Context(), all...)
		for _, c := range configs {
			err = errors.Join(err, c.Err)
		}
		if err != nil {
			t.Errorf("looks at its topics' copies: %v", err)
		}
	}
	if len(p.Read) == 0 {
		return
	}
	if p.Group != p.Name {
		t.Errorf("reads in group %q: want one of its own name", p.Group)
	}
	for group, want := range map[string]bool{p.Group: true, "somebody-elses": false} {
		var offsets kadm.Offsets
		offsets.AddOffset(p.Read[0], 0, 1, -1)
		err := kadm.NewClient(client).CommitAllOffsets(t.Context(), group, offsets)
		if want != (err == nil) || !want && !refused(err) {
			t.Errorf("commits offsets of %s: %v, want allowed: %v", group, err, want)
		}
	}
}

// readOne polls until a record comes, or the broker's word that it may not.
func readOne(t *testing.T, client *kgo.Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		fetches := client.PollFetches(ctx)
		if fetches.NumRecords() > 0 {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
	}
}
