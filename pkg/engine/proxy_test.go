package engine_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// proxy stands before PostgreSQL and loses the answers to COMMITs: the server carries them out, and the
// client sees its connection die.
type proxy struct {
	listener net.Listener
	target   string
	// lose is how many of the next COMMITs are answered to nobody; lost counts them.
	lose, lost atomic.Int64
	wg         sync.WaitGroup
}

// behindProxy has a replica reach its database through a proxy.
func behindProxy(t *testing.T, p **proxy) option {
	return func(set *setup) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		c := set.pool.ConnConfig
		*p = &proxy{listener: listener, target: net.JoinHostPort(c.Host, port(c))}
		c.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return set.node.net.dial(ctx, "tcp", listener.Addr().String())
		}
		go (*p).serve()
		t.Cleanup(func() {
			listener.Close()
			(*p).wg.Wait()
		})
	}
}

func port(c *pgx.ConnConfig) string {
	return (&net.TCPAddr{Port: int(c.Port)}).String()[1:]
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.carry(client) })
	}
}

func (p *proxy) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	var silent atomic.Bool
	go func() {
		defer server.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			// pgx sends COMMIT as a simple query of its own.
			if bytes.HasPrefix(buf[:n], []byte("Q\x00\x00\x00\x0bcommit\x00")) && p.lose.Add(-1) >= 0 {
				silent.Store(true)
				p.lost.Add(1)
			}
			if n > 0 {
				if _, err := server.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if silent.Load() {
			return // the answer is here, so it was carried out; the client's connection closes
		}
		if n > 0 {
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
