package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain lets the test binary be the command itself, so that a test can kill
// a real process.
func TestMain(m *testing.M) {
	if os.Getenv("SIMULATOR_TEST_RUN") == "1" {
		if err := run(context.Background(), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is a simulator of its own.
type process struct {
	cmd  *exec.Cmd
	urls map[string]string
}

func spawn(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SIMULATOR_TEST_RUN=1", "SIMULATOR_DIR="+dir, "PAYMENT_SIMULATOR_ADDR=127.0.0.1:0",
		"CARRIER_SIMULATOR_ADDR=127.0.0.1:0", "INBOX_ADDR=127.0.0.1:0", "INBOX_SMTP_ADDR=127.0.0.1:0", "DATAPLATFORM_ADDR=127.0.0.1:0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, urls: map[string]string{}}
	t.Cleanup(p.kill)
	lines := bufio.NewScanner(out)
	for len(p.urls) < 5 && lines.Scan() {
		name, url, _ := strings.Cut(lines.Text(), " ")
		p.urls[name] = url
	}
	if len(p.urls) < 5 {
		t.Fatalf("not ready: %v", p.urls)
	}
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // SIGKILL; an error means it is gone already
	_ = p.cmd.Wait()
}

func (p *process) charge(key string) (id string, ok bool) {
	body := `{"amount":100,"currency":"KRW","token":"tok_ok","reference":"` + key + `"}`
	req, err := http.NewRequest("POST", p.urls["payment"]+"/v1/charges", strings.NewReader(body))
	if err != nil {
		return "", false
	}
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	var c struct{ ChargeID string }
	err = json.NewDecoder(resp.Body).Decode(&c)
	return c.ChargeID, err == nil && resp.StatusCode == 200
}

// A process killed while charges pour in has kept every one it acknowledged,
// and charges those whose answer was lost at most once.
func TestKillForgetsNoCharge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := spawn(t, dir)
	const workers, enough = 8, 200
	var mu sync.Mutex
	acknowledged, asked := map[string]string{}, map[string]bool{}
	reached := make(chan struct{})
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("k-%d-%d", w, i)
				mu.Lock()
				asked[key] = true
				mu.Unlock()
				id, ok := p.charge(key)
				if !ok {
					return // killed
				}
				mu.Lock()
				acknowledged[key] = id
				if len(acknowledged) == enough {
					close(reached)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-reached:
	case <-time.After(30 * time.Second):
		t.Error("too few charges")
	}
	p.kill()
	wg.Wait()

	q := spawn(t, dir)
	for key := range asked {
		id, ok := q.charge(key)
		if !ok || acknowledged[key] != "" && acknowledged[key] != id {
			t.Fatalf("%s: charged as %q %v, acknowledged before as %q", key, id, ok, acknowledged[key])
		}
	}
	resp, err := http.Get(q.urls["payment"] + "/v1/summary")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var sum struct {
		Totals []struct{ Charged, Charges int }
	}
	if err := json.NewDecoder(resp.Body).Decode(&sum); err != nil || len(sum.Totals) != 1 {
		t.Fatalf("summary: %v %+v", err, sum)
	}
	if sum.Totals[0].Charges != len(asked) || sum.Totals[0].Charged != 100*len(asked) {
		t.Fatalf("%d charges of %d for %d orders", sum.Totals[0].Charges, sum.Totals[0].Charged, len(asked))
	}
}

func TestEnvironmentIsChecked(t *testing.T) {
	t.Setenv("CARRIER_WEBHOOK_URL", "http://127.0.0.1:1")
	if err := run(t.Context(), os.Stdout); err == nil || !strings.Contains(err.Error(), "CARRIER_WEBHOOK_SECRET") {
		t.Fatalf("got %v", err)
	}
}
