package main

import (
	"testing"
	"time"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1)*time.Millisecond)
	}
	for _, c := range []struct {
		name   string
		sorted []time.Duration
		p      int
		want   float64
	}{
		{"median of a hundred", hundred, 50, 50},
		{"99 of a hundred", hundred, 99, 99},
		{"95 of three is the last", hundred[:3], 95, 3},
		{"50 of three is the middle", hundred[:3], 50, 2},
		{"of one", hundred[:1], 50, 1},
		{"of none", nil, 50, 0},
		{"below a millisecond", []time.Duration{250 * time.Microsecond}, 99, 0.25},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := percentile(c.sorted, c.p); got != c.want {
				t.Errorf("percentile %d: %v ms, want %v", c.p, got, c.want)
			}
		})
	}
}
