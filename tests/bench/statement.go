package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"
)

// Statements is what the database has done since some moment, by statement: the difference of two of them is what one
// measurement cost.
type Statements struct {
	spent map[statementKey]spent
	// wal and full are bytes written to the log and pages written into it whole; checkpoints that were begun.
	wal, full, checkpoints float64
	// cpu by kind of process, in microseconds.
	cpu map[string]float64
}

// statementKey is one statement of one database. Its text comes with it: the same hash may stand for two texts only
// where they mean the same.
type statementKey struct{ database, text string }

// spent is calls, milliseconds of wall time (waiting included), rows, and bytes of the log.
type spent struct{ calls, ms, rows, wal float64 }

func (s spent) minus(o spent) spent {
	return spent{s.calls - o.calls, s.ms - o.ms, s.rows - o.rows, s.wal - o.wal}
}

func (s spent) plus(o spent) spent {
	return spent{s.calls + o.calls, s.ms + o.ms, s.rows + o.rows, s.wal + o.wal}
}

// Statements reads what the database has done so far.
func (s *Site) Statements(ctx context.Context) (Statements, error) {
	st := Statements{spent: map[statementKey]spent{}}
	conn, err := pgx.Connect(ctx, s.Postgres.AdminURL("postgres"))
	if err != nil {
		return st, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`); err != nil {
		return st, err
	}
	rows, err := conn.Query(ctx, `
		SELECT d.datname, s.query, s.calls, s.total_exec_time, s.rows, s.wal_bytes::float8
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid`)
	if err != nil {
		return st, err
	}
	var key statementKey
	var one spent
	if _, err = pgx.ForEachRow(rows, []any{&key.database, &key.text, &one.calls, &one.ms, &one.rows, &one.wal}, func() error {
		key.text = strings.Join(strings.Fields(key.text), " ")
		st.spent[key] = st.spent[key].plus(one) // of more than one user, or plan
		return nil
	}); err != nil {
		return st, err
	}
	if err := conn.QueryRow(ctx, `
		SELECT w.wal_bytes::float8, w.wal_fpi, c.num_timed + c.num_requested FROM pg_stat_wal w, pg_stat_checkpointer c`,
	).Scan(&st.wal, &st.full, &st.checkpoints); err != nil {
		return st, err
	}
	st.cpu, err = postgresCPU(s.Postgres.Pid())
	return st, err
}

// Since is what was done after before.
func (s Statements) Since(before Statements) Statements {
	d := Statements{
		spent: map[statementKey]spent{}, cpu: map[string]float64{},
		wal: s.wal - before.wal, full: s.full - before.full, checkpoints: s.checkpoints - before.checkpoints,
	}
	for key, one := range s.spent {
		if one = one.minus(before.spent[key]); one.calls > 0 {
			d.spent[key] = one
		}
	}
	for kind, us := range s.cpu {
		d.cpu[kind] = us - before.cpu[kind]
	}
	return d
}

// listed is how many statements are worth a line.
const listed = 40

// WriteStatements lists what an order cost in each run, the dearest statement first: a figure that grows from run to
// run grows with the tables. Times are wall time, so a wait is in them.
func WriteStatements(w io.Writer, runs []Statements, orders int) error {
	n := float64(max(1, orders))
	keys, sum := dearest(runs)
	table := tabwriter.NewWriter(w, 0, 4, 1, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "database\tcalls/order\trows/call\tWAL B/order\t")
	for i := range runs {
		fmt.Fprintf(table, "µs/order %d\t", i+1)
	}
	fmt.Fprintln(table, " statement\t")
	total := make([]float64, len(runs))
	for i, key := range keys {
		all := sum[key]
		line := fmt.Sprintf("%s\t%.3f\t%.1f\t%.0f\t", key.database, all.calls/n/float64(len(runs)), ratio(all.rows, all.calls), all.wal/n/float64(len(runs)))
		for r, run := range runs {
			us := run.spent[key].ms * 1000 / n
			total[r] += us
			line += fmt.Sprintf("%.1f\t", us)
		}
		if i < listed {
			fmt.Fprintf(table, "%s %s\t\n", line, key.text[:min(len(key.text), 110)])
		}
	}
	writeRow(table, "all statements", total, "wall time")
	writeServer(table, runs, n)
	return table.Flush()
}

// dearest are the statements of all runs, and what each has cost in all of them.
func dearest(runs []Statements) (keys []statementKey, sum map[statementKey]spent) {
	sum = map[statementKey]spent{}
	for _, run := range runs {
		for key, one := range run.spent {
			sum[key] = sum[key].plus(one)
		}
	}
	for key := range sum {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b statementKey) int {
		return cmp.Or(cmp.Compare(sum[b].ms, sum[a].ms), cmp.Compare(a.text, b.text), cmp.Compare(a.database, b.database))
	})
	return keys, sum
}

// writeServer adds what the server did beside the statements.
func writeServer(table io.Writer, runs []Statements, orders float64) {
	kinds := map[string]bool{}
	for _, run := range runs {
		for kind := range run.cpu {
			kinds[kind] = true
		}
	}
	each := func(of func(Statements) float64) (all []float64) {
		for _, run := range runs {
			all = append(all, of(run))
		}
		return all
	}
	names := make([]string, 0, len(kinds))
	for kind := range kinds {
		names = append(names, kind)
	}
	slices.Sort(names)
	for _, kind := range names {
		if us := each(func(s Statements) float64 { return s.cpu[kind] / orders }); slices.Max(us) >= 1 {
			writeRow(table, "CPU µs/order", us, kind)
		}
	}
	writeRow(table, "WAL B/order", each(func(s Statements) float64 { return s.wal / orders }), "all of the log")
	writeRow(table, "WAL pages/order", each(func(s Statements) float64 { return s.full / orders }), "pages written whole after a checkpoint")
	writeRow(table, "checkpoints", each(func(s Statements) float64 { return s.checkpoints }), "")
}

func writeRow(table io.Writer, name string, figures []float64, what string) {
	fmt.Fprintf(table, "%s\t\t\t\t", name)
	for _, figure := range figures {
		fmt.Fprintf(table, "%.1f\t", figure)
	}
	fmt.Fprintf(table, " %s\t\n", what)
}
