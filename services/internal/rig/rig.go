// Package rig runs services for their tests: the service as it is started in production, with a broker's topics and a
// database of its own. The test is everybody else: it publishes what the other services would, reads what the service
// publishes, and calls its API with tokens of its own. Nothing is mocked.
//
// Only tests import it.
package rig

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

const (
	// Patience is how long a test waits for what has to come, on a busy machine too.
	Patience = 30 * time.Second
	// partitions of every topic: few, and more than one.
	partitions = 3
)

// Rig is one test's world: topics, tokens, and the services started in it.
type Rig struct {
	// T is the running test, or subtest (see In).
	T *testing.T
	// URL of the API and Pool of the database are those of the service that was served last.
	URL  string
	Pool *pgxpool.Pool

	prefix    string
	reads     []string
	issuer    *web.Issuer
	client    *kgo.Client
	published *published
}

// New makes a world for a service that reads these topics ("stock.v1", without prefix) and publishes on one of its own,
// whose events are kept for Events and Await; "" publishes none.
func New(t *testing.T, publishes string, reads ...string) *Rig {
	t.Helper()
	issuer, err := web.LoadOrCreateIssuer(filepath.Join(t.TempDir(), "key.pem"), "https://shop.example", "quadrille")
	if err != nil {
		t.Fatal(err)
	}
	r := &Rig{T: t, prefix: testkit.TopicPrefix(t), issuer: issuer, published: &published{}}
	options := []kgo.Opt{kgo.SeedBrokers(testkit.Brokers(t)...)}
	for _, name := range reads {
		r.reads = append(r.reads, r.prefix+name)
	}
	topics := r.reads
	if publishes != "" {
		topics = append(topics[:len(topics):len(topics)], r.prefix+publishes)
		options = append(options, kgo.ConsumeTopics(r.prefix+publishes), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	}
	if r.client, err = kgo.NewClient(append(options, quick()...)...); err != nil {
		t.Fatal(err)
	}
	created, err := kadm.NewClient(r.client).CreateTopics(t.Context(), partitions, 1, nil, topics...)
	if err = errors.Join(err, created.Error()); err != nil {
		t.Fatal(err)
	}
	r.collect()
	return r
}

// quick makes a client notice new topics and records without the patience of production.
func quick() []kgo.Opt {
	return []kgo.Opt{kgo.FetchMaxWait(100 * time.Millisecond), kgo.MetadataMinAge(50 * time.Millisecond)}
}

// collect reads what is published until the test ends.
func (r *Rig) collect() {
	var collecting sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	collecting.Go(func() {
		for ctx.Err() == nil {
			r.client.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
				if err := r.published.keep(record); err != nil {
					r.T.Errorf("published: %v", err)
				}
			})
		}
	})
	r.T.Cleanup(func() { stop(); collecting.Wait(); r.client.Close() })
}

// In is the same world for a subtest.
func (r *Rig) In(t *testing.T) *Rig {
	sub := *r
	sub.T = t
	return &sub
}

// Configure fills a service's configuration as the environment would, and gives it a database of its own unless more
// names one. base is the part of cfg that all services have.
func (r *Rig) Configure(cfg any, base *host.Config, more map[string]string) {
	r.T.Helper()
	auth := r.issuer.Config()
	environ := map[string]string{
		"KAFKA_BROKERS": strings.Join(testkit.Brokers(r.T), ","), "TOPIC_PREFIX": r.prefix,
		"KAFKA_PARTITIONS": strconv.Itoa(partitions), "DURABILITY": "single", "LOG_LEVEL": "warn", "LOG_FORMAT": "text",
		"JWT_ISSUERS": auth.Issuers[0], "JWT_AUDIENCES": auth.Audiences[0], "JWT_JWKS": auth.JWKS,
		"RATE_PER_ADDRESS": "5000", "RATE_PER_MEMBER": "5000",
	}
	maps.Copy(environ, more)
	if environ["DATABASE_URL"] == "" {
		environ["DATABASE_URL"] = testkit.Database(r.T)
	}
	if err := run.LoadFrom(environ, cfg); err != nil {
		r.T.Fatal(err)
	}
	base.Telemetry.Output = r.T.Output()
	base.Tuning = engine.Tuning{Sweep: 50 * time.Millisecond}
	base.KafkaOptions = quick()
}

// Members publishes members, a JSON array of MemberChanged messages, as the member service would. The service under test
// has taken them once it is CaughtUp.
func (r *Rig) Members(members string) {
	r.T.Helper()
	var entries []json.RawMessage
	if err := json.Unmarshal([]byte(members), &entries); err != nil {
		r.T.Fatal(err)
	}
	for _, entry := range entries {
		m := &memberv1.MemberChanged{}
		if err := protojson.Unmarshal(entry, m); err != nil {
			r.T.Fatal(err)
		}
		r.Publish(m.GetMemberId(), m)
	}
}

// MembersFile writes what MEMBERS_FILE names, and returns its path.
func (r *Rig) MembersFile(members string) string {
	r.T.Helper()
	path := filepath.Join(r.T.TempDir(), "members.json")
	if err := os.WriteFile(path, []byte(members), 0o600); err != nil {
		r.T.Fatal(err)
	}
	return path
}

// Token signs one for the subject.
func (r *Rig) Token(subject string, roles ...string) string {
	r.T.Helper()
	token, err := r.issuer.Token(subject, roles, time.Hour)
	if err != nil {
		r.T.Fatal(err)
	}
	return token
}

// Serve runs a service on listeners that it opens where base has none, and returns when it is ready. It is stopped in
// order by stop, or when the test ends.
func (r *Rig) Serve(base *host.Config, service func(context.Context) error) (stop func()) {
	r.T.Helper()
	for _, l := range []*net.Listener{&base.HTTPListener, &base.AdminListener} {
		if *l == nil {
			*l = Listen(r.T, "")
		}
	}
	t := r.T
	ctx, cancel := context.WithCancel(context.Background())
	var ended error
	done := make(chan struct{})
	// Only now, with the listeners in it, the service copies its configuration.
	go func() {
		defer close(done)
		ended = service(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
			if ended != nil {
				t.Errorf("the service ended with: %v", ended)
			}
		case <-time.After(Patience):
			t.Error("the service did not stop")
		}
	})
	t.Cleanup(stop)
	ready := "http://" + base.AdminListener.Addr().String() + "/readyz"
	testkit.Eventually(t, 2*Patience, func() error {
		select {
		case <-done:
			t.Fatalf("the service ended with: %v", ended)
		default:
		}
		return expectOK(ready)
	})
	r.URL = "http://" + base.HTTPListener.Addr().String()
	r.Pool = testkit.Pool(t, base.DatabaseURL.Reveal())
	return stop
}

func expectOK(url string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
