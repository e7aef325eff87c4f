// Package store is the export's SQL: whole batches for the engine here, what the exporter does in export.go, days that
// come and go in day.go, single reads for callers in read.go.
package store

import (
	"context"
	"embed"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/dataplatform"
)

//go:embed migrations
var files embed.FS

// Migrate brings the export's tables in the database at url up to date.
func Migrate(ctx context.Context, url string) error {
	return pg.MigrateService(ctx, url, files)
}

// Store is the export's engine.Store.
type Store struct{}

// loadArchive locks the head: DropDays notes there what it drops, so a replay either finds its first day or is refused,
// and of two replays the second sees the first.
const loadArchive = `
	SELECT s.position, h.kept_from, (SELECT count(*) FROM stream WHERE done_at IS NULL AND up_to IS NOT NULL)
	FROM head h, stream s WHERE s.up_to IS NULL FOR UPDATE OF h`

// Load asks nothing for events: whether one is there already is found out where it is written. For replays it brings
// what there is to replay.
func (Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*dataplatform.World, error) {
	w := &dataplatform.World{}
	if !replays(in) {
		return w, nil
	}
	b := &pg.Batch{}
	b.Queue("load what is kept", loadArchive).QueryRow(func(row pgx.Row) error {
		var kept *time.Time
		err := row.Scan(&w.Archive.Exported, &kept, &w.Archive.Open)
		if kept != nil {
			w.Archive.KeptFrom = kept.UTC()
		}
		return err
	})
	return w, tx.Send(ctx, b)
}

func replays(in []flow.Input) bool {
	for _, i := range in {
		if _, is := i.Msg.(dataplatform.RequestReplay); is {
			return true
		}
	}
	return false
}

const saveReplays = `
	INSERT INTO stream (id, since, up_to) SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[])`

// saveFacts takes the head's lock and keeps it up to COMMIT, so it is the last lock of a batch. The positions of facts
// that were there already stay empty.
const saveFacts = `
	WITH h AS (UPDATE head SET position = position + $1 RETURNING position - $1 AS before)
	INSERT INTO fact (position, day, id, sequence, occurred_at, causation, correlation, type, subject, payload)
	SELECT h.before + f.n, (f.occurred_at AT TIME ZONE 'UTC')::date, f.id, f.sequence, f.occurred_at, f.causation,
	       f.correlation, f.type, f.subject, f.payload
	FROM h, unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::bytea[])
	     WITH ORDINALITY AS f(id, sequence, occurred_at, causation, correlation, type, subject, payload, n)
	ON CONFLICT (day, id) DO NOTHING`

// Save writes the facts with one statement, whatever their number.
func (Store) Save(b *pg.Batch, w *dataplatform.World) error {
	if changed := w.Replays.Changed(); len(changed) > 0 {
		ids, since, upTo := make([]string, len(changed)), make([]time.Time, len(changed)), make([]int64, len(changed))
		for i, c := range changed {
			ids[i], since[i], upTo[i] = c.Key, c.Row.From, c.Row.UpTo
		}
		b.Queue("save replays", saveReplays, ids, since, upTo)
	}
	if len(w.Facts) > 0 {
		b.Queue("save facts", saveFacts, columns(w.Facts)...)
	}
	return nil
}

// columns are the arguments of saveFacts.
func columns(facts []dataplatform.Fact) []any {
	n := len(facts)
	ids, sequences, times := make([]string, n), make([]int64, n), make([]time.Time, n)
	causes, correlations := make([]pgtype.UUID, n), make([]pgtype.UUID, n)
	types, subjects, payloads := make([]string, n), make([]string, n), make([][]byte, n)
	for i, f := range facts {
		ids[i], sequences[i], times[i] = f.ID, f.Sequence, f.OccurredAt
		causes[i], correlations[i] = nullable(f.Causation), nullable(f.Correlation)
		types[i], subjects[i], payloads[i] = f.Type, f.Subject, f.Payload
		if f.Payload == nil {
			payloads[i] = []byte{}
		}
	}
	return []any{int64(n), ids, sequences, times, causes, correlations, types, subjects, payloads}
}

// nullable is an id of an event, NULL where there is none or somebody wrote something else.
func nullable(id string) pgtype.UUID {
	parsed, err := uuid.Parse(id)
	return pgtype.UUID{Bytes: parsed, Valid: err == nil}
}
