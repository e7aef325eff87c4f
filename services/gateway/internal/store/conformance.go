package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/gateway"
)

// loadConformance brings what the inputs are held against: the checks of their subjects, the events that they name as
// their causes, and where the reading began; for subjects whose doubts are due, what their events are.
func loadConformance(b *pg.Batch, in []flow.Input, subjects []string, w *gateway.World) {
	causes, due := []string{}, []string{}
	for _, input := range in {
		switch m := input.Msg.(type) {
		case flow.Record:
			if validID(m.CausationID) {
				causes = append(causes, m.CausationID)
			}
		case gateway.Overdue:
			due = append(due, m.SubjectID)
		}
	}
	pg.Collect(b, "load checks", func(row pgx.CollectableRow) (c gateway.Check, err error) {
		err = row.Scan(&c.Subject, &c.Tracks, &c.Doubts)
		return c, err
	}, func(c gateway.Check) { w.Checks.Loaded(c.Subject, c) },
		`SELECT subject, tracks, doubts FROM conformance WHERE subject = ANY($1)`, subjects)
	loadKnown(b, causes, due, w)
	loadStarts(b, w)
}

// loadKnown reads the causes by their ids, and all events of the subjects that are due.
func loadKnown(b *pg.Batch, causes, due []string, w *gateway.World) {
	w.Told = map[string][]gateway.Known{}
	if len(causes) == 0 && len(due) == 0 {
		return
	}
	b.Queue("load causes", `
		SELECT id::text, subject, type, service, sequence, false FROM event WHERE id = ANY($1::uuid[])
		UNION ALL
		SELECT id::text, subject, type, service, sequence, true FROM event WHERE subject = ANY($2)`, causes, due).
		Query(func(rows pgx.Rows) error {
			var k gateway.Known
			var told bool
			_, err := pgx.ForEachRow(rows, []any{&k.ID, &k.Subject, &k.Type, &k.Service, &k.Sequence, &told}, func() error {
				if told {
					w.Told[k.Subject] = append(w.Told[k.Subject], k)
				} else {
					w.Causes.Loaded(k.ID, k)
				}
				return nil
			})
			return err
		})
}

// loadStarts reads one row per partition of the topics, however many events there are.
func loadStarts(b *pg.Batch, w *gateway.World) {
	b.Queue("load where the reading began", `SELECT partition_key, first_offset, first_time FROM reading_start`).
		Query(func(rows pgx.Rows) error {
			var key string
			var start gateway.Start
			_, err := pgx.ForEachRow(rows, []any{&key, &start.Offset, &start.At}, func() error {
				w.Starts.Loaded(key, start)
				return nil
			})
			return err
		})
}

func saveConformance(b *pg.Batch, w *gateway.World) {
	saveChecks(b, w.Checks.Changed())
	saveStarts(b, w.Starts.Changed())
	saveFindings(b, w.Findings.Changed())
}

func saveChecks(b *pg.Batch, changes []flow.Change[string, gateway.Check]) {
	if len(changes) == 0 {
		return
	}
	n := len(changes)
	subjects, tracks, doubts, due := make([]string, n), make([]any, n), make([]any, n), make([]*time.Time, n)
	for i, c := range changes {
		subjects[i], tracks[i], doubts[i] = c.Key, c.Row.Tracks, c.Row.Doubts
		if c.Row.Tracks == nil {
			tracks[i] = map[string]gateway.Track{}
		}
		if c.Row.Doubts == nil {
			doubts[i] = []gateway.Doubt{}
		}
		if at := c.Row.DueAt(); !at.IsZero() {
			due[i] = &at
		}
	}
	b.Queue("save checks", `
		INSERT INTO conformance (subject, tracks, doubts, due_at)
		SELECT * FROM unnest($1::text[], $2::jsonb[], $3::jsonb[], $4::timestamptz[])
		ON CONFLICT (subject) DO UPDATE SET (tracks, doubts, due_at) = ROW (excluded.tracks, excluded.doubts, excluded.due_at)`,
		subjects, tracks, doubts, due)
}

func saveStarts(b *pg.Batch, changes []flow.Change[string, gateway.Start]) {
	if len(changes) == 0 {
		return
	}
	var keys []string
	var offsets []int64
	var times []time.Time
	for _, c := range changes {
		keys, offsets, times = append(keys, c.Key), append(offsets, c.Row.Offset), append(times, c.Row.At)
	}
	b.Queue("save where the reading began", `
		INSERT INTO reading_start (partition_key, first_offset, first_time)
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[]) ON CONFLICT DO NOTHING`, keys, offsets, times)
}

