package service_test

import "sync"

// flag is given once, and can be waited for.
type flag struct {
	mu   sync.Mutex
	once sync.Once
	ch   chan struct{}
}

func (f *flag) done() chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ch == nil {
		f.ch = make(chan struct{})
	}
	return f.ch
}

func (f *flag) given() bool {
	select {
	case <-f.done():
		return true
	default:
		return false
	}
}

func (f *flag) give() {
	ch := f.done()
	f.once.Do(func() { close(ch) })
}
