package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Ports come from below the range that the system takes for outgoing connections (from 32768): a process
// that is down leaves its port free, and an outgoing connection could sit on it when it starts again.
const (
	firstPort = 12_000
	lastPort  = 32_000
)

// ports hands out ports of 127.0.0.1 and keeps other clusters of this machine from them by a locked file
// per port; the locks end with the process.
type ports struct {
	mu    sync.Mutex
	locks []*os.File
}

func newPorts() *ports { return &ports{} }

// take returns a port on which nobody listens.
func (p *ports) take(ctx context.Context) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	dir := filepath.Join(os.TempDir(), "quadrille-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, fmt.Errorf("take a port: %w", err)
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		lock, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o666)
		if err != nil {
			return 0, fmt.Errorf("take a port: %w", err)
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil || !free(ctx, port) {
			lock.Close()
			continue
		}
		p.locks = append(p.locks, lock)
		return port, nil
	}
	return 0, fmt.Errorf("take a port: none of %d to %d is free", firstPort, lastPort)
}

// addr is take as host:port.
func (p *ports) addr(ctx context.Context) (string, error) {
	port, err := p.take(ctx)
	return loopback(port), err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func free(ctx context.Context, port int) bool {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", loopback(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func (p *ports) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, lock := range p.locks {
		lock.Close()
	}
	p.locks = nil
}
