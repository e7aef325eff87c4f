package host

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/web"
)

// Book is what a service believes, for whoever compares it with what the others believe: rows of its
// own data in the order of their keys, in bounded pages. Nothing is locked, nothing can be written.
type Book func(ctx context.Context, tx pgx.Tx, q BookQuery) (page any, err error)

// BookQuery asks for a page of a book.
type BookQuery struct {
	// After is the key of the last row the caller has; "" begins at the first.
	After string
	// IDs asks for the rows of these keys instead; at most maxBookIDs.
	IDs []string
	// Limit is the most rows of a page, 1 to maxBookPage.
	Limit int
}

// The bounds of one page. A statement over them is an index range, so bookTimeout is for a database in
// trouble, which is then left alone.
const (
	maxBookPage = 1000
	maxBookIDs  = 200
	bookTimeout = 10 * time.Second
)

// Keys is the end of the statement that reads a page: its rows by the key column, one more than the
// limit, which tells that there is more. The two forms are two statements, so that each is planned for
// what it does.
func (q BookQuery) Keys(column string) (where string, args []any) {
	if len(q.IDs) > 0 {
		return `WHERE ` + column + ` = ANY($1) ORDER BY ` + column + ` LIMIT $2`, []any{q.IDs, q.Limit + 1}
	}
	return `WHERE ` + column + ` > $1 ORDER BY ` + column + ` LIMIT $2`, []any{q.After, q.Limit + 1}
}

// BookOf makes a book of a function that reads a page's rows, one more than the limit if there are more.
func BookOf[T any](read func(ctx context.Context, tx pgx.Tx, q BookQuery) ([]T, error)) Book {
	return func(ctx context.Context, tx pgx.Tx, q BookQuery) (any, error) {
		rows, err := read(ctx, tx, q)
		return web.NewList(rows, q.Limit), err
	}
}

// Collect reads the rows of a page, one field of T after the other.
func Collect[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// Queues is the book that every service has: what is on its way in its own tables. Where nothing moves
// all of it is 0.
type Queues struct {
	Service string `json:"service"`
	// Outbox counts events that are not published yet, at most 1,000; OldestOutbox is the id of the first.
	// The same id a while later is an event that does not get out.
	Outbox       int64 `json:"outbox"`
	OldestOutbox int64 `json:"oldestOutbox"`
	// Parked lists subjects that wait for a mending, Calls outside calls without an outcome after many tries.
	Parked []engine.Failure   `json:"parked"`
	Calls  []engine.StuckCall `json:"calls"`
}

// queues is the page of Queues: one row.
func (h *Host[W]) queues(ctx context.Context, tx pgx.Tx, _ BookQuery) (any, error) {
	q := Queues{Service: h.Name}
	err := tx.QueryRow(ctx, `SELECT count(*), coalesce(min(id), 0) FROM (SELECT id FROM outbox ORDER BY id LIMIT 1000) AS o`).
		Scan(&q.Outbox, &q.OldestOutbox)
	if err != nil {
		return nil, fmt.Errorf("count the outbox: %w", err)
	}
	if q.Parked, err = h.Engine.Failures(ctx, listLimit); err != nil {
		return nil, err
	}
	if q.Calls, err = h.Engine.StuckCalls(ctx, stuckAttempts, listLimit); err != nil {
		return nil, err
	}
	return web.NewList([]Queues{q}, 1), nil
}

// readBook reads a page in a transaction that cannot write and that the server ends.
func (h *Host[W]) readBook(ctx context.Context, book Book, q BookQuery) (page any, err error) {
	err = pgx.BeginTxFunc(ctx, h.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true)`, fmt.Sprint(bookTimeout.Milliseconds())); err != nil {
			return fmt.Errorf("bound the statement: %w", err)
		}
		page, err = book(ctx, tx, q)
		return err
	})
	return page, err
}

// tooLong says that a page was given up because of its time.
func tooLong(err error) bool { return pg.Code(err) == "57014" }
