package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Writer writes a log. Its methods may be called from many goroutines.
type Writer struct {
	next atomic.Int64

	mu   sync.Mutex
	file *os.File
	buf  *bufio.Writer
	err  error

	stop chan struct{}
	done chan struct{}
}

// flushEvery bounds what a crash of the client can lose of its log.
const flushEvery = time.Second

// Create begins a log in a new file.
func Create(path string) (*Writer, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create history: %w", err)
	}
	w := &Writer{file: file, buf: bufio.NewWriterSize(file, 256<<10), stop: make(chan struct{}), done: make(chan struct{})}
	go w.flush()
	return w, nil
}

func (w *Writer) flush() {
	defer close(w.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
			w.mu.Lock()
			w.err = errors.Join(w.err, w.buf.Flush())
			w.mu.Unlock()
		}
	}
}

// Invoke notes that a call begins now and returns it with its number and time.
func (w *Writer) Invoke(i Invocation) Invocation {
	i.N, i.At = w.next.Add(1), time.Now().UTC()
	w.write(i)
	return i
}

// Complete notes how a call ended, now.
func (w *Writer) Complete(c Completion) {
	c.At = time.Now().UTC()
	w.write(c)
}

func (w *Writer) write(line any) {
	encoded, err := json.Marshal(line)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		_, err = w.buf.Write(append(encoded, '\n'))
	}
	if err != nil && w.err == nil {
		w.err = err
	}
}

// Close writes what is left and says whether all of the log is there: a history with holes proves
// nothing.
func (w *Writer) Close() error {
	close(w.stop)
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(w.err, w.buf.Flush(), w.file.Close()); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// ReadFile reads a log, in the order in which the calls began.
func ReadFile(path string) ([]Call, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer file.Close()
	calls, err := Read(file)
	if err != nil {
		return nil, fmt.Errorf("read history %s: %w", path, err)
	}
	return calls, nil
}

// Read reads a log. The last line may be cut off, where the client was killed.
func Read(r io.Reader) ([]Call, error) {
	var calls []Call
	at := map[int64]int{} // number to place in calls; gone once the call has ended
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return calls, nil
		}
		if err != nil {
			return nil, err
		}
		if bytes.Contains(line, []byte(`"op":`)) {
			c := Call{End: Completion{Outcome: Unknown}}
			if err := json.Unmarshal(line, &c.Invocation); err != nil {
				return nil, fmt.Errorf("line %d: %w", len(calls), err)
			}
			at[c.N] = len(calls)
			calls = append(calls, c)
			continue
		}
		var end Completion
		if err := json.Unmarshal(line, &end); err != nil {
			return nil, fmt.Errorf("an end after call %d: %w", len(calls), err)
		}
		i, open := at[end.N]
		if !open {
			return nil, fmt.Errorf("call %d ended and had not begun", end.N)
		}
		calls[i].End = end
		delete(at, end.N)
	}
}
