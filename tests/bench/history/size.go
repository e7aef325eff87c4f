package history

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// Estimate is what a past will take, from a sample of it.
type Estimate struct {
	// PerOrder is bytes an order takes in each database.
	PerOrder map[string]float64 `json:"per_order"`
	// Tables is bytes that each table, as "service.table", will take with its indexes.
	Tables map[string]int64 `json:"tables"`
	// DataBytes is what all databases will take; LogBytes is room for the server's log (twice max_wal_size, as a
	// checkpoint has to end before the log of its time goes) and SortBytes for building the largest indexes.
	DataBytes int64 `json:"data_bytes"`
	LogBytes  int64 `json:"log_bytes"`
	SortBytes int64 `json:"sort_bytes"`
	FreeBytes int64 `json:"free_bytes"`
	// Seconds is about how long the copy with its indexes will take: the sample's time for each row. It is rough, as
	// the sample's server does not sync, and as a small past is statements more than rows.
	Seconds float64 `json:"seconds"`
}

// NeededBytes is what must be free: all of it, and 20 % more.
func (e Estimate) NeededBytes() int64 { return (e.DataBytes + e.LogBytes + e.SortBytes) * 6 / 5 }

// sampleMembers are loaded with the sample, so that what a member takes is known apart from what an order does.
const sampleMembers = 1_000

// estimate loads a sample in the studio: once goods and members alone, once with orders.
func (l *loader) estimate(ctx context.Context, s *studio) (Estimate, error) {
	cfg := l.cfg
	cfg.SideOrders = 0
	cfg.Orders, cfg.Members, cfg.Products = 0, min(cfg.Members, sampleMembers), min(cfg.Products, sampleMembers)
	goods, err := s.sample(ctx, "goods", cfg, l.recording)
	if err != nil {
		return Estimate{}, err
	}
	cfg.Orders = min(l.cfg.Sample, max(l.cfg.Orders, 1_000))
	all, err := s.sample(ctx, "orders", cfg, l.recording)
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{PerOrder: map[string]float64{}, Tables: map[string]int64{}}
	e.Seconds = float64(l.recording.expected(l.cfg)) * all.seconds / float64(max(all.rows, 1))
	var largest int64
	for name, w := range all.after {
		perOrder := float64(w.bytes-goods.after[name].bytes) / float64(cfg.Orders)
		service, _, _ := strings.Cut(name, ".")
		orders := float64(l.cfg.ordersOf(service))
		e.PerOrder[service] += perOrder
		e.Tables[name] = goods.after[name].bytes + int64(perOrder*orders)
		if l.recording.ofMembers(name) {
			perMember := float64(goods.after[name].bytes-goods.before[name].bytes) / float64(cfg.Members)
			e.Tables[name] += int64(perMember * float64(l.cfg.Members-cfg.Members))
		}
		e.DataBytes += e.Tables[name]
		largest = max(largest, int64(float64(w.index-goods.after[name].index)/float64(cfg.Orders)*orders))
	}
	e.SortBytes = largest
	return e, nil
}

// weight of a table.
type weight struct{ bytes, index int64 } // with all; the largest index alone

// sampled is a past that was loaded for an estimate.
type sampled struct {
	before, after map[string]weight
	rows          int64
	seconds       float64
}

// sample loads a past into databases of its own, and weighs every table before and after.
func (s *studio) sample(ctx context.Context, name string, cfg Config, r *recording) (did sampled, err error) {
	cfg.Databases = map[string]string{}
	for _, service := range services() {
		database := "sample_" + name + "_" + service
		if err := s.postgres.CreateDatabase(ctx, database, ""); err != nil {
			return did, fmt.Errorf("sample: %w", err)
		}
		cfg.Databases[service] = s.postgres.URL(database)
	}
	if err := migrate(ctx, cfg.Databases); err != nil {
		return did, fmt.Errorf("sample: %w", err)
	}
	if did.before, err = weighAll(ctx, cfg.Databases); err != nil {
		return did, fmt.Errorf("sample: %w", err)
	}
	f, begin := newFilling(cfg, r), time.Now()
	if err := f.run(ctx); err != nil {
		return did, fmt.Errorf("sample: %w", err)
	}
	did.rows, did.seconds = f.done(), time.Since(begin).Seconds()
	if did.after, err = weighAll(ctx, cfg.Databases); err != nil {
		return did, fmt.Errorf("sample: %w", err)
	}
	return did, nil
}

