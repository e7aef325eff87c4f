package pg

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Batch is statements that go out together and are run one after the other. Each has a name, which is what an error
// says was attempted.
type Batch struct {
	statements pgx.Batch
	names      []string
}

// Queue adds a statement. What it returns can be given a function for its result.
func (b *Batch) Queue(name, sql string, args ...any) *pgx.QueuedQuery {
	b.names = append(b.names, name)
	return b.statements.Queue(sql, args...)
}

// Collect adds a statement whose rows are scanned one by one and handed over.
func Collect[T any](b *Batch, name string, scan pgx.RowToFunc[T], take func(T), sql string, args ...any) {
	b.Queue(name, sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			row, err := scan(rows)
			if err != nil {
				return err
			}
			take(row)
		}
		return rows.Err()
	})
}

// Len is how many statements there are.
func (b *Batch) Len() int { return len(b.names) }

// before puts the statements of b behind one more.
func (b *Batch) before(name, sql string) *Batch {
	all := &Batch{names: append([]string{name}, b.names...)}
	all.statements.Queue(sql)
	all.statements.QueuedQueries = append(all.statements.QueuedQueries, b.statements.QueuedQueries...)
	return all
}

// Sender is what a batch can be sent over: a pool, a connection, a transaction of pgx.
type Sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Send sends the batch and reads every result. Over a pool or a connection it is a transaction of its own. A batch is
// sent once.
func (b *Batch) Send(ctx context.Context, conn Sender) (err error) {
	if b.Len() == 0 {
		return nil
	}
	results := conn.SendBatch(ctx, &b.statements)
	defer func() {
		if closeErr := results.Close(); err == nil && closeErr != nil {
			err = closeErr
		}
	}()
	for i, q := range b.statements.QueuedQueries {
		if q.Fn != nil {
			err = q.Fn(results)
		} else {
			_, err = results.Exec()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", b.names[i], err)
		}
	}
	return nil
}
