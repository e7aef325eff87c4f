package pg

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tx is a transaction that is spoken to in batches. BEGIN goes out with its first one and COMMIT with its last, so a
// transaction that reads, decides and writes costs two round trips, not one for each statement.
type Tx struct {
	conn  *pgxpool.Conn
	last  Batch
	begun bool
}

// Transact runs do in a transaction (READ COMMITTED, unless the session says otherwise) and commits it when do has
// succeeded. The statements of [Tx.Last] go out with COMMIT. After an error nothing is kept, unless the connection was
// lost while COMMIT was on its way: then nobody knows.
func Transact(ctx context.Context, pool *pgxpool.Pool, do func(*Tx) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire a connection: %w", err)
	}
	tx := &Tx{conn: conn}
	defer tx.release(ctx)
	if err := do(tx); err != nil {
		return err
	}
	return tx.commit(ctx)
}

// Send sends a batch and reads its results. A statement that fails fails the transaction, and those behind it are not
// run.
func (t *Tx) Send(ctx context.Context, b *Batch) error {
	if b.Len() == 0 {
		return nil
	}
	if !t.begun {
		b, t.begun = b.before("begin", "begin"), true
	}
	return b.Send(ctx, t.conn)
}

// Last is what will be sent with COMMIT. Whatever decides whether the transaction may commit must not be left to a
// function for a result of these: COMMIT has been sent by then. It has to be an error of the statement.
func (t *Tx) Last() *Batch { return &t.last }

func (t *Tx) commit(ctx context.Context) error {
	if !t.begun && t.last.Len() == 0 {
		return nil
	}
	t.last.Queue("commit", "commit").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return pgx.ErrTxCommitRollback
		}
		return nil
	})
	return t.Send(ctx, &t.last)
}

// release gives the connection back. One that is in the middle of something is rolled back first; should that fail too,
// the pool closes it.
func (t *Tx) release(ctx context.Context) {
	defer t.conn.Release()
	if c := t.conn.Conn(); !c.IsClosed() && c.PgConn().TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = t.conn.Exec(ctx, "rollback") // the pool looks at what became of it
	}
}
