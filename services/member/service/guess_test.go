package service

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestGuesses(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	g := newGuesses(3, 3*time.Minute)
	for i := range 3 {
		if wait := g.take("kim", now); wait != 0 {
			t.Fatalf("guess %d waits %s", i, wait)
		}
	}
	if wait := g.take("kim", now); wait != time.Minute {
		t.Errorf("a fourth waits %s, want a minute", wait)
	}
	if wait := g.take("lee", now); wait != 0 {
		t.Errorf("somebody else waits %s", wait)
	}
	if wait := g.take("kim", now.Add(59*time.Second)); wait != time.Second {
		t.Errorf("a second too early: %s", wait)
	}
	if wait := g.take("kim", now.Add(time.Minute)); wait != 0 {
		t.Errorf("a minute later: %s", wait)
	}
	g.giveBack("kim", now.Add(time.Minute))
	if wait := g.take("kim", now.Add(time.Minute)); wait != 0 {
		t.Errorf("one that was given back: %s", wait)
	}
	for range 10 {
		g.giveBack("kim", now.Add(time.Minute))
	}
	for range 3 {
		g.take("kim", now.Add(time.Minute))
	}
	if wait := g.take("kim", now.Add(time.Minute)); wait != time.Minute {
		t.Errorf("giving back makes more than there were: %s", wait)
	}
	if wait := g.take("kim", now); wait == 0 {
		t.Error("a clock that goes back gives guesses")
	}
}

// Of many guesses at once no more get through than there are.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	g, now := newGuesses(10, time.Hour), time.Unix(1_000_000, 0)
	var through atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if g.take("kim", now) == 0 {
				through.Add(1)
			}
		})
	}
	wg.Wait()
	if through.Load() != 10 {
		t.Errorf("%d got through", through.Load())
	}
}

func TestGuessersAreBounded(t *testing.T) {
	t.Parallel()
	g, now := newGuesses(1, time.Hour), time.Unix(1_000_000, 0)
	for i := range mostGuessers + 10 {
		g.take(fmt.Sprint(i), now)
		g.take("kim", now) // is seen all the while, so not forgotten
	}
	if len(g.byKey) != mostGuessers || g.recent.Len() != mostGuessers {
		t.Errorf("%d and %d are remembered", len(g.byKey), g.recent.Len())
	}
	if g.take("kim", now) == 0 {
		t.Error("the one who guesses all the while was forgotten")
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::9": "2001:db8:1:2::/64", "": "",
	} {
		if got := network(ip); got != want {
			t.Errorf("%q: %q, want %q", ip, got, want)
		}
	}
}
