package history_test

import (
	"io"
	"sync"
)

// syncWriter lets many write to one.
type syncWriter struct {
	mu sync.Mutex
	to io.Writer
}

// Write implements io.Writer.
func (w *syncWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
