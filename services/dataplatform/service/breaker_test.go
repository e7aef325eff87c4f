package service

import (
	"testing"
	"time"
)

// A few failures in a row open the breaker, a little longer each time and never for longer than it may; one success
// closes it. What the platform asks for is done.
func TestBreaker(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	b := breaker{min: 100 * time.Millisecond, max: time.Second}
	for range trips - 1 {
		if b.failed(now, 0); b.open(now) {
			t.Fatal("open after a failure or two")
		}
	}
	for i, most := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		b.failed(now, 0)
		most *= time.Millisecond
		if rest := b.until.Sub(now); rest < most/2 || rest > most {
			t.Errorf("after %d failures it is open for %v: want %v to %v", trips+i, rest, most/2, most)
		}
		if !b.open(now) || b.open(now.Add(most)) {
			t.Errorf("after %d failures: open %v, and in the end %v", trips+i, b.open(now), b.open(now.Add(most)))
		}
	}
	b.failures = 1_000_000 // it has been away for a year
	if b.failed(now, 0); b.until.Sub(now) > time.Second || b.until.Sub(now) < time.Second/2 {
		t.Errorf("open for %v", b.until.Sub(now))
	}
	if b.worked(); b.open(now) {
		t.Error("open after a success")
	}
	if b.failed(now, time.Minute); b.until.Sub(now) != time.Minute {
		t.Errorf("the platform asked for a minute and gets %v", b.until.Sub(now))
	}
}
