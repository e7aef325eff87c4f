package bench

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// upkeep is what autovacuum has done for a table: rounds, and milliseconds.
type upkeep struct {
	vacuums, analyses       int64
	vacuumTime, analyzeTime float64
}

// WriteTables lists how the rows of each table were written, how many updates stayed on their page (HOT), and how long
// autovacuum worked for it: in processes of its own, which no statement shows.
func (s *Site) WriteTables(ctx context.Context, w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 4, 1, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "table\tinserts\tupdates\tof them HOT\tdeletes\tdead\tKB\tvacuums\tms\tanalyses\tms\t")
	var sum upkeep
	for _, service := range local.Services() {
		one, err := writeTables(ctx, table, service, s.Postgres.AdminURL("q_"+service))
		if err != nil {
			return fmt.Errorf("list the tables of %s: %w", service, err)
		}
		sum.add(one)
	}
	fmt.Fprintf(table, "all\t\t\t\t\t\t\t%d\t%.0f\t%d\t%.0f\t\n", sum.vacuums, sum.vacuumTime, sum.analyses, sum.analyzeTime)
	return table.Flush()
}

func (u *upkeep) add(o upkeep) {
	u.vacuums, u.vacuumTime = u.vacuums+o.vacuums, u.vacuumTime+o.vacuumTime
	u.analyses, u.analyzeTime = u.analyses+o.analyses, u.analyzeTime+o.analyzeTime
}

// writeTables lists those of one database that were written to, and returns what was done for all.
func writeTables(ctx context.Context, table io.Writer, service, url string) (sum upkeep, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return sum, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `
		SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del, n_dead_tup, pg_total_relation_size(relid) / 1024,
			autovacuum_count, total_autovacuum_time, autoanalyze_count, total_autoanalyze_time,
			schemaname = 'public' AND n_tup_ins + n_tup_upd > 1000
		FROM pg_stat_all_tables ORDER BY n_tup_ins + n_tup_upd DESC`)
	if err != nil {
		return sum, err
	}
	var name string
	var inserts, updates, hot, deletes, dead, size int64
	var u upkeep
	var busy bool
	_, err = pgx.ForEachRow(rows, []any{
		&name, &inserts, &updates, &hot, &deletes, &dead, &size, &u.vacuums, &u.vacuumTime, &u.analyses, &u.analyzeTime, &busy,
	}, func() error {
		sum.add(u) // of PostgreSQL's own tables as well
		if !busy {
			return nil
		}
		fmt.Fprintf(table, "%s.%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.0f\t%d\t%.0f\t\n",
			service, name, inserts, updates, hot, deletes, dead, size, u.vacuums, u.vacuumTime, u.analyses, u.analyzeTime)
		return nil
	})
	return sum, err
}
