package smtp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
)

// pool keeps connections between mails. There are never more open than slots: one is dialled only by who holds a
// slot and finds none that idles.
type pool struct {
	slots chan struct{}

	mu     sync.Mutex
	idle   []*connection // longest idle first
	closed bool
}

var errClosed = errors.New("the sender is closed")

// deliver sends mails one after the other. Its error is that of the connection that broke last; each mail's own is
// kept in the mail. Mails that are nil are left out.
func (s *Sender) deliver(ctx context.Context, messages []*mail.Msg) error {
	rest := slices.DeleteFunc(slices.Clone(messages), func(m *mail.Msg) bool { return m == nil })
	for len(rest) > 0 {
		c, err := s.acquire(ctx)
		if err != nil {
			return err
		}
		answered, end := c.send(ctx, rest)
		s.release(c, end == nil)
		rest = rest[answered:]
		// This ends: a connection that goOn was said of has had a mail answered, or was used before, and of
		// those there are only so many.
		if end != nil && !end.goOn {
			return end.err
		}
	}
	return nil
}

// acquire takes the connection that idled last, or makes one.
func (s *Sender) acquire(ctx context.Context) (*connection, error) {
	select {
	case s.pool.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a connection: %w", context.Cause(ctx))
	}
	c, closed := s.pool.take()
	if c != nil {
		return c, nil
	}
	err := errClosed
	if !closed {
		c, err = s.connect(ctx)
	}
	if err != nil {
		<-s.pool.slots
		return nil, err
	}
	return c, nil
}

// release keeps a connection that is fit for more, and ends one that is not.
func (s *Sender) release(c *connection, fit bool) {
	defer func() { <-s.pool.slots }()
	used := c.used // from put on it is somebody else's
	switch {
	case !fit:
		c.line.close()
	case used < c.limit && s.pool.put(c):
		time.AfterFunc(s.cfg.Idle, func() { s.pool.expire(c, used) })
	default:
		c.part()
	}
}

// Close ends the connections that idle; those in use end with their mails.
func (s *Sender) Close() {
	for _, c := range s.pool.close() {
		c.part()
	}
}

func (p *pool) take() (c *connection, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		c, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	return c, p.closed
}

func (p *pool) put(c *connection) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.idle = append(p.idle, c)
	}
	return !p.closed
}

// expire ends a connection that has idled since it had carried so many mails. One that was used meanwhile has a later
// timer.
func (p *pool) expire(c *connection, used int) {
	p.mu.Lock()
	i := slices.Index(p.idle, c)
	expired := i >= 0 && c.used == used
	if expired {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	p.mu.Unlock()
	if expired {
		c.part()
	}
}

func (p *pool) close() []*connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.idle
	p.idle, p.closed = nil, true
	return idle
}
