package bench

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

func statements(calls, ms float64) Statements {
	return Statements{
		spent: map[statementKey]spent{
			{"q_order", "SELECT 1"}: {calls: calls, ms: ms, rows: 2 * calls, wal: 10 * calls},
			{"q_order", "SELECT 2"}: {calls: 7, ms: 70},
		},
		wal: 1000 * calls, full: calls, checkpoints: 3,
		cpu: map[string]float64{"for q_order": 500 * ms, "checkpointer": 10},
	}
}

// What a run cost is what came to it, and what an order of it cost; what has not run in it is not listed.
func TestStatementsSince(t *testing.T) {
	t.Parallel()
	runs := []Statements{statements(10, 20).Since(statements(4, 8)), statements(30, 80).Since(statements(10, 20))}
	var out strings.Builder
	if err := WriteStatements(&out, runs, 100); err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(out.String()) {
		words := strings.Fields(line)
		lines[strings.Join(words[max(0, len(words)-2):], " ")] = words
	}
	if _, listed := lines["SELECT 2"]; listed {
		t.Errorf("a statement that has not run is listed:\n%s", &out)
	}
	for end, want := range map[string]string{
		// 6 and 20 calls, of 100 orders each, of 2 rows and 10 bytes of the log; 12 and 60 ms.
		"SELECT 1":    "q_order 0.130 2.0 1 120.0 600.0 SELECT 1",
		"wall time":   "all statements 120.0 600.0 wall time",
		"for q_order": "CPU µs/order 60.0 300.0 for q_order",
		"the log":     "WAL B/order 60.0 200.0 all of the log",
	} {
		if got := strings.Join(lines[end], " "); got != want {
			t.Errorf("%q: want %q, in\n%s", got, want, &out)
		}
	}
	if strings.Contains(out.String(), "checkpointer") {
		t.Errorf("a process that has done nothing is listed:\n%s", &out)
	}
}

// The time of PostgreSQL's processes can be told apart by what they are for.
func TestPostgresCPU(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testkit.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var pid int
	var database string
	var sum float64
	// Enough work for a few hundredths of a second, which is what the clock tells.
	if err := conn.QueryRow(t.Context(), `SELECT pg_backend_pid(), current_database(), (SELECT sum(sqrt(i)) FROM generate_series(1, 2000000) i)`).
		Scan(&pid, &database, &sum); err != nil {
		t.Fatal(err)
	}
	_, parents, err := processTimes()
	if err != nil {
		t.Fatal(err)
	}
	all, err := postgresCPU(parents[pid])
	if err != nil {
		t.Fatal(err)
	}
	if all["for "+database] <= 0 {
		t.Errorf("nothing was spent for %s: %v", database, all)
	}
	for _, kind := range []string{"checkpointer", "walwriter", "postmaster", "ended"} {
		if _, known := all[kind]; !known {
			t.Errorf("no %s in %v", kind, all)
		}
	}
	if all["other"] > 0 {
		t.Errorf("a process of an unknown kind: %v", all)
	}
}
