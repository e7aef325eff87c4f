package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// database is the URL of a PostgreSQL that all tests share; each makes
// databases of its own in it.
var database string

func TestMain(m *testing.M) {
	code, err := testWithPostgres(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// testWithPostgres runs the tests while the program in the folder postgres
// runs: it stops its server when its standard input is closed, also when this
// process dies.
func testWithPostgres(m *testing.M) (code int, err error) {
	folder, err := os.MkdirTemp("", "temporal-peer-*")
	if err != nil {
		return 1, fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "postgres")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "postgres"
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the test's PostgreSQL: %w: %s", err, out)
	}
	server := exec.Command(binary)
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		return 1, err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := server.Start(); err != nil {
		return 1, fmt.Errorf("start the test's PostgreSQL: %w", err)
	}
	url, readErr := bufio.NewReader(stdout).ReadString('\n')
	if readErr == nil {
		database = strings.TrimSpace(url)
		code = m.Run()
	}
	stdin.Close()
	return code, errors.Join(readErr, server.Wait())
}

// settingsOf are those of a small run.
func settingsOf(t *testing.T, more ...string) settings {
	t.Helper()
	prefix := strings.ToLower(t.Name())
	args := []string{
		"-database", database, "-prefix", prefix, "-orders", "40", "-warmup", "0", "-shards", "4",
		"-products", "5", "-inflight", "8", "-connections", "10",
	}
	s, err := parse(append(args, more...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runReport runs the whole program and returns what it reported.
func runReport(t *testing.T, s settings) report {
	t.Helper()
	var out, progress bytes.Buffer
	if err := run(t.Context(), s, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("not one line of JSON: %v\n%s", err, out.String())
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines on stdout, not 1", n)
	}
	return r
}

// Every declined order is undone to the last piece of stock; run itself counts
// the rows and fails when they do not agree.
func TestOrdersAreCompletedOrUndone(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"Regular": {"-declined", "30"},
		"Local":   {"-declined", "30", "-local"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settingsOf(t, args...)
			r := runReport(t, s)
			if r.Checks.Completed+r.Checks.Cancelled != s.orders || r.Checks.Cancelled == 0 {
				t.Fatalf("%d completed and %d cancelled of %d", r.Checks.Completed, r.Checks.Cancelled, s.orders)
			}
			if r.Name != s.name() || r.Orders != s.orders || r.PerSecond <= 0 || r.Latency["p50"] <= 0 {
				t.Fatalf("report: %+v", r)
			}
		})
	}
}
