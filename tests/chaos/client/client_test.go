package client

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// shop answers every call by a function of its own.
func shop(t *testing.T, gateways []string, rate float64) (*Client, func() []history.Call) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := history.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var members []string
	for i := range 16 {
		members = append(members, fmt.Sprintf("m%d", i))
	}
	c := New(Options{
		Gateways: gateways, Members: members, Token: func(m string) string { return "token of " + m }, OperatorToken: "operator",
		CarrierURL: gateways[0], Rate: rate, Seed: 7, History: log,
	})
	c.leisure = 0.01
	return c, func() []history.Call {
		t.Helper()
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		calls, err := history.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return calls
	}
}

func serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL
}

func placing(key string) request {
	r := request{method: http.MethodPost, path: "/api/v1/orders", token: "t", body: map[string]any{}}
	r.Op, r.Member, r.Key, r.Asked = history.Place, "m1", key, &history.Asked{}
	return r
}

// Only an answer says what happened: everything that may have been done is unknown.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   history.Completion
	}{
		"accepted": {answers(202, `{"orderId":"o1","version":1,"status":"PENDING"}`), history.Completion{Outcome: history.OK, Status: 202, Order: "o1", Version: 1, State: "PENDING"}},
		"refused":  {answers(422, `{"code":"price_changed","status":422}`), history.Completion{Outcome: history.Fail, Status: 422, Code: "price_changed"}},
		"503":      {answers(503, `{"code":"service_unavailable","status":503}`), history.Completion{Outcome: history.Unknown, Status: 503, Code: "service_unavailable"}},
		"408":      {answers(408, `{}`), history.Completion{Outcome: history.Unknown, Status: 408}},
		"half":     {answers(202, `{"orderId":"o1`), history.Completion{Outcome: history.Unknown, Status: 202}},
		"list":     {answers(200, `{"data":[{},{}]}`), history.Completion{Outcome: history.OK, Status: 200, Count: 2}},
		"cut":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, history.Completion{Outcome: history.Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, log := shop(t, []string{serve(t, c.answer)}, 1)
			got := client.once(t.Context(), placing("k"))
			got.N, got.Error = 0, ""
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if calls := log(); len(calls) != 1 || calls[0].End.Outcome != c.want.Outcome {
				t.Errorf("logged %+v", calls)
			}
		})
	}
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// A gateway that cannot be reached is no answer, and the other one is asked: with the same key.
func TestDeadGateway(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	keys := make(chan string, 10)
	alive := serve(t, func(w http.ResponseWriter, r *http.Request) {
		keys <- r.Header.Get("Idempotency-Key") + " " + r.Header.Get("Authorization")
		answers(202, `{"orderId":"o1"}`)(w, r)
	})
	client, log := shop(t, []string{gone.URL, alive}, 1)
	if end := client.anywhere(t.Context(), placing("")); end.Order != "o1" {
		t.Errorf("without a key: %+v", end)
	}
	if end := client.insist(t.Context(), rand.New(rand.NewPCG(1, 1)), placing("k")); end.Order != "o1" {
		t.Errorf("with a key: %+v", end)
	}
	if a, b := <-keys, <-keys; a != " Bearer t" || b != "k Bearer t" {
		t.Errorf("sent with %q and %q", a, b)
	}
	calls := log()
	if len(calls) != 4 || calls[0].End.Outcome != history.Fail || calls[0].End.Code != codeUnreachable || calls[1].Attempt != 2 {
		t.Errorf("%+v", calls)
	}
}

// A call without a key is not repeated when its outcome is unknown: it could be done twice.
func TestNoKeyNoRepetition(t *testing.T) {
	t.Parallel()
	client, log := shop(t, []string{serve(t, answers(503, "{}"))}, 1)
	client.anywhere(t.Context(), placing(""))
	if calls := log(); len(calls) != 1 {
		t.Errorf("%d calls", len(calls))
	}
}

// crowdServer is a shop that accepts everything, and remembers orders by key.
type crowdServer struct {
	mu     sync.Mutex
	orders map[string]string
	flaky  int
}

func (s *crowdServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flaky++; s.flaky%5 == 0 && r.Header.Get("Idempotency-Key") != "" {
		answers(503, `{"code":"service_unavailable"}`)(w, r)
		return
	}
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/api/v1/orders":
		key := r.Header.Get("Authorization") + r.Header.Get("Idempotency-Key")
		if s.orders[key] == "" || r.Header.Get("Idempotency-Key") == "" {
			s.orders[key] = fmt.Sprintf("o%d", s.flaky)
		}
		answers(202, `{"orderId":"`+s.orders[key]+`","version":1,"status":"PENDING"}`)(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/v1/coupon-policies/"):
		answers(201, `{"couponId":"c1"}`)(w, r)
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		answers(404, `{}`)(w, r) // the carrier has no parcels
	default:
		answers(200, `{}`)(w, r)
	}
}

// The crowd does all it is there for, at its rate, and repeats what it does not know until it knows.
func TestCrowd(t *testing.T) {
	t.Parallel()
	server := &crowdServer{orders: map[string]string{}}
	url := serve(t, server.ServeHTTP)
	client, log := shop(t, []string{url, url}, 400)
	if err := client.Run(t.Context()); err == nil {
		t.Error("ran unprepared")
	}
	if err := client.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	open, closing := context.WithCancel(t.Context())
	defer closing()
	ended := make(chan error, 1)
	go func() { ended <- client.Run(open) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for client.Accepted() < 600 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%d orders accepted", client.Accepted())
		}
	}
	closing()
	// Its last customers stay for a while, as they do in a run; the log need not wait for them to be whole.
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the customers do not leave")
	}
	seen, keys := map[history.Op]int{}, map[string]history.Outcome{}
	coupons, points, bare := 0, 0, 0
	for _, c := range log() {
		seen[c.Op]++
		if c.Op != history.Place {
			continue
		}
		switch {
		case len(c.Asked.Coupons) > 0:
			coupons++
		case c.Asked.Points > 0:
			points++
		}
		if c.Key == "" {
			bare++
		} else if keys[c.Key] != history.OK {
			keys[c.Key] = c.End.Outcome
		}
	}
	for _, op := range []history.Op{history.Place, history.Cancel, history.Issue, history.AddProduct, history.Grant, history.AddPolicy, history.Preview} {
		if seen[op] == 0 {
			t.Errorf("no %s among %v", op, seen)
		}
	}
	if coupons == 0 || points == 0 || bare == 0 {
		t.Errorf("%d orders with coupons, %d with points, %d without a key", coupons, points, bare)
	}
	for key, outcome := range keys {
		if outcome != history.OK {
			t.Errorf("key %s was left %s", key, outcome)
		}
	}
}

// The same seed asks for the same things.
func TestSeed(t *testing.T) {
	t.Parallel()
	orders := func(seed uint64) string {
		c := New(Options{Gateways: []string{"x"}, Members: []string{"a", "b", "c"}, Token: func(string) string { return "" }, Seed: seed})
		c.goods.plain = []product{{"A", 1000}, {"B", 2000}}
		var all strings.Builder
		for n := range uint64(50) {
			s := &session{Client: c, rng: rand.New(rand.NewPCG(seed, n)), number: n}
			fmt.Fprint(&all, *s.card(s.item(c.goods.plain, 3)))
		}
		return all.String()
	}
	first, again := orders(1), orders(1)
	if first != again {
		t.Error("one seed, two crowds")
	}
	if first == orders(2) {
		t.Error("two seeds, one crowd")
	}
}
