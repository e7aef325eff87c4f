package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/gateway/openapi"
	"github.com/quadrille-io/quadrille/services/gateway/service"
	order "github.com/quadrille-io/quadrille/services/order/service"
	stock "github.com/quadrille-io/quadrille/services/stock/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const partitions = 3

// members is what MEMBERS_FILE holds: alice and bob, each with an address.
const members = `[
	{"memberId":"alice","addresses":[{"addressId":"a1","default":true}]},
	{"memberId":"bob","addresses":[{"addressId":"b1","default":true}]}
]`

// rig is a running gateway before a real order and a real stock service, over a broker and databases of their own.
// payment and coupon are played by the test: their events are published by it, their HTTP is what answer says.
type rig struct {
	t      *testing.T
	url    string // of the gateway
	prefix string
	client *kgo.Client
	issuer *web.Issuer
	common map[string]string

	stopOrder func()
}

// start starts all three. played answers for payment, coupon and shipping; mailer is down.
func start(t *testing.T, played http.HandlerFunc) *rig {
	t.Helper()
	issuer, err := web.LoadOrCreateIssuer(filepath.Join(t.TempDir(), "key.pem"), "test", "quadrille")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, prefix: testkit.TopicPrefix(t), issuer: issuer}
	brokers := testkit.Brokers(t)
	if r.client, err = kgo.NewClient(kgo.SeedBrokers(brokers...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.Close)
	var topics []string
	for _, name := range []string{"order", "stock", "coupon", "payment", "shipping"} {
		topics = append(topics, r.prefix+name+".v1")
	}
	if _, err := kadm.NewClient(r.client).CreateTopics(t.Context(), partitions, 1, nil, topics...); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "members.json")
	if err := os.WriteFile(file, []byte(members), 0o600); err != nil {
		t.Fatal(err)
	}
	auth := issuer.Config()
	r.common = map[string]string{
		"KAFKA_BROKERS": strings.Join(brokers, ","), "TOPIC_PREFIX": r.prefix, "KAFKA_PARTITIONS": fmt.Sprint(partitions),
		"DURABILITY": "single", "LOG_LEVEL": "error", "MEMBERS_FILE": file,
		"JWT_ISSUERS": auth.Issuers[0], "JWT_AUDIENCES": auth.Audiences[0], "JWT_JWKS": auth.JWKS,
		"RATE_PER_ADDRESS": "5000", "RATE_PER_MEMBER": "5000",
	}
	var orders order.Config
	r.configure(&orders, &orders.Config, nil)
	r.stopOrder = r.run("order", func(ctx context.Context) error { return order.Run(ctx, orders) }, orders.AdminListener)
	var stocks stock.Config
	r.configure(&stocks, &stocks.Config, nil)
	r.run("stock", func(ctx context.Context) error { return stock.Run(ctx, stocks) }, stocks.AdminListener)

	others := httptest.NewServer(played)
	t.Cleanup(others.Close)
	down := listen(t)
	down.Close()
	var own service.Config
	r.configure(&own, &own.Config, map[string]string{
		"ORDER_URL": "http://" + orders.HTTPListener.Addr().String(), "STOCK_URL": "http://" + stocks.HTTPListener.Addr().String(),
		"COUPON_URL": others.URL, "PAYMENT_URL": others.URL, "SHIPPING_URL": others.URL,
		"MAILER_URL": "http://" + down.Addr().String(),
	})
	r.url = "http://" + own.HTTPListener.Addr().String()
	r.run("gateway", func(ctx context.Context) error { return service.Run(ctx, own) }, own.AdminListener)
	return r
}

