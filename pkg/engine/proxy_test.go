package engine_test

import (
	"bytes"
	"context"
	"io"
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
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, client)
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		// What the server says of a COMMIT that it has carried out; the client's connection closes.
		if bytes.Contains(buf[:n], []byte("C\x00\x00\x00\x0bCOMMIT\x00")) && p.lose.Add(-1) >= 0 {
			p.lost.Add(1)
			return
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
