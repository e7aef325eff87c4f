package gateway

import "slices"

// Spans are numbers as disjoint spans, ascending, both ends included: [1,4] [6,6] is all up to 6 but 5. Whoever misses
// nothing has one span, however many numbers there are.
type Spans [][2]int64

// Has tells whether n is among them.
func (s Spans) Has(n int64) bool { return s.Cover(n, n) }

// Cover tells whether all from from to to are among them.
func (s Spans) Cover(from, to int64) bool {
	return slices.ContainsFunc(s, func(span [2]int64) bool { return span[0] <= from && to <= span[1] })
}

// Before is the highest number below n, 0 if there is none.
func (s Spans) Before(n int64) int64 {
	for _, span := range slices.Backward(s) {
		if span[0] < n {
			return min(span[1], n-1)
		}
	}
	return 0
}

// Add returns them with all from from to to; s stays as it is.
func (s Spans) Add(from, to int64) Spans {
	out := make(Spans, 0, len(s)+1)
	added := [2]int64{from, to}
	for _, span := range s {
		switch {
		case span[1] < added[0]-1:
			out = append(out, span)
		case added[1] < span[0]-1:
			out = append(out, added)
			added = span
		default:
			added = [2]int64{min(span[0], added[0]), max(span[1], added[1])}
		}
	}
	return append(out, added)
}
