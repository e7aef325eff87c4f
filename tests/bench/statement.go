package bench

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// ResetStatements begins the statistics of statements anew.
func (s *Site) ResetStatements(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.Postgres.AdminURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `SELECT pg_stat_statements_reset()`)
	return err
}

// Statements lists what the database spent its time on, the most first.
func (s *Site) Statements(ctx context.Context, w io.Writer) error {
	conn, err := pgx.Connect(ctx, s.Postgres.AdminURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `
		SELECT d.datname, s.calls, s.total_exec_time, s.rows, s.wal_bytes::bigint, s.query
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		ORDER BY s.total_exec_time DESC LIMIT 45`)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 4, 1, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "database\tcalls\tms\trows\tWAL KB\t statement\t")
	var database, query string
	var calls, count, wal int64
	var ms float64
	_, err = pgx.ForEachRow(rows, []any{&database, &calls, &ms, &count, &wal, &query}, func() error {
		text := strings.Join(strings.Fields(query), " ")
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%d\t%d\t %s\t\n", database, calls, ms, count, wal/1024, text[:min(len(text), 110)])
		return nil
	})
	if err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return s.tables(ctx, w)
}

// tables lists how the rows of each table were written, and how many updates stayed on their page (HOT).
func (s *Site) tables(ctx context.Context, w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 4, 1, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "table\tinserts\tupdates\tof them HOT\tdeletes\tKB\t")
	for _, service := range local.Services() {
		conn, err := pgx.Connect(ctx, s.Postgres.AdminURL("q_"+service))
		if err != nil {
			return err
		}
		rows, err := conn.Query(ctx, `
			SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del, pg_total_relation_size(relid) / 1024
			FROM pg_stat_user_tables WHERE n_tup_ins + n_tup_upd > 1000 ORDER BY n_tup_ins + n_tup_upd DESC`)
		if err != nil {
			return err
		}
		var name string
		var inserts, updates, hot, deletes, size int64
		_, err = pgx.ForEachRow(rows, []any{&name, &inserts, &updates, &hot, &deletes, &size}, func() error {
			fmt.Fprintf(table, "%s.%s\t%d\t%d\t%d\t%d\t%d\t\n", service, name, inserts, updates, hot, deletes, size)
			return nil
		})
		conn.Close(ctx)
		if err != nil {
			return err
		}
	}
	return table.Flush()
}
