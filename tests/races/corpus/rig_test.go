// Package corpus_test sends the running system what an attacker would: forged tokens and webhooks, addresses that are
// made up, bodies that are too large, too slow or too strange. The corpora are the files of testdata, one entry an
// attempt; each test also sends what has to be taken, so that a system that refuses everything fails too.
package corpus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// strays are the lines that were logged past the services' own loggers.
var strays = &buffer{}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(strays, &slog.HandlerOptions{Level: slog.LevelDebug})))
	testkit.Main(m)
}

// patience is how long anything may take here, on a machine that has much else to do.
const patience = 40 * time.Second

// town is a running system with what it logs.
type town struct {
	*local.System
	cfg local.Config
	log *buffer
}

// open starts a system of the test's own. change may alter the configuration before.
func open(t *testing.T, change func(*local.Config)) town {
	t.Helper()
	w := town{log: &buffer{}}
	w.cfg = local.Config{
		Dir: t.TempDir(), Brokers: testkit.Brokers(t), TopicPrefix: testkit.TopicPrefix(t), Partitions: 2,
		Databases: map[string]string{}, Log: w.log, Tuning: engine.Tuning{Sweep: 100 * time.Millisecond},
		Environment: map[string]string{},
	}
	for _, name := range local.Services() {
		w.cfg.Databases[name] = testkit.Database(t)
	}
	if change != nil {
		change(&w.cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var err error
	if w.System, err = local.Start(ctx, w.cfg); err != nil {
		t.Fatalf("%v\n%s", err, w.log)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return w
}

// client is the subject's; the token is the system's own.
func (w town) client(t *testing.T, subject string, roles ...string) rest.Client {
	t.Helper()
	client, err := w.Client(subject, roles...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// corpus reads a file of testdata, a JSON array.
func corpus[T any](t *testing.T, name string) []T {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var list []T
	if err := decoder.Decode(&list); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return list
}

// send makes a request and reads its answer.
func send(t *testing.T, req *http.Request) rest.Response {
	t.Helper()
	res, err := ask(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// client follows no redirect: the answer is what counts here.
var client = http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ask is send for goroutines other than the test's own.
func ask(req *http.Request) (rest.Response, error) {
	res, err := client.Do(req)
	if err != nil {
		return rest.Response{}, err
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		return rest.Response{}, fmt.Errorf("read the answer: %w", err)
	}
	return rest.Response{Status: res.StatusCode, Header: res.Header, Body: body.Bytes()}, nil
}

// refused holds an answer against the refusal that is due: its status, its code, a problem document.
func refused(t *testing.T, what string, got rest.Response, status int, code string) {
	t.Helper()
	p := got.Problem()
	if got.Status != status || p.Code != code || p.Status != status {
		t.Errorf("%s: answered %d %s, want %d %s", what, got.Status, got.Body, status, code)
	}
	if kind := got.Header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("%s: answered with %q, want a problem document", what, kind)
	}
}

// caughtUp waits until every service has dealt with everything that was published.
func (w town) caughtUp(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		var list struct {
			Data []struct {
				Service string `json:"service"`
				Lag     int64  `json:"lag"`
			} `json:"data"`
		}
		if err := w.client(t, local.Operator, web.RoleOperator).Get(t.Context(), "/ops/v1/subscriptions", &list); err != nil {
			return err
		}
		for _, s := range list.Data {
			if s.Lag > 0 {
				return fmt.Errorf("%s is %d events behind", s.Service, s.Lag)
			}
		}
		if len(list.Data) != len(local.Services()) {
			return fmt.Errorf("%d services have subscriptions", len(list.Data))
		}
		return nil
	})
}

// unharmed checks that the system is as it was: it sells, nothing is parked in any service, nothing was logged that a
// person would have to look at, and what was taken did not become an order's.
func (w town) unharmed(t *testing.T) {
	t.Helper()
	order := place(t, w.client(t, local.Customer), basket(local.Product, 10_050))
	testkit.Eventually(t, patience, func() error {
		var o struct {
			Status string `json:"status"`
		}
		if err := w.client(t, local.Customer).Get(t.Context(), "/api/v1/orders/"+order, &o); err != nil {
			return err
		}
		if o.Status != "COMPLETED" {
			return fmt.Errorf("the order is %s", o.Status)
		}
		return nil
	})
	w.caughtUp(t)
	var failures struct {
		Data        []json.RawMessage `json:"data"`
		Unavailable []string          `json:"unavailable"`
	}
	if err := w.client(t, local.Operator, web.RoleOperator).Get(t.Context(), "/ops/v1/failures", &failures); err != nil {
		t.Fatal(err)
	}
	if len(failures.Data)+len(failures.Unavailable) > 0 {
		t.Errorf("events are parked: %s", failures.Data)
	}
	for line := range strings.Lines(w.log.String()) {
		busy := strings.Contains(line, "msg=request") && strings.Contains(line, "status=503") // and then asked again
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") && !busy {
			t.Errorf("logged: %.500s", line)
		}
	}
}

// buffer keeps what the services log.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is what was written so far.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
