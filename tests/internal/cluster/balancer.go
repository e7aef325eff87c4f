package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// balancer stands for a Kubernetes Service: one address for the replicas of a service that are ready. A
// replica that is not ready gets no new connections; those it has stay.
type balancer struct {
	cluster  *Cluster
	service  string
	addr     string
	listener net.Listener
	stop     context.CancelFunc
	wg       sync.WaitGroup

	looking  sync.Mutex
	failures map[*Process]int // in a row

	mu    sync.Mutex
	ready []string // host:port of ready replicas
	next  int
	conns map[net.Conn]struct{}
}

// A replica is asked as often as Kubernetes could be told to (periodSeconds 1); two failures count.
const (
	probePeriod   = time.Second
	probeFailures = 2
)

func (c *Cluster) newBalancer(ctx context.Context, service string) (*balancer, error) {
	addr, err := c.ports.addr(ctx)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", service, err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	b := &balancer{cluster: c, service: service, addr: addr, listener: l, stop: stop, failures: map[*Process]int{}, conns: map[net.Conn]struct{}{}}
	b.wg.Go(func() { b.watch(running) })
	b.wg.Go(b.serve)
	return b, nil
}

// watch asks the replicas whether they are ready.
func (b *balancer) watch(ctx context.Context) {
	ticker := time.NewTicker(probePeriod)
	defer ticker.Stop()
	for {
		b.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look asks all replicas at once: a paused one answers nothing, and must not hold up the others.
func (b *balancer) look(ctx context.Context) {
	b.looking.Lock()
	defer b.looking.Unlock()
	replicas := b.cluster.Replicas(b.service)
	results := make([]error, len(replicas))
	var wg sync.WaitGroup
	for i, p := range replicas {
		wg.Go(func() { results[i] = p.ready(ctx) })
	}
	wg.Wait()
	var ready []string
	for i, p := range replicas {
		if results[i] == nil {
			b.failures[p] = 0
		} else if _, known := b.failures[p]; known {
			b.failures[p]++
		} else {
			b.failures[p] = probeFailures // never was ready
		}
		if b.failures[p] < probeFailures {
			ready = append(ready, p.httpAddr)
		}
	}
	b.mu.Lock()
	b.ready = ready
	b.mu.Unlock()
}

func (b *balancer) serve() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return // closed
		}
		b.wg.Go(func() { b.carry(client) })
	}
}

// carry joins a client with the next replica that takes the connection.
func (b *balancer) carry(client net.Conn) {
	defer b.forget(client)
	if !b.keep(client) {
		return
	}
	server, err := b.dial()
	if err != nil {
		return // nobody is there: the client sees its connection closed
	}
	defer b.forget(server)
	if !b.keep(server) {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { pump(server, client) })
	pump(client, server)
	wg.Wait()
}

// pump copies one direction and hands its end on.
func pump(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if tcp, ok := to.(*net.TCPConn); ok && err == nil {
		_ = tcp.CloseWrite() // closed already, if it fails
		return
	}
	_ = to.Close()
	_ = from.Close()
}

func (b *balancer) dial() (net.Conn, error) {
	b.mu.Lock()
	ready, first := b.ready, b.next
	b.next++
	b.mu.Unlock()
	err := errors.New("no replica is ready")
	for i := range ready {
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", ready[(first+i)%len(ready)], time.Second); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// keep notes a connection for close; false means that it is too late.
func (b *balancer) keep(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns == nil {
		return false
	}
	b.conns[conn] = struct{}{}
	return true
}

func (b *balancer) forget(conn net.Conn) {
	_ = conn.Close() // a second time is nothing
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, conn)
}

func (b *balancer) close() {
	b.stop()
	_ = b.listener.Close()
	b.mu.Lock()
	for conn := range b.conns {
		_ = conn.Close()
	}
	b.conns = nil
	b.mu.Unlock()
	b.wg.Wait()
}