// weighAll weighs every table, "service.table"; partitions count with theirs.
func weighAll(ctx context.Context, urls map[string]string) (map[string]weight, error) {
	all := map[string]weight{}
	for service, url := range urls {
		err := ask(ctx, url, func(conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, `
				SELECT coalesce(p.inhparent::regclass::text, c.oid::regclass::text), sum(pg_total_relation_size(c.oid))::bigint,
					coalesce(max((SELECT max(pg_relation_size(i.indexrelid)) FROM pg_index i WHERE i.indrelid = c.oid)), 0)::bigint
				FROM pg_class c LEFT JOIN pg_inherits p ON p.inhrelid = c.oid
				WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
				GROUP BY 1`)
			if err != nil {
				return err
			}
			var name string
			var w weight
			_, err = pgx.ForEachRow(rows, []any{&name, &w.bytes, &w.index}, func() error {
				all[service+"."+name] = w
				return nil
			})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("weigh %s: %w", service, err)
		}
	}
	return all, nil
}

// ask opens a connection for some questions.
func ask(ctx context.Context, url string, questions func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // answered, or failed already
	return questions(conn)
}

// refuse states what is needed and what there is, and says no where that is less.
func (l *loader) refuse(ctx context.Context) error {
	e := &l.report.Estimate
	err := ask(ctx, l.cfg.Admin, func(conn *pgx.Conn) error {
		var wal int64 // megabytes
		if err := conn.QueryRow(ctx, "SELECT setting::bigint FROM pg_settings WHERE name = 'max_wal_size'").Scan(&wal); err != nil {
			return fmt.Errorf("ask for max_wal_size: %w", err)
		}
		e.LogBytes = 2 * wal << 20
		if l.cfg.DataDir != "" {
			return nil
		}
		if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&l.cfg.DataDir); err != nil {
			return fmt.Errorf("ask where the data are (a superuser may; or name the folder): %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(l.cfg.DataDir, &disk); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", l.cfg.DataDir, err)
	}
	e.FreeBytes = int64(disk.Bavail) * int64(disk.Bsize) // the type differs between systems
	l.state()
	if e.NeededBytes() > e.FreeBytes {
		perOrder := float64(e.NeededBytes()) / float64(max(l.cfg.Orders, 1))
		return fmt.Errorf("%s have to be free, and %s are: about %d orders would fit", gigabytes(e.NeededBytes()), gigabytes(e.FreeBytes),
			int(float64(e.FreeBytes)/perOrder))
	}
	return nil
}

// state says what the load will take.
func (l *loader) state() {
	e := l.report.Estimate
	for _, service := range slices.Sorted(maps.Keys(e.PerOrder)) {
		l.say("%-9s %6.0f bytes an order", service, e.PerOrder[service])
	}
	l.say("%d orders will take %s, and %s of log and %s of sorting while they are loaded; %s have to be free with 20 %% to spare, and %s are",
		l.cfg.Orders, gigabytes(e.DataBytes), gigabytes(e.LogBytes), gigabytes(e.SortBytes), gigabytes(e.NeededBytes()), gigabytes(e.FreeBytes))
	l.say("copying them will take about %s at the sample's rate, and a vacuum comes after it", time.Duration(e.Seconds*float64(time.Second)).Round(time.Second))
}

func gigabytes(n int64) string { return fmt.Sprintf("%.2f GB", float64(n)/1e9) }

// settle does what autovacuum would have done by the time that so many orders had come.
func (l *loader) settle(ctx context.Context) error {
	l.say("vacuum and analyze")
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(l.cfg.Parallel)
	for _, service := range services() {
		g.Go(func() error {
			if err := ask(inner, l.cfg.Databases[service], func(conn *pgx.Conn) error { return vacuum(inner, conn) }); err != nil {
				return fmt.Errorf("%s: %w", service, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return l.checkpoint(ctx)
}

// vacuum reads little: the rows are frozen as they were copied.
func vacuum(ctx context.Context, conn *pgx.Conn) error {
	for _, sql := range []string{"SET statement_timeout = 0", "SET transaction_timeout = 0", "SET maintenance_work_mem = '256MB'", "VACUUM (ANALYZE)"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// checkpoint gets to disk what is still in memory, or it would be written into somebody's measurement. An owner may
// not ask for one; then whoever may has to.
func (l *loader) checkpoint(ctx context.Context) error {
	return ask(ctx, l.cfg.Admin, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CHECKPOINT")
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "42501" { // insufficient_privilege
			l.say("no superuser was named who may CHECKPOINT: do so before anything is measured")
			return nil
		}
		if err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		return nil
	})
}

// weigh reports what the databases take now.
func (l *loader) weigh(ctx context.Context) error {
	all, err := weighAll(ctx, l.cfg.Databases)
	if err != nil {
		return err
	}
	l.report.Bytes, l.report.TableBytes = map[string]int64{}, map[string]int64{}
	for name, w := range all {
		service, _, _ := strings.Cut(name, ".")
		l.report.TableBytes[name] = w.bytes
		l.report.Bytes[service] += w.bytes
		l.report.TotalBytes += w.bytes
	}
	return nil
}
