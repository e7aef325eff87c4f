package service_test

import "sync"

// signal is given once, and can be waited for.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) done() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) given() bool {
	select {
	case <-s.done():
		return true
	default:
		return false
	}
}

func (s *signal) give() {
	if !s.given() {
		close(s.done())
	}
}