// saveFindings writes what was found and what was cleared, in one statement. One that is found again counts again.
func saveFindings(b *pg.Batch, changes []flow.Change[string, gateway.Finding]) {
	if len(changes) == 0 {
		return
	}
	var ids, rules, subjects, details []string
	var cleared []bool
	for _, c := range changes {
		ids, rules = append(ids, c.Row.EventID), append(rules, string(c.Row.Rule))
		subjects, details = append(subjects, c.Row.Subject), append(details, c.Row.Detail)
		cleared = append(cleared, c.Row.Cleared)
	}
	b.Queue("save findings", `
		INSERT INTO finding (event_id, rule, subject, detail, cleared_at)
		SELECT id, rule, subject, detail, CASE WHEN cleared THEN clock_timestamp() END
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[]) AS k(id, rule, subject, detail, cleared)
		ON CONFLICT (event_id, rule) DO UPDATE SET detail = excluded.detail, cleared_at = excluded.cleared_at`,
		ids, rules, subjects, details, cleared)
}

// Overdue lists the subjects whose doubts are due by the database's clock.
func Overdue(ctx context.Context, pool *pgxpool.Pool, limit int) ([]flow.Command, error) {
	rows, err := pool.Query(ctx, `
		SELECT subject FROM conformance WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list due doubts: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (flow.Command, error) {
		var o gateway.Overdue
		err := row.Scan(&o.SubjectID)
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("list due doubts: %w", err)
	}
	return due, nil
}

// TakeFindings returns findings that nobody was told of yet, at most limit, each to one caller only.
func TakeFindings(ctx context.Context, pool *pgxpool.Pool, limit int) ([]gateway.Finding, error) {
	rows, err := pool.Query(ctx, `
		UPDATE finding SET told_at = clock_timestamp()
		WHERE (event_id, rule) IN (SELECT event_id, rule FROM finding WHERE told_at IS NULL
		                           ORDER BY found_at LIMIT $1 FOR UPDATE SKIP LOCKED)
		RETURNING event_id::text, subject, rule, detail, cleared_at IS NOT NULL`, limit)
	if err != nil {
		return nil, fmt.Errorf("take findings: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanFinding)
	if err != nil {
		return nil, fmt.Errorf("take findings: %w", err)
	}
	return found, nil
}

func scanFinding(row pgx.CollectableRow) (gateway.Finding, error) {
	var f gateway.Finding
	err := row.Scan(&f.EventID, &f.Subject, &f.Rule, &f.Detail, &f.Cleared)
	return f, err
}

// OpenFindings is what stands against one rule.
type OpenFindings struct {
	Rule gateway.Rule
	// Count of all; Recent are those that were found within the last day or may still clear, Since the first of these
	// and Subjects some of theirs.
	Count, Recent int
	Since         time.Time
	Subjects      []string
}

// Open lists what stands, by rule.
func Open(ctx context.Context, pool *pgxpool.Pool) ([]OpenFindings, error) {
	rows, err := pool.Query(ctx, `
		SELECT rule, count(*), count(*) FILTER (WHERE recent), coalesce(min(found_at) FILTER (WHERE recent), now()),
		       coalesce((array_agg(DISTINCT subject) FILTER (WHERE recent))[1:10], '{}')
		FROM (SELECT rule, subject, found_at, rule IN ('gap', 'cause') OR found_at > now() - interval '1 day' AS recent
		      FROM finding WHERE cleared_at IS NULL) AS f
		GROUP BY rule ORDER BY rule`)
	if err != nil {
		return nil, fmt.Errorf("list open findings: %w", err)
	}
	open, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (OpenFindings, error) {
		var o OpenFindings
		err := row.Scan(&o.Rule, &o.Count, &o.Recent, &o.Since, &o.Subjects)
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("list open findings: %w", err)
	}
	return open, nil
}

// addFindings puts to a subject's events what stands against them.
func addFindings(ctx context.Context, pool *pgxpool.Pool, subject string, events []gateway.Event) error {
	rows, err := pool.Query(ctx, `
		SELECT event_id::text, subject, rule, detail, false FROM finding
		WHERE subject = $1 AND cleared_at IS NULL ORDER BY found_at, rule`, subject)
	if err != nil {
		return fmt.Errorf("read findings: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanFinding)
	if err != nil {
		return fmt.Errorf("read findings: %w", err)
	}
	byEvent := map[string][]gateway.Finding{}
	for _, f := range found {
		byEvent[f.EventID] = append(byEvent[f.EventID], f)
	}
	for i := range events {
		events[i].Findings = byEvent[events[i].ID]
	}
	return nil
}

// validID says whether a text can be an event's id at all: a header may say anything.
func validID(id string) bool { return len(id) == 36 && uuid.Validate(id) == nil }
