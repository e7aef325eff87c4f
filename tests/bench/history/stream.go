package history

import (
	"io"
	"sync/atomic"
)

// stream is a table's rows, copy after copy, as a binary COPY. Reading it makes them: nothing is kept but a chunk.
type stream struct {
	recorded *recorded
	plan     *plan
	writer   writer
	began    map[class]int64
	now      int64 // Unix microseconds: what ages are counted to
	first    int   // the number of the first order that the service has rows of
	rows     atomic.Int64

	// Where the next copy is: the class that is being copied (orders last) and its next number.
	stage, next int
	chunk       []byte
	at          int
	begun, done bool
}

// stages is the order in which things came to be.
var stages = []class{ofPolicy, ofProduct, ofMember, 0}

const chunkSize = 64 << 10

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if s.at == len(s.chunk) {
		if s.done {
			return 0, io.EOF
		}
		s.fill()
	}
	n := copy(p, s.chunk[s.at:])
	s.at += n
	return n, nil
}

// fill makes the next chunk.
func (s *stream) fill() {
	s.chunk, s.at = s.chunk[:0], 0
	if !s.begun {
		s.chunk, s.begun = append(s.chunk, copyHeader...), true
	}
	for len(s.chunk) < chunkSize {
		c, ok := s.following()
		if !ok {
			s.chunk, s.done = append(s.chunk, copyTrailer...), true
			return
		}
		s.write(&c)
	}
}

// following is the next thing to copy.
func (s *stream) following() (copied, bool) {
	for s.stage < len(stages) {
		c := stages[s.stage]
		n := s.plan.orders
		if c < 0 {
			n = s.plan.many(c)
			if len(s.recorded.rows[c]) == 0 {
				n = 0
			}
		}
		if s.next < n {
			s.next++
			if c < 0 {
				return s.plan.before(c, s.next-1), true
			}
			return s.plan.order(s.next - 1), true
		}
		s.stage, s.next = s.stage+1, 0
		if s.stage < len(stages) && stages[s.stage] >= 0 {
			s.next = s.first
		}
	}
	return copied{}, false
}

// write adds the copy's rows, but for those that would have been forgotten by now.
func (s *stream) write(c *copied) {
	templates := s.recorded.rows[c.class]
	s.writer.from = s.began[c.class]
	for i := range templates {
		tp := &templates[i]
		if tp.keep > 0 && s.forgotten(tp, c) {
			continue
		}
		s.writer.count++
		s.chunk = s.writer.append(s.chunk, tp, c)
		s.rows.Add(1)
	}
}

// forgotten: an inbox goes day by day, so a day stays as long as its last hour; answers of commands go by their age.
func (s *stream) forgotten(tp *template, c *copied) bool {
	at := tp.base + (c.at-s.writer.from)*million
	kept := s.now - tp.keep.Microseconds()
	if tp.keep == keepInbox {
		const aDay = 86_400 * million
		return at/aDay < s.now/aDay-int64(keepInbox.Hours()/24)
	}
	return at < kept
}
