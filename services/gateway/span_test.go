package gateway_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/services/gateway"
)

// Spans say what a set of the same numbers says, and stay ascending and apart.
func TestSpans(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var spans gateway.Spans
		set := map[int64]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "adds") {
			from := rapid.Int64Range(1, 30).Draw(t, "from")
			to := from + rapid.Int64Range(0, 3).Draw(t, "more")
			spans = spans.Add(from, to)
			for n := from; n <= to; n++ {
				set[n] = true
			}
		}
		below := int64(0)
		for n := int64(1); n < 40; n++ {
			if spans.Has(n) != set[n] {
				t.Fatalf("%v: has %d: %v", spans, n, spans.Has(n))
			}
			if got := spans.Before(n); got != below {
				t.Fatalf("%v: before %d is %d, want %d", spans, n, got, below)
			}
			if spans.Cover(n, n+2) != (set[n] && set[n+1] && set[n+2]) {
				t.Fatalf("%v: covers %d to %d: %v", spans, n, n+2, spans.Cover(n, n+2))
			}
			if set[n] {
				below = n
			}
		}
		for i := 1; i < len(spans); i++ {
			if spans[i-1][1]+1 >= spans[i][0] {
				t.Fatalf("%v touch", spans)
			}
		}
	})
}