// configure fills a service's configuration as the environment would.
func (r *rig) configure(cfg any, base *host.Config, more map[string]string) {
	r.t.Helper()
	environ := map[string]string{"DATABASE_URL": testkit.Database(r.t)}
	for _, m := range []map[string]string{r.common, more} {
		for name, value := range m {
			environ[name] = value
		}
	}
	if err := run.LoadFrom(environ, cfg); err != nil {
		r.t.Fatal(err)
	}
	base.HTTPListener, base.AdminListener = listen(r.t), listen(r.t)
	base.Tuning = engine.Tuning{Sweep: 50 * time.Millisecond}
	base.KafkaOptions = []kgo.Opt{kgo.FetchMaxWait(100 * time.Millisecond), kgo.MetadataMinAge(50 * time.Millisecond)}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// run starts a service and returns when it is ready. It is stopped by the returned function, or when the test ends.
func (r *rig) run(name string, service func(context.Context) error, admin net.Listener) (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended, done := error(nil), make(chan struct{})
	go func() {
		defer close(done)
		ended = service(ctx)
	}()
	stop = func() {
		cancel()
		select {
		case <-done:
			if ended != nil {
				r.t.Errorf("%s ended with: %v", name, ended)
			}
		case <-time.After(30 * time.Second):
			r.t.Errorf("%s did not stop", name)
		}
	}
	r.t.Cleanup(stop)
	testkit.Eventually(r.t, 60*time.Second, func() error {
		select {
		case <-done:
			r.t.Fatalf("%s ended with: %v", name, ended)
		default:
		}
		resp, err := http.Get("http://" + admin.Addr().String() + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(resp.Body)
			return fmt.Errorf("%s is not ready: %s", name, body)
		}
		return nil
	})
	return stop
}

// publish puts an event on its topic, as the service that owns it would, and returns its id.
func (r *rig) publish(subject string, sequence int64, cause string, m proto.Message) string {
	r.t.Helper()
	value, err := proto.Marshal(m)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.publishRaw(string(m.ProtoReflect().Descriptor().FullName()), subject, sequence, cause, value)
}

func (r *rig) publishRaw(eventType, subject string, sequence int64, cause string, value []byte) string {
	r.t.Helper()
	owner, id := strings.Split(eventType, ".")[1], uuid.Must(uuid.NewV7()).String()
	record := &kgo.Record{Topic: r.prefix + owner + ".v1", Key: []byte(subject), Value: value}
	for _, h := range (kafka.Envelope{
		ID: id, Type: eventType, Source: "/quadrille/" + owner, Subject: subject,
		Time: time.Now(), Sequence: sequence, Causation: cause, Correlation: subject,
	}).Headers() {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	if err := r.client.ProduceSync(r.t.Context(), record).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
	return id
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

func (r *rig) operator() string { return r.token("olga", web.RoleOperator) }

// response is an answer of the API.
type response struct {
	Status int
	Header http.Header
	Text   string
	Body   map[string]any
}

func (a response) code() string { code, _ := a.Body["code"].(string); return code }

// data is a list's elements.
func (a response) data() (list []map[string]any) {
	all, _ := a.Body["data"].([]any)
	for _, one := range all {
		object, _ := one.(map[string]any)
		list = append(list, object)
	}
	return list
}

// request makes one; headers are pairs of name and value.
func (r *rig) request(token, method, path, body string, headers ...string) *http.Request {
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
	return req
}

// client shows redirects instead of following them.
var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (r *rig) call(token, method, path, body string, headers ...string) response {
	r.t.Helper()
	resp, err := client.Do(r.request(token, method, path, body, headers...))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	r.check(resp, text)
	a := response{Status: resp.StatusCode, Header: resp.Header, Text: string(text)}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(text, &a.Body); err != nil {
			r.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return a
}

// expect is call with the status it should have.
func (r *rig) expect(status int, token, method, path, body string, headers ...string) response {
	r.t.Helper()
	a := r.call(token, method, path, body, headers...)
	if a.Status != status {
		r.t.Fatalf("%s %s: %d, want %d: %s", method, path, a.Status, status, a.Text)
	}
	return a
}

var documented = sync.OnceValues(func() (routers.Router, error) {
	raw, err := openapi.JSON()
	if err != nil {
		return nil, err
	}
	document, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(document)
})

// check holds an answer of the API against the document: its status, its headers and its body.
func (r *rig) check(resp *http.Response, body []byte) {
	r.t.Helper()
	router, err := documented()
	if err != nil {
		r.t.Fatal(err)
	}
	req := resp.Request.Clone(r.t.Context())
	req.URL.Scheme, req.URL.Host, req.Host = "", "", ""
	route, params, err := router.FindRoute(req)
	if err != nil {
		public := strings.HasPrefix(req.URL.Path, "/api/") || strings.HasPrefix(req.URL.Path, "/ops/")
		if public && resp.StatusCode != http.StatusMethodNotAllowed {
			r.t.Errorf("%s %s: %v", req.Method, req.URL.Path, err)
		}
		return
	}
	input := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route}
	err = openapi3filter.ValidateResponse(r.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(body)),
	})
	if err != nil {
		r.t.Errorf("%s %s is not as documented: %v", req.Method, req.URL.Path, err)
	}
}
