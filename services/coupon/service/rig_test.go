package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/coupon/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// rig is a running coupon service with a database and topics of its own.
type rig struct {
	t        *testing.T
	url      string // of its API
	database string
	prefix   string
	client   *kgo.Client
	issuer   *web.Issuer

	mu     sync.Mutex
	events map[string][]proto.Message // what coupon published, by order
}

const partitions = 3

func start(t *testing.T) *rig {
	t.Helper()
	issuer, err := web.LoadOrCreateIssuer(filepath.Join(t.TempDir(), "key.pem"), "test", "quadrille")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, database: testkit.Database(t), prefix: testkit.TopicPrefix(t), issuer: issuer, events: map[string][]proto.Message{}}
	brokers := testkit.Brokers(t)
	r.client, err = kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(r.prefix+"coupon.v1"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.Close)
	topics := []string{"order.v1", "stock.v1", "payment.v1", "coupon.v1"}
	for i := range topics {
		topics[i] = r.prefix + topics[i]
	}
	if _, err := kadm.NewClient(r.client).CreateTopics(t.Context(), partitions, 1, nil, topics...); err != nil {
		t.Fatal(err)
	}
	go r.collect(t.Context())

	var cfg service.Config
	auth := issuer.Config()
	if err := run.LoadFrom(map[string]string{
		"DATABASE_URL": r.database, "KAFKA_BROKERS": strings.Join(brokers, ","), "TOPIC_PREFIX": r.prefix,
		"KAFKA_PARTITIONS": fmt.Sprint(partitions), "DURABILITY": "single", "LOG_LEVEL": "error",
		"JWT_ISSUERS": auth.Issuers[0], "JWT_AUDIENCES": auth.Audiences[0], "JWT_JWKS": auth.JWKS,
		"RATE_PER_ADDRESS": "5000",
	}, &cfg); err != nil {
		t.Fatal(err)
	}
	cfg.HTTPListener, cfg.AdminListener = listen(t), listen(t)
	cfg.Tuning = engine.Tuning{Sweep: 50 * time.Millisecond}
	cfg.KafkaOptions = []kgo.Opt{kgo.FetchMaxWait(100 * time.Millisecond), kgo.MetadataMinAge(50 * time.Millisecond)}
	r.url = "http://" + cfg.HTTPListener.Addr().String()
	r.run(cfg)
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// run starts the service and returns when it is ready; it is stopped in order when the test ends.
func (r *rig) run(cfg service.Config) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx, cfg) }()
	r.t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				r.t.Errorf("the service ended with: %v", err)
			}
		case <-time.After(30 * time.Second):
			r.t.Error("the service did not stop")
		}
	})
	ready := "http://" + cfg.AdminListener.Addr().String() + "/readyz"
	testkit.Eventually(r.t, 60*time.Second, func() error {
		select {
		case err := <-ended:
			ended <- err
			r.t.Fatalf("the service ended with: %v", err)
		default:
		}
		resp, err := http.Get(ready)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(resp.Body)
			return fmt.Errorf("not ready: %s", body)
		}
		return nil
	})
}

// publish puts events on their topics, as the other services would.
func (r *rig) publish(subject string, messages ...proto.Message) {
	r.t.Helper()
	for _, m := range messages {
		name := string(m.ProtoReflect().Descriptor().FullName())
		owner := strings.Split(name, ".")[1]
		value, err := proto.Marshal(m)
		if err != nil {
			r.t.Fatal(err)
		}
		record := &kgo.Record{Topic: r.prefix + owner + ".v1", Key: []byte(subject), Value: value}
		for _, h := range (kafka.Envelope{
			ID: uuid.Must(uuid.NewV7()).String(), Type: name, Source: "/quadrille/" + owner, Subject: subject,
			Time: time.Now(), Sequence: 1, Correlation: subject,
		}).Headers() {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
		}
		if err := r.client.ProduceSync(r.t.Context(), record).FirstErr(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// collect keeps what coupon publishes.
func (r *rig) collect(ctx context.Context) {
	for ctx.Err() == nil {
		r.client.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			envelope, err := kafka.ParseEnvelope(record)
			if err != nil {
				r.t.Errorf("published without an envelope: %v", err)
				return
			}
			kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(envelope.Type))
			if err != nil {
				r.t.Errorf("published %q: %v", envelope.Type, err)
				return
			}
			m := kind.New().Interface()
			if err := proto.Unmarshal(record.Value, m); err != nil {
				r.t.Errorf("published %s: %v", envelope.Type, err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events[envelope.Subject] = append(r.events[envelope.Subject], m)
		})
	}
}

// published waits for the n-th event about an order (from 1) and returns it.
func (r *rig) published(orderID string, n int) proto.Message {
	r.t.Helper()
	var m proto.Message
	testkit.Eventually(r.t, 20*time.Second, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.events[orderID]) < n {
			return fmt.Errorf("%d events about %s", len(r.events[orderID]), orderID)
		}
		m = r.events[orderID][n-1]
		return nil
	})
	return m
}

// response is an answer of the API.
type response struct {
	Status int
	Header http.Header
	Body   map[string]any
}

func (a response) code() string { code, _ := a.Body["code"].(string); return code }

func (a response) more() bool { more, is := a.Body["hasMore"].(bool); return more || !is }

// data is a list's elements.
func (a response) data() (list []map[string]any) {
	all, _ := a.Body["data"].([]any)
	for _, one := range all {
		object, _ := one.(map[string]any)
		list = append(list, object)
	}
	return list
}

// token signs one for the subject.
func (r *rig) token(subject string, roles ...string) string {
	r.t.Helper()
	token, err := r.issuer.Token(subject, roles, time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

// call sends a request; headers are pairs of name and value.
func (r *rig) call(token, method, path, body string, headers ...string) response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, bytes.NewBufferString(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Error(err) // not Fatal: also called by other goroutines
		return response{}
	}
	defer resp.Body.Close()
	a := response{Status: resp.StatusCode, Header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&a.Body); err != nil {
		r.t.Errorf("%s %s: the answer is not JSON: %v", method, path, err)
	}
	return a
}
