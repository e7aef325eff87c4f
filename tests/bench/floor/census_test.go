package floor_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// count is what was done to a table, and what is in it.
type count struct {
	inserts, updates, deletes int64
	// rows that are there, and bytes of all of them together as they are stored.
	rows, bytes int64
}

func (c count) plus(d count, sign int64) count {
	return count{
		inserts: c.inserts + sign*d.inserts, updates: c.updates + sign*d.updates, deletes: c.deletes + sign*d.deletes,
		rows: c.rows + sign*d.rows, bytes: c.bytes + sign*d.bytes,
	}
}

// width is the mean size of a row, 0 where there is none.
func (c count) width() float64 {
	if c.rows == 0 {
		return 0
	}
	return float64(c.bytes) / float64(c.rows)
}

// census counts what was done to every table of the databases, by "service.table". The days of the inbox
// are one table. It is taken when nobody is connected: a connection that ends has reported everything.
func census(t *testing.T, databases map[string]string) map[string]count {
	t.Helper()
	counts := map[string]count{}
	for service, url := range databases {
		tables, err := tablesOf(t, url)
		if err != nil {
			t.Fatalf("count %s: %v", service, err)
		}
		for name, c := range tables {
			if strings.HasPrefix(name, "inbox_") {
				name = "inbox"
			}
			counts[service+"."+name] = counts[service+"."+name].plus(c, 1)
		}
	}
	return counts
}

func tablesOf(t *testing.T, url string) (map[string]count, error) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	testkit.Eventually(t, patience, func() error {
		var others int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`).Scan(&others)
		if err == nil && others > 0 {
			return fmt.Errorf("%d others are connected", others)
		}
		return err
	})
	// Not the inbox itself: its days are tables of their own.
	rows, err := conn.Query(ctx, `SELECT relname, n_tup_ins, n_tup_upd, n_tup_del
		FROM pg_stat_user_tables WHERE relname <> 'inbox'`)
	if err != nil {
		return nil, err
	}
	counts := map[string]count{}
	var name string
	var c count
	if _, err := pgx.ForEachRow(rows, []any{&name, &c.inserts, &c.updates, &c.deletes}, func() error {
		counts[name] = c
		return nil
	}); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		c := counts[name]
		sql := `SELECT count(*), coalesce(sum(pg_column_size(r.*)), 0)::bigint FROM ` + pgx.Identifier{name}.Sanitize() + ` AS r`
		if err := conn.QueryRow(ctx, sql).Scan(&c.rows, &c.bytes); err != nil {
			return nil, err
		}
		counts[name] = c
	}
	return counts, nil
}

// endOffsets are the ends of all partitions of the topics under the prefix.
func endOffsets(ctx context.Context, brokers []string, prefix string) (map[string]map[int32]int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	names := slices.DeleteFunc(topics.Names(), func(name string) bool { return !strings.HasPrefix(name, prefix) })
	listed, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	ends := map[string]map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) {
		if ends[o.Topic] == nil {
			ends[o.Topic] = map[int32]int64{}
		}
		ends[o.Topic][o.Partition] = o.Offset
	})
	return ends, listed.Error()
}

// records reads everything on the topics under the prefix.
func records(t *testing.T, brokers []string, prefix string) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ends, err := endOffsets(ctx, brokers, prefix)
	if err != nil {
		t.Fatal(err)
	}
	var missing int64
	from := map[string]map[int32]kgo.Offset{}
	for topic, list := range ends {
		from[topic] = map[int32]kgo.Offset{}
		for partition, end := range list {
			missing += end
			from[topic][partition] = kgo.NewOffset().AtStart()
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumePartitions(from))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var all []*kgo.Record
	for int64(len(all)) < missing {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("read the topics: %d of %d records: %v", len(all), missing, err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}
