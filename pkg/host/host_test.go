package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

const patience = 30 * time.Second

// world and store are those of a service that keeps nothing: it answers every order with StockDecreased,
// but panics at the one of "panic".
type world struct{}

type store struct{}

func (store) Load(context.Context, *pg.Tx, []flow.Input) (*world, error) { return &world{}, nil }
func (store) Save(*pg.Batch, *world) error                               { return nil }

// parts make the service; mended takes the poison away.
func parts(mended *atomic.Bool) host.Parts[world] {
	return host.Parts[world]{
		Definition: flow.Service("stock", flow.On(func(_ *world, e *orderv1.OrderCreated, _ flow.Meta) []flow.Event {
			if e.UserId == "panic" && !mended.Load() {
				panic("this order cannot be decided")
			}
			return []flow.Event{&stockv1.StockDecreased{OrderId: e.OrderId}}
		}).Emits(&stockv1.StockDecreased{})),
		Store: store{}, Publishes: "stock.v1",
	}
}

// place is where services of one test run: a database, a broker, somebody who signs tokens.
type place struct {
	url, prefix string
	brokers     []string
	client      *kgo.Client
	issuer      *web.Issuer
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{url: testkit.Database(t), prefix: testkit.TopicPrefix(t), brokers: testkit.Brokers(t)}
	var err error
	p.issuer, err = web.LoadOrCreateIssuer(filepath.Join(t.TempDir(), "key.pem"), "test", "quadrille")
	check(t, err)
	p.client, err = kgo.NewClient(kgo.SeedBrokers(p.brokers...), kgo.ConsumeTopics(p.prefix+"stock.v1"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.UnknownTopicRetries(1000))
	check(t, err)
	t.Cleanup(p.client.Close)
	created, err := kadm.NewClient(p.client).CreateTopic(t.Context(), 2, 1, nil, p.prefix+"order.v1")
	check(t, err)
	check(t, created.Err)
	return p
}

// running is one service, whole.
type running struct {
	http, admin string // base URLs
	stop        func() error
}

func (p *place) start(t *testing.T, service host.Parts[world], operators host.Operators) *running {
	t.Helper()
	public, admin := listen(t), listen(t)
	cfg := host.Config{
		DatabaseURL: run.Secret(p.url), Brokers: p.brokers, TopicPrefix: p.prefix, Partitions: 2, CreateTopics: true,
		Durability: "single", Auth: p.issuer.Config(), Operators: operators,
		HTTPListener: public, AdminListener: admin,
		// No automatic retries: what is parked needs a person at once.
		Tuning: engine.Tuning{Pace: 2 * time.Millisecond, Sweep: 20 * time.Millisecond, Retries: []time.Duration{}},
	}
	cfg.Telemetry.LogFormat, cfg.Telemetry.Output = "text", t.Output()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx, cfg, service) }()
	r := &running{http: "http://" + public.Addr().String(), admin: "http://" + admin.Addr().String()}
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("service: %v", err)
		}
	})
	testkit.Eventually(t, patience, func() error {
		status, body := get(t, r.admin+"/readyz", "")
		if status != http.StatusOK {
			return fmt.Errorf("readyz is %d %s", status, body)
		}
		return nil
	})
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	return l
}

func get(t *testing.T, url, token string) (status int, body string) {
	t.Helper()
	return send(t, http.MethodGet, url, token, "")
}

// send answers 0 where nobody listens.
func send(t *testing.T, method, url, token, content string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(content))
	check(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if content != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp.StatusCode, string(read)
}

// order publishes an OrderCreated.
func (p *place) order(t *testing.T, id, user string) {
	t.Helper()
	message := &orderv1.OrderCreated{OrderId: id, UserId: user}
	value, err := proto.Marshal(message)
	check(t, err)
	r := &kgo.Record{Topic: p.prefix + "order.v1", Key: []byte(id), Value: value}
	for _, h := range (kafka.Envelope{
		ID: uuid.Must(uuid.NewV7()).String(), Type: string(message.ProtoReflect().Descriptor().FullName()),
		Source: "/quadrille/order", Subject: id, Time: time.Now(), Sequence: 1,
	}).Headers() {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	check(t, p.client.ProduceSync(t.Context(), r).FirstErr())
}

// decreased waits for the next event of the service, and returns its order.
func (p *place) decreased(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		fetches := p.client.PollRecords(ctx, 1)
		if ctx.Err() != nil {
			t.Fatal("no event of the service came")
		}
		for _, r := range fetches.Records() {
			var e stockv1.StockDecreased
			check(t, proto.Unmarshal(r.Value, &e))
			return e.OrderId
		}
	}
}

func (p *place) token(t *testing.T, subject string, roles ...string) string {
	t.Helper()
	token, err := p.issuer.Token(subject, roles, time.Hour)
	check(t, err)
	return token
}

func TestAServiceRunsWholeAndStopsInOrder(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var mended atomic.Bool
	r := p.start(t, parts(&mended), host.Operators{})
	p.order(t, "order-1", "customer")
	if got := p.decreased(t); got != "order-1" {
		t.Errorf("an event of %q came: want order-1", got)
	}
	if status, _ := get(t, r.admin+"/livez", ""); status != 200 {
		t.Errorf("livez is %d", status)
	}
	if _, body := get(t, r.admin+"/metrics", ""); !strings.Contains(body, `quadrille_events_emitted_total{service="stock"} 1`) {
		t.Errorf("metrics lack the event that was emitted")
	}

	failures := r.http + "/internal/v1/failures"
	operator := p.token(t, "op", web.RoleOperator)
	for token, want := range map[string]int{"": 401, p.token(t, "test1234"): 403, operator: 200} {
		if status, body := get(t, failures, token); status != want {
			t.Errorf("failures answered %d %s: want %d", status, body, want)
		}
	}
	p.order(t, "order-2", "panic")
	var list web.List[engine.Failure]
	testkit.Eventually(t, patience, func() error {
		_, body := get(t, failures, operator)
		if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Data) != 1 {
			return fmt.Errorf("failures are %s, %w", body, err)
		}
		return nil
	})
	mended.Store(true)
	request := fmt.Sprintf(`{"filter":{"group":%q},"reason":"mended"}`, list.Data[0].Group())
	status, body := send(t, http.MethodPost, failures+"/replay", operator, request)
	if status != 200 || !strings.Contains(body, `"outcome":"replayed"`) {
		t.Errorf("replay answered %d %s", status, body)
	}
	if got := p.decreased(t); got != "order-2" {
		t.Errorf("an event of %q came: want order-2", got)
	}
	check(t, r.stop())
	for _, url := range []string{r.http, r.admin + "/livez"} {
		if status, _ := get(t, url, ""); status != 0 {
			t.Errorf("%s answers %d after the stop", url, status)
		}
	}
}
