// Package deliver sends deliveries: it claims those that are due, posts them, and writes what became of them.
//
// A delivery may be made more than once: a process may die after the receiver has answered and before that is written.
// Its id is the same then, and the receiver recognises it. It is not made by two processes at once while claims hold:
// a claim says until when it does, and nothing is sent that could last longer. Nothing is promised about the order of
// an endpoint's deliveries: they are made side by side, and one that fails is made later.
package deliver

import (
	"math/rand/v2"
	"time"
)

// Config of a Sender.
type Config struct {
	// Timeout bounds one attempt.
	Timeout time.Duration
	// Retries are the pauses after the first, second, ... failed attempt; the last one holds for all that follow.
	Retries []time.Duration
	// Concurrency is how many attempts to one endpoint are under way at once. One that failed last gets one at a time.
	Concurrency int
	// Every is how often is looked for what is due.
	Every time.Duration
}

// lease is how long a claim holds: some attempts' time, as what is claimed waits here for its turn.
func (c Config) lease() time.Duration { return 3 * c.Timeout }

// wait is the pause after the n-th attempt (from 1): a fifth of it more or less, so that what failed together does not
// come back together.
func (c Config) wait(n int) time.Duration {
	pause := c.Retries[min(n, len(c.Retries))-1]
	fifth := pause / 5
	if fifth <= 0 {
		return pause
	}
	return pause - fifth + rand.N(2*fifth)
}
