package pg_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// said is a log that tells when something was written to it.
type said chan struct{}

func (s said) Write(p []byte) (int, error) {
	select {
	case s <- struct{}{}:
	default:
	}
	return len(p), nil
}

// A service that starts before its database waits for it.
func TestAwaitADatabaseThatComesLater(t *testing.T) {
	t.Parallel()
	database, err := url.Parse(testkit.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	server := database.Host
	// A port that is ours, and on which nobody listens yet.
	held, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := held.Addr().String()
	held.Close()
	database.Host = address

	waiting := make(said, 1)
	done := make(chan error, 1)
	go func() {
		done <- pg.Await(t.Context(), database.String(), slog.New(slog.NewTextHandler(waiting, nil)))
	}()
	select {
	case <-waiting:
	case err := <-done:
		t.Fatalf("nobody listens, and Await returned %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was said about waiting")
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go forward(t.Context(), listener, server)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// forward passes connections on until the listener closes.
func forward(ctx context.Context, from net.Listener, to string) {
	for {
		in, err := from.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			out, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
			if err != nil {
				return
			}
			defer out.Close()
			go func() { _, _ = io.Copy(out, in) }()
			_, _ = io.Copy(in, out)
		}()
	}
}

// What no waiting mends is said at once.
func TestAwaitRefusesWhatDoesNotPass(t *testing.T) {
	t.Parallel()
	good := testkit.Database(t)
	gone, err := url.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	gone.Path = "/no_such_database"
	for name, c := range map[string]struct{ url, want string }{
		"no such database": {gone.String(), "no_such_database"},
		"no URL":           {"postgres://[", "parse database URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := pg.Await(t.Context(), c.url, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
}
