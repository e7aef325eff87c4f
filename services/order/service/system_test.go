package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
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
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/telemetry"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/order/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	partitions = 3
	patience   = 20 * time.Second
)

// system is the order service as it runs, with a broker and a database of its own. The test is every
// other service: it produces what they would, and reads order.v1.
type system struct {
	t      *testing.T
	url    string
	db     string
	prefix string
	issuer *web.Issuer
	client *kgo.Client
	stop   func()

	mu     sync.Mutex
	events []event
}

// event is one record of order.v1.
type event struct {
	Envelope kafka.Envelope
	Message  proto.Message
}

func (e event) name() protoreflect.Name { return e.Message.ProtoReflect().Descriptor().Name() }

// members of the tests: m1 and m2 have a default address, m3 has none.
const members = `[
	{"memberId": "m1", "addresses": [{"addressId": "home-1", "default": true}, {"addressId": "work-1"}]},
	{"memberId": "m2", "addresses": [{"addressId": "home-2", "default": true}]},
	{"memberId": "m3"}
]`

func start(t *testing.T, change ...func(*service.Config)) *system {
	t.Helper()
	s := &system{t: t, prefix: testkit.TopicPrefix(t), db: testkit.Database(t)}
	dir := t.TempDir()
	var err error
	if s.issuer, err = web.LoadOrCreateIssuer(filepath.Join(dir, "key.pem"), "https://shop.example", "quadrille"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "members.json")
	if err := os.WriteFile(file, []byte(members), 0o600); err != nil {
		t.Fatal(err)
	}
	s.topics("stock.v1", "coupon.v1", "payment.v1", "shipping.v1", "order.v1")
	cfg := service.Config{
		Config: host.Config{
			DatabaseURL: run.Secret(s.db), Brokers: testkit.Brokers(t), TopicPrefix: s.prefix, Partitions: partitions,
			Durability: "single", Auth: s.issuer.Config(), Telemetry: telemetry.Config{LogFormat: "text", LogLevel: slog.LevelWarn, Output: t.Output()},
			Tuning: engine.Tuning{Sweep: 50 * time.Millisecond}, KafkaOptions: []kgo.Opt{kgo.FetchMaxWait(100 * time.Millisecond)},
		},
		PendingTimeout: time.Minute, TransferTimeout: time.Hour, CouponTimeout: 10 * time.Second, DoubleClickWindow: 5 * time.Second,
		MembersFile: file,
	}
	for _, f := range change {
		f(&cfg)
	}
	s.serve(&cfg)
	return s
}

func (s *system) topics(names ...string) {
	s.t.Helper()
	var err error
	s.client, err = kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(s.t)...), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumeTopics(s.prefix+"order.v1"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.client.Close)
	for _, name := range names {
		if _, err := kadm.NewClient(s.client).CreateTopic(s.t.Context(), partitions, 1, nil, s.prefix+name); err != nil {
			s.t.Fatal(err)
		}
	}
	go s.collect(context.WithoutCancel(s.t.Context()))
}

// serve starts the service, waits until it is ready, and stops it at the end of the test.
func (s *system) serve(cfg *service.Config) {
	s.t.Helper()
	for _, l := range []*net.Listener{&cfg.HTTPListener, &cfg.AdminListener} {
		ln, err := run.Listen(s.t.Context(), "127.0.0.1:0")
		if err != nil {
			s.t.Fatal(err)
		}
		*l = ln
	}
	s.url = "http://" + cfg.HTTPListener.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx, *cfg) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the service ended with: %v", err)
		}
	})
	s.t.Cleanup(s.stop)
	admin := cfg.AdminListener.Addr().String()
	testkit.Eventually(s.t, patience, func() error {
		response, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
}

func (s *system) collect(ctx context.Context) {
	for {
		fetches := s.client.PollFetches(ctx)
		if fetches.IsClientClosed() {
			return
		}
		s.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			e, err := kafka.ParseEnvelope(r)
			if err != nil {
				panic(err)
			}
			t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(e.Type))
			if err != nil {
				panic(err)
			}
			m := t.New().Interface()
			if err := proto.Unmarshal(r.Value, m); err != nil {
				panic(err)
			}
			s.events = append(s.events, event{Envelope: e, Message: m})
		})
		s.mu.Unlock()
	}
}

// of lists what order has emitted about a subject so far.
func (s *system) of(orderID string) []event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []event
	for _, e := range s.events {
		if e.Envelope.Subject == orderID {
			found = append(found, e)
		}
	}
	return found
}

// await waits until order has emitted an event of that name about the order.
func (s *system) await(orderID string, name protoreflect.Name) event {
	s.t.Helper()
	var found event
	testkit.Eventually(s.t, patience, func() error {
		for _, e := range s.of(orderID) {
			if e.name() == name {
				found = e
				return nil
			}
		}
		return fmt.Errorf("no %s of %s", name, orderID)
	})
	return found
}

// happen publishes events as their services would.
func (s *system) happen(subject string, messages ...proto.Message) {
	s.t.Helper()
	for _, m := range messages {
		name := string(m.ProtoReflect().Descriptor().FullName())
		e := kafka.Envelope{
			ID: uuid.Must(uuid.NewV7()).String(), Type: name, Source: "/quadrille/" + flow.Owner(name), Subject: subject,
			Time: time.Now(), Sequence: 1, Correlation: uuid.NewString(),
		}
		value, err := proto.Marshal(m)
		if err != nil {
			s.t.Fatal(err)
		}
		r := &kgo.Record{Topic: s.prefix + flow.Topic(name), Key: []byte(subject), Value: value}
		for _, h := range e.Headers() {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
		}
		if err := s.client.ProduceSync(s.t.Context(), r).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// handled waits until the service has dealt with n events: also with those it had nothing to say to.
func (s *system) handled(n int) {
	s.t.Helper()
	pool := testkit.Pool(s.t, s.db)
	testkit.Eventually(s.t, patience, func() error {
		var seen int
		if err := pool.QueryRow(s.t.Context(), `SELECT count(*) FROM inbox`).Scan(&seen); err != nil {
			return err
		}
		if seen < n {
			return fmt.Errorf("%d of %d events", seen, n)
		}
		return nil
	})
}

func (s *system) token(subject string, roles ...string) string {
	s.t.Helper()
	token, err := s.issuer.Token(subject, roles, time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// answer is what a request was answered.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, into); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
}

// field is a field of the JSON answer, as text.
func (a answer) field(name string) string {
	var fields map[string]any
	if json.Unmarshal(a.Body, &fields) != nil || fields[name] == nil {
		return ""
	}
	return fmt.Sprint(fields[name])
}

// do sends a request as a member; headers are pairs.
func (s *system) do(member, method, path, body string, headers ...string) answer {
	s.t.Helper()
	a, err := s.send(s.token(member), method, path, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *system) send(token, method, path, body string, headers ...string) (answer, error) {
	return s.sendTo(s.url, token, method, path, body, headers...)
}

func (s *system) sendTo(url, token, method, path, body string, headers ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url+path, bytes.NewBufferString(body))
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return answer{Status: response.StatusCode, Header: response.Header, Body: raw}, err
}
