package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// How long a start waits for a database that is on its way, and how often it asks.
const (
	awaitPatience = 60 * time.Second
	awaitPause    = 500 * time.Millisecond
	awaitAsk      = 5 * time.Second
)

// Await returns once the database at url answers. In a cluster everything starts at once, and a database
// that recovers from a crash refuses everybody for seconds: a service that ended each time would be started
// later and later by whoever supervises it. Waited out is only what passes by itself, for at most a minute:
// nobody listens, the server starts up or shuts down, it has no connection left, the way there is cut. A
// refused password or a database that is not there is an error at once.
func Await(ctx context.Context, url string, log *slog.Logger) error {
	cc, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("parse database URL: %w", err)
	}
	prepare(cc, "")
	ctx, cancel := context.WithTimeout(ctx, awaitPatience)
	defer cancel()
	tick := time.NewTicker(awaitPause)
	defer tick.Stop()
	for said := false; ; {
		err := ask(ctx, cc)
		if err == nil {
			return nil
		}
		if !passing(err) {
			return fmt.Errorf("connect to database: %w", err)
		}
		if !said {
			log.Warn("waiting for the database", "error", err)
			said = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("connect to database: %w", err)
		case <-tick.C:
		}
	}
}

func ask(ctx context.Context, cc *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, awaitAsk)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return conn.Ping(ctx)
}

// passing says that an attempt to connect may succeed later without anybody mending anything.
func passing(err error) bool {
	switch code := Code(err); {
	case code == "":
	// 57P01 to 57P03: shutting down, crashed, starting up. 53300: no connection left. 08: the connection.
	case code == "57P01", code == "57P02", code == "57P03", code == "53300", code[:2] == "08":
		return true
	default:
		return false
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return true // a name appears with its service
	}
	var timeout net.Error
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
