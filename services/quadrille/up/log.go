package up

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// keptLogs is how many starts' logs are kept beside the present one.
const keptLogs = 5

// logFile takes the log lines of all services into one file of its own for each start, and shows those
// on the screen that a person should see.
type logFile struct {
	file   *os.File
	screen io.Writer

	mu   sync.Mutex
	rest []byte // of a line that has not ended
}

// openLog starts quadrille.log in dir; the last ones move on to quadrille.1.log and so on.
func openLog(dir string, screen io.Writer) (*logFile, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	name := func(n int) string {
		if n == 0 {
			return filepath.Join(dir, "quadrille.log")
		}
		return filepath.Join(dir, fmt.Sprintf("quadrille.%d.log", n))
	}
	for n := keptLogs - 1; n >= 0; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("move an old log: %w", err)
		}
	}
	f, err := os.OpenFile(name(0), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &logFile{file: f, screen: screen}, nil
}

// Write implements io.Writer. slog writes whole lines; what is not one is kept until it is.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.file.Write(p)
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			l.rest = append(l.rest[:0], line...)
			return n, err
		}
		if bytes.Contains(line, []byte(" level=WARN ")) || bytes.Contains(line, []byte(" level=ERROR ")) {
			fmt.Fprintf(l.screen, "  %s\n", line)
		}
		l.rest = rest
	}
}

// Close closes the file.
func (l *logFile) Close() error { return l.file.Close() }
