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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
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
	"github.com/quadrille-io/quadrille/services/shipping/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// rig is a running shipping service with a database, topics and a carrier of its own.
type rig struct {
	t      *testing.T
	url    string // of its API
	pool   *pgxpool.Pool
	prefix string
	client *kgo.Client
	issuer *web.Issuer
	firm   *firm

	published *published
}

// published is what shipping published, by order.
type published struct {
	mu     sync.Mutex
	events map[string][]event
}

// in is the rig for a subtest.
func (r *rig) in(t *testing.T) *rig {
	sub, firm := *r, *r.firm
	sub.t, firm.t = t, t
	sub.firm = &firm
	return &sub
}

// event is one published event.
type event struct {
	kafka.Envelope
	message proto.Message
}

const partitions = 3

// start runs the service against a carrier; timeout is how long it waits for the carrier's answers.
func start(t *testing.T, timeout time.Duration) *rig {
	t.Helper()
	issuer, err := web.LoadOrCreateIssuer(filepath.Join(t.TempDir(), "key.pem"), "test", "quadrille")
	if err != nil {
		t.Fatal(err)
	}
	database := testkit.Database(t)
	api, admin := listen(t, ""), listen(t, "")
	r := &rig{
		t: t, url: "http://" + api.Addr().String(), prefix: testkit.TopicPrefix(t), issuer: issuer,
		published: &published{events: map[string][]event{}},
	}
	r.firm = openFirm(t, r.url+"/webhooks/shipping/simulator")
	brokers := testkit.Brokers(t)
	r.openTopics(brokers)

	var cfg service.Config
	auth := issuer.Config()
	if err := run.LoadFrom(map[string]string{
		"DATABASE_URL": database, "KAFKA_BROKERS": strings.Join(brokers, ","), "TOPIC_PREFIX": r.prefix,
		"KAFKA_PARTITIONS": fmt.Sprint(partitions), "DURABILITY": "single", "LOG_LEVEL": "error",
		"JWT_ISSUERS": auth.Issuers[0], "JWT_AUDIENCES": auth.Audiences[0], "JWT_JWKS": auth.JWKS,
		"CARRIER_URL": r.firm.url(), "CARRIER_WEBHOOK_SECRET": "old," + secret, "CARRIER_TIMEOUT": timeout.String(),
		"MEMBERS_FILE": membersFile(t),
	}, &cfg); err != nil {
		t.Fatal(err)
	}
	cfg.HTTPListener, cfg.AdminListener = api, admin
	cfg.Tuning = engine.Tuning{Sweep: 50 * time.Millisecond}
	cfg.KafkaOptions = []kgo.Opt{kgo.FetchMaxWait(100 * time.Millisecond), kgo.MetadataMinAge(50 * time.Millisecond)}
	r.run(cfg)
	r.pool = testkit.Pool(t, database)
	return r
}

func (r *rig) openTopics(brokers []string) {
	r.t.Helper()
	var err error
	r.client, err = kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(r.prefix+"shipping.v1"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		r.t.Fatal(err)
	}
	var topics []string
	for _, name := range []string{"order.v1", "shipping.v1"} {
		topics = append(topics, r.prefix+name)
	}
	if _, err := kadm.NewClient(r.client).CreateTopics(r.t.Context(), partitions, 1, nil, topics...); err != nil {
		r.t.Fatal(err)
	}
	var collecting sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	collecting.Go(func() { r.collect(ctx) })
	r.t.Cleanup(func() { stop(); collecting.Wait(); r.client.Close() })
}

// listen opens a port; an empty address takes a free one.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
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

// publish puts an event on its topic, as its owner would, and returns its id.
func (r *rig) publish(subject string, m proto.Message) string {
	r.t.Helper()
	name := string(m.ProtoReflect().Descriptor().FullName())
	owner := strings.Split(name, ".")[1]
	value, err := proto.Marshal(m)
	if err != nil {
		r.t.Fatal(err)
	}
	id := newID()
	record := &kgo.Record{Topic: r.prefix + owner + ".v1", Key: []byte(subject), Value: value}
	for _, h := range (kafka.Envelope{
		ID: id, Type: name, Source: "/quadrille/" + owner, Subject: subject, Time: time.Now(), Sequence: 1, Correlation: id,
	}).Headers() {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	if err := r.client.ProduceSync(r.t.Context(), record).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
	return id
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// collect keeps what the service publishes.
func (r *rig) collect(ctx context.Context) {
	for ctx.Err() == nil {
		r.client.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			e, err := read(record)
			if err != nil {
				r.t.Errorf("published: %v", err)
				return
			}
			r.published.mu.Lock()
			defer r.published.mu.Unlock()
			r.published.events[e.Subject] = append(r.published.events[e.Subject], e)
		})
	}
}

func read(record *kgo.Record) (e event, err error) {
	if e.Envelope, err = kafka.ParseEnvelope(record); err != nil {
		return e, err
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(e.Type))
	if err != nil {
		return e, err
	}
	e.message = kind.New().Interface()
	return e, proto.Unmarshal(record.Value, e.message)
}

// of waits until n events about an order are published and returns all there are.
func (r *rig) of(order string, n int) []event {
	r.t.Helper()
	var events []event
	testkit.Eventually(r.t, 30*time.Second, func() error {
		r.published.mu.Lock()
		defer r.published.mu.Unlock()
		if events = slices.Clone(r.published.events[order]); len(events) < n {
			return fmt.Errorf("%d events about the order, want %d", len(events), n)
		}
		return nil
	})
	return events
}

// emitted is how many events the service has ever emitted about an order, published or not yet.
func (r *rig) emitted(order string) int {
	r.t.Helper()
	var n int
	if err := r.pool.QueryRow(r.t.Context(), `SELECT emitted FROM subject WHERE id = $1`, order).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// response is an answer of the API.
type response struct {
	status int
	header http.Header
	body   map[string]any
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
	a := response{status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&a.body); err != nil && err != io.EOF {
		r.t.Errorf("%s %s: the answer is not JSON: %v", method, path, err)
	}
	return a
}
