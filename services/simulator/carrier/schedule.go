package carrier

import (
	"container/heap"
	"time"
)

// schedule is a queue by time. It is not safe for use by many goroutines.
type schedule[T any] struct{ items timedHeap[T] }

type timed[T any] struct {
	at    time.Time
	value T
}

func (s *schedule[T]) add(at time.Time, v T) { heap.Push(&s.items, timed[T]{at, v}) }

// take removes one value whose time has come.
func (s *schedule[T]) take(now time.Time) (v T, ok bool) {
	if len(s.items) == 0 || s.items[0].at.After(now) {
		return v, false
	}
	return heap.Pop(&s.items).(timed[T]).value, true
}

// next is the time of the first value, zero if there is none.
func (s *schedule[T]) next() time.Time {
	if len(s.items) == 0 {
		return time.Time{}
	}
	return s.items[0].at
}

type timedHeap[T any] []timed[T]

func (h timedHeap[T]) Len() int           { return len(h) }
func (h timedHeap[T]) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timedHeap[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timedHeap[T]) Push(x any)        { *h = append(*h, x.(timed[T])) }
func (h *timedHeap[T]) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = timed[T]{}
	*h = old[:len(old)-1]
	return last
}
