// Package journal is the simulators' memory: an append-only file whose lines
// are on the disk before anyone is told about what they say.
//
// A line is written as eight hex digits of its CRC-32C, a space, the entry,
// and a newline. Entries hold no newline themselves (JSON does not).
package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// ErrLocked says that another process (or another server of this one) works in
// the directory.
var ErrLocked = errors.New("directory is in use by another simulator")

// ErrClosed answers every use after Close.
var ErrClosed = errors.New("journal is closed")

// prefix is the length of the checksum and the space before the entry.
const prefix = 9

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fileName is the journal's name in its directory.
const fileName = "journal"

// Journal is an open journal file. Its methods may be called from many
// goroutines.
//
// How it is used, and why an answer never outruns the disk: the caller decides
// under its own lock, calls Append under that same lock (so lines stand in the
// order of the decisions), lets the lock go and calls Sync before answering.
// Whoever only reads state takes End under the lock and syncs up to it too:
// otherwise a question could be answered with a charge that a crash would still
// take back.
type Journal struct {
	dir  string
	file *os.File
	lock *os.File

	mu       sync.Mutex
	flushed  *sync.Cond // signalled when a flush ended
	pending  []byte     // appended, not yet handed to the disk
	spare    []byte     // the other buffer, so that appends go on during a flush
	end      int64      // position after the last appended line
	durable  int64      // position up to which lines are on the disk
	flushing bool       // one caller of Sync works for all who wait
	err      error      // sticky: see flush
}

// Open locks dir (created with mode 0700), replays its journal and opens it for
// appending. replay gets each entry in order, without checksum and newline; the
// slice is its own. A torn last line (the process or machine died in the middle
// of a write nobody was told about) is cut off; damage before the last line is
// an error, as acknowledged entries would be lost with it.
func Open(dir string, replay func(entry []byte) error) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create journal directory: %w", err)
	}
	lock, err := acquire(dir)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: %w", err), lock.Close())
	}
	size, err := restore(file, dir, replay)
	if err != nil {
		return nil, errors.Join(err, file.Close(), lock.Close())
	}
	j := &Journal{dir: dir, file: file, lock: lock, end: size, durable: size}
	j.flushed = sync.NewCond(&j.mu)
	return j, nil
}

// acquire takes the directory's lock, which ends with the process, also when it
// is killed.
func acquire(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal lock: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrLocked, dir), lock.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal directory: %w", err), lock.Close())
	}
	return lock, nil
}

// restore replays the file, cuts a torn end off and leaves the file positioned
// for appending. The directory is synced too: a new file whose name is not on
// the disk would be forgotten with all it holds.
func restore(file *os.File, dir string, replay func([]byte) error) (int64, error) {
	good, err := scan(file, replay)
	if err != nil {
		return 0, err
	}
	if err := file.Truncate(good); err != nil {
		return 0, fmt.Errorf("cut torn journal line: %w", err)
	}
	if _, err := file.Seek(good, io.SeekStart); err != nil {
		return 0, fmt.Errorf("seek to journal end: %w", err)
	}
	// What was read may be in the page cache only (the last process was killed
	// between write and fsync) and is about to be answered from: make it last.
	if err := file.Sync(); err != nil {
		return 0, fmt.Errorf("sync journal: %w", err)
	}
	return good, syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open journal directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync journal directory: %w", err)
	}
	return nil
}

// scan returns the length of the good part.
func scan(file io.Reader, replay func([]byte) error) (int64, error) {
	r := bufio.NewReaderSize(file, 1<<16)
	var good int64
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return 0, fmt.Errorf("read journal: %w", err)
		}
		entry, ok := parse(line)
		if !ok {
			if _, peek := r.Peek(1); peek != io.EOF {
				return 0, fmt.Errorf("journal is damaged at byte %d and goes on after it", good)
			}
			return good, nil
		}
		if err := replay(entry); err != nil {
			return 0, fmt.Errorf("replay journal at byte %d: %w", good, err)
		}
		good += int64(len(line))
	}
}

