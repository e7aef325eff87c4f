package up

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHomeIsForOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h, err := openHome(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(dir, true); err == nil || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("opened twice, or without saying whose it is: %v", err)
	}
	id := h.id
	h.close()
	if h, err = openHome(dir, false); err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if h.id != id {
		t.Errorf("the installation's id changed from %s to %s", id, h.id)
	}
}

// --fresh removes what this program made, wherever it is, and nothing else.
func TestFresh(t *testing.T) {
	t.Parallel()
	dir, elsewhere, kept := t.TempDir(), filepath.Join(t.TempDir(), "cluster"), "someone's notes.txt"
	h, err := openHome(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	id := h.id
	for _, path := range []string{
		filepath.Join(elsewhere, "pgdata", "PG_VERSION"), h.path("kafka/log/x"), h.path("simulator/payment/journal"),
		h.path("log/quadrille.log"), h.path(devEnv), h.path("token.key"), h.path("members.json"), h.path(kept),
		filepath.Join(h.postgres(), "secret"),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.keepPostgresPlace(elsewhere); err != nil {
		t.Fatal(err)
	}
	h.close()
	if h, err = openHome(dir, true); err != nil {
		t.Fatal(err)
	}
	defer h.close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "installation lock "+kept {
		t.Errorf("left: %s", got)
	}
	if _, err := os.Stat(elsewhere); !os.IsNotExist(err) {
		t.Errorf("PostgreSQL's data is still there: %v", err)
	}
	if h.id == id {
		t.Error("the installation's id is the same: PostgreSQL's old data would be taken for ours")
	}
}

// A folder that only says it holds PostgreSQL's data is not removed.
func TestFreshLeavesStrangersAlone(t *testing.T) {
	t.Parallel()
	dir, stranger := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(stranger, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, postgresPlace), []byte(stranger+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := openHome(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	h.close()
	if _, err := os.Stat(filepath.Join(stranger, "thesis.txt")); err != nil {
		t.Error(err)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var screen bytes.Buffer
	for start := range keptLogs + 3 {
		l, err := openLog(dir, &screen)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(l, "time=1 level=INFO msg=start n=%d\ntime=2 level=WA", start)
		fmt.Fprintf(l, "RN msg=\"look at %d\"\n", start)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := screen.String(); strings.Count(got, "look at") != keptLogs+3 || strings.Contains(got, "INFO") {
		t.Errorf("on the screen:\n%s", got)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) != keptLogs+1 {
		t.Errorf("%v: %v", logs, err)
	}
	newest, err := os.ReadFile(filepath.Join(dir, "quadrille.log"))
	if err != nil || !strings.Contains(string(newest), fmt.Sprintf("n=%d", keptLogs+2)) {
		t.Errorf("%s: %v", newest, err)
	}
}
