// Package corpus_test sends the running system what an attacker would: forged tokens and webhooks, addresses that are
// made up, bodies that are too large, too slow or too strange. The corpora are the files of testdata, one entry an
// attempt; each test also sends what has to be taken, so that a system that refuses everything fails too.
package corpus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

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
	client := http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		t.Fatalf("%s %s: read the answer: %v", req.Method, req.URL, err)
	}
	return rest.Response{Status: res.StatusCode, Header: res.Header, Body: body.Bytes()}
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