// parse checks one line as read, newline included.
func parse(line []byte) ([]byte, bool) {
	if len(line) <= prefix || line[len(line)-1] != '\n' || line[prefix-1] != ' ' {
		return nil, false
	}
	want, err := strconv.ParseUint(string(line[:prefix-1]), 16, 32)
	entry := line[prefix : len(line)-1]
	return entry, err == nil && uint32(want) == crc32.Checksum(entry, castagnoli)
}

// Append adds an entry, which must not be empty nor hold a newline, and returns
// the position to Sync to. It does not wait for the disk, so it may be called
// with a lock held. An entry that breaks the rule makes the journal fail: the
// state it belongs to is decided already and must not be answered from.
func (j *Journal) Append(entry []byte) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(entry) == 0 || bytes.IndexByte(entry, '\n') >= 0 {
		j.fail(errors.New("append to journal: an entry must be one line"))
		return j.end
	}
	start := len(j.pending)
	j.pending = appendLine(j.pending, entry)
	j.end += int64(len(j.pending) - start)
	return j.end
}

func appendLine(to, entry []byte) []byte {
	to = fmt.Appendf(to, "%08x ", crc32.Checksum(entry, castagnoli))
	to = append(to, entry...)
	return append(to, '\n')
}

// Replace writes the journal anew with the given entries only, for a memory that
// forgets on purpose. It is for the time right after Open, before the first
// Append. A crash leaves the old file or the new one.
func (j *Journal) Replace(entries [][]byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	path := filepath.Join(j.dir, fileName)
	file, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create new journal: %w", err)
	}
	var size int64
	w := bufio.NewWriterSize(file, 1<<16)
	for _, entry := range entries {
		n, _ := w.Write(appendLine(nil, entry)) // Flush returns its error
		size += int64(n)
	}
	err = errors.Join(w.Flush(), file.Sync())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write new journal: %w", err), file.Close())
	}
	_ = j.file.Close() // read only so far, and nobody's file any more
	j.file, j.end, j.durable = file, size, size
	return syncDir(j.dir)
}

// End returns the position after the last appended entry.
func (j *Journal) End() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end
}

// Sync returns when everything before the position is on the disk. Callers that
// come while another one flushes share the next flush (group commit): a hundred
// parallel charges cost two or three fsyncs.
func (j *Journal) Sync(position int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.durable < position && j.err == nil {
		if j.flushing {
			j.flushed.Wait()
			continue
		}
		j.flush()
	}
	return j.err
}

// flush writes out what is pending; called and returns with mu held, lets it go
// during the write. A failure is final for this process: after a failed fsync
// the kernel may have dropped the pages, and a second fsync that succeeds would
// prove nothing.
func (j *Journal) flush() {
	batch, target := j.pending, j.end
	j.pending, j.spare = j.spare[:0], nil
	j.flushing = true
	j.mu.Unlock()

	_, err := j.file.Write(batch)
	if err == nil {
		err = j.file.Sync()
	}

	j.mu.Lock()
	j.flushing = false
	j.spare = batch
	if err != nil {
		j.fail(fmt.Errorf("write journal: %w", err))
	} else {
		j.durable = target
	}
	j.flushed.Broadcast()
}

// fail keeps the first error; mu is held.
func (j *Journal) fail(err error) {
	if j.err == nil {
		j.err = err
	}
}

// Close writes out what is pending and lets the directory go. Later calls of
// Sync return ErrClosed.
func (j *Journal) Close() error {
	err := j.Sync(j.End())
	if errors.Is(err, ErrClosed) {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.flushing { // a late Append's Sync may have begun after ours
		j.flushed.Wait()
	}
	if errors.Is(j.err, ErrClosed) {
		return err
	}
	j.err = ErrClosed
	return errors.Join(err, j.file.Close(), j.lock.Close())
}
