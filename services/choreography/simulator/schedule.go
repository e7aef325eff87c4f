package simulator

import "time"

// occurrence is something that will happen.
type occurrence struct {
	at time.Duration
	n  uint64
	do func()
}

// schedule is the only clock there is: time is the moment of the next occurrence. What falls on one moment
// happens in the order in which it was planned, so a seed has one course and no other.
type schedule struct {
	heap []occurrence
	now  time.Duration
	n    uint64
}

func (o occurrence) before(other occurrence) bool {
	return o.at < other.at || o.at == other.at && o.n < other.n
}

// after plans do for a moment d from now.
func (s *schedule) after(d time.Duration, do func()) {
	s.n++
	s.heap = append(s.heap, occurrence{at: s.now + max(d, 0), n: s.n, do: do})
	for i := len(s.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !s.heap[i].before(s.heap[parent]) {
			break
		}
		s.heap[i], s.heap[parent] = s.heap[parent], s.heap[i]
		i = parent
	}
}

// next takes the earliest occurrence and moves the clock to it; false: nothing will ever happen again.
func (s *schedule) next() (func(), bool) {
	if len(s.heap) == 0 {
		return nil, false
	}
	first, last := s.heap[0], len(s.heap)-1
	s.heap[0] = s.heap[last]
	s.heap[last] = occurrence{}
	s.heap = s.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if s.heap[child].before(s.heap[least]) {
				least = child
			}
		}
		if least == i {
			break
		}
		s.heap[i], s.heap[least] = s.heap[least], s.heap[i]
		i = least
	}
	s.now = first.at
	return first.do, true
}
