package service_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/webhook/service"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
		return
	}
	testkit.Main(m)
}

const (
	completedType = "quadrille.order.v1.OrderCompleted"
	cancelledType = "quadrille.order.v1.OrderCancelled"
)

// system is a webhook service, once it is started.
type system struct {
	*rig.Rig
	env map[string]string
}

// quick makes of days and seconds what a test can wait for; WEBHOOK_DISABLE_AFTER stays, unless a test is about it.
func quick(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"DATABASE_URL": testkit.Database(t), "WEBHOOK_LOOPBACK": "true", "WEBHOOK_TIMEOUT": "2s", "WEBHOOK_RETRIES": "50ms",
		"WEBHOOK_EVERY": "20ms", "WEBHOOK_SWEEP_EVERY": "100ms",
	}
}

func prepare(t *testing.T, more ...string) *system {
	t.Helper()
	s := &system{Rig: rig.New(t, "", "order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1"), env: quick(t)}
	for i := 0; i < len(more); i += 2 {
		s.env[more[i]] = more[i+1]
	}
	return s
}

// start runs one more replica until stop is called or the test ends, and returns when it is ready.
func (s *system) start() (stop func()) {
	s.T.Helper()
	var cfg service.Config
	s.Configure(&cfg, &cfg.Config, s.env)
	cfg.Roots = authority()
	return s.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
}

func open(t *testing.T, more ...string) *system {
	t.Helper()
	s := prepare(t, more...)
	s.start()
	return s
}

func (s *system) operator() string { return s.Token("olga", web.RoleOperator) }

// ops calls an operators' route and fails the test unless it is answered with the status.
func (s *system) ops(status int, method, path, body string, headers ...string) rig.Answer {
	s.T.Helper()
	a := s.Call(s.operator(), method, "/ops/v1/webhooks"+path, body, headers...)
	if a.Status != status {
		s.T.Fatalf("%s %s: %s, want %d", method, path, a, status)
	}
	return a
}

// subscribe adds a webhook and returns its id and secret.
func (s *system) subscribe(url string, events ...string) (id, secret string) {
	s.T.Helper()
	body, err := json.Marshal(map[string]any{"url": url, "events": events, "reason": "a test"})
	if err != nil {
		s.T.Fatal(err)
	}
	a := s.ops(201, "POST", "", string(body))
	return a.Field("webhookId"), a.Field("secret")
}

// attempts are the log of a webhook, oldest first.
func (s *system) attempts(id, query string) []attempt {
	s.T.Helper()
	var list struct {
		Data    []attempt
		HasMore bool
	}
	s.ops(200, "GET", "/"+id+"/attempts?limit=100&"+query, "").Decode(s.T, &list)
	if list.HasMore {
		s.T.Error("more attempts than a page has")
	}
	for i, j := 0, len(list.Data)-1; i < j; i, j = i+1, j-1 {
		list.Data[i], list.Data[j] = list.Data[j], list.Data[i]
	}
	return list.Data
}

type attempt struct {
	ID, EventID, Type, Subject, Outcome, Error string
	Attempt, DurationMS                        int
	Status                                     *int
	At                                         time.Time
	NextAttemptAt                              *time.Time
}

// status is that of the answer, 0 without one.
func (a attempt) status() int {
	if a.Status == nil {
		return 0
	}
	return *a.Status
}

// untilLogged waits until there are n attempts of an event.
func (s *system) untilLogged(id, event string, n int) []attempt {
	s.T.Helper()
	var found []attempt
	testkit.Eventually(s.T, rig.Patience, func() error {
		if found = s.attempts(id, "eventId="+event); len(found) < n {
			return fmt.Errorf("%d attempts, want %d", len(found), n)
		}
		return nil
	})
	return found
}

func completed(orderID string) *orderv1.OrderCompleted {
	return &orderv1.OrderCompleted{
		OrderId: orderID, UserId: "kim", PaymentAmount: 10_050, Currency: "KRW", CompletedAt: timestamppb.Now(),
		OrderItems: []*orderv1.OrderItem{{ProductId: "p", ProductName: "Mug", Quantity: 1, ProductPrice: 10_050}},
	}
}

func cancelled(orderID string) *orderv1.OrderCancelled {
	return &orderv1.OrderCancelled{
		OrderId: orderID, UserId: "kim", Reason: orderv1.CancelReason_CANCEL_REASON_OUT_OF_STOCK, CancelledAt: timestamppb.Now(),
	}
}

// receiver is a merchant's HTTPS server with a certificate of the test's own authority.
type receiver struct {
	t   *testing.T
	url string

	mu  sync.Mutex
	got []delivery
}

type delivery struct {
	id     string
	header http.Header
	body   []byte
}

// receive starts one. answer says what becomes of the n-th request of an event (from 1), after it was noted; nil is 204.
func receive(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *receiver {
	t.Helper()
	r := &receiver{t: t}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n := r.note(req)
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, req, n)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}, MinVersion: tls.VersionTLS12}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	r.url = server.URL + "/hooks"
	return r
}

func (r *receiver) note(req *http.Request) (n int) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Errorf("read a delivery: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := delivery{id: req.Header.Get("webhook-id"), header: req.Header.Clone(), body: body}
	r.got = append(r.got, d)
	for _, other := range r.got {
		if other.id == d.id {
			n++
		}
	}
	return n
}

// received is what came so far, of one event or ("") of all.
func (r *receiver) received(id string) []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []delivery
	for _, d := range r.got {
		if id == "" || d.id == id {
			found = append(found, d)
		}
	}
	return found
}

// await waits for the n-th request of an event.
func (r *receiver) await(id string, n int) []delivery {
	r.t.Helper()
	var found []delivery
	testkit.Eventually(r.t, rig.Patience, func() error {
		if found = r.received(id); len(found) < n {
			return fmt.Errorf("%d requests, want %d", len(found), n)
		}
		return nil
	})
	return found
}

// verify holds a delivery against the reference library.
func (d delivery) verify(secret string) error {
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return w.Verify(d.body, d.header)
}

// authority is who the tests' certificates are believed from: httptest's own, which is for 127.0.0.1 and example.com.
func authority() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(testServer().Certificate())
	return pool
}

func certificate() tls.Certificate { return testServer().TLS.Certificates[0] }

var testServer = sync.OnceValue(func() *httptest.Server { return httptest.NewTLSServer(http.NotFoundHandler()) })
