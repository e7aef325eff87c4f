package outbox_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/quadrille-io/quadrille/pkg/outbox"
)

func TestAppendNumbersInTheOrderGiven(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var want []uuid.UUID
	tx := s.begin(t)
	for range 3 {
		records := make([]outbox.Record, 200)
		for i := range records {
			records[i] = s.event("order", int32(i+1))
			records[i].EventID = uuid.New() // random, so that no other order passes for this one
			want = append(want, records[i].EventID)
		}
		check(t, outbox.Append(t.Context(), tx, records))
	}
	check(t, tx.Commit(t.Context()))
	rows, err := s.pool.Query(t.Context(), `SELECT event_id FROM outbox ORDER BY id`)
	check(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	check(t, err)
	if !slices.Equal(got, want) {
		t.Error("ids do not rise in the order in which the records were given")
	}
}

func TestAppendIsPartOfTheTransaction(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	tx := s.begin(t)
	s.emit(t, tx, "order")
	check(t, tx.Rollback(t.Context()))
	tx = s.begin(t)
	check(t, outbox.Append(t.Context(), tx, nil))
	check(t, tx.Commit(t.Context()))
	if n := s.waiting(t); n != 0 {
		t.Errorf("%d rows are left of a transaction that was rolled back", n)
	}
}

func TestAppendRefusesWhatTheBrokerWould(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for constraint, spoil := range map[string]func(*outbox.Record){
		"payload_fits_broker": func(r *outbox.Record) { r.Payload = make([]byte, 900_001) },
		"headers_fit_broker": func(r *outbox.Record) {
			r.Headers = append(r.Headers, outbox.Header{Key: "long", Value: strings.Repeat("x", 32768)})
		},
		"key_fits_broker":   func(r *outbox.Record) { r.Key = strings.Repeat("k", 4097) },
		"key_orders_events": func(r *outbox.Record) { r.Key = "" },
		"topic_named":       func(r *outbox.Record) { r.Topic = "" },
	} {
		bad := s.event("order", 2)
		spoil(&bad)
		tx := s.begin(t)
		err := outbox.Append(t.Context(), tx, []outbox.Record{s.event("order", 1), bad})
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "23514" || refused.ConstraintName != constraint {
			t.Errorf("append: %v: want a check violation of %s", err, constraint)
		}
		check(t, tx.Rollback(t.Context()))
	}
}
