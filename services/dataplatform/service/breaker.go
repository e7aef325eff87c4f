package service

import (
	"math/rand/v2"
	"time"
)

// trips is how many failures in a row open the breaker.
const trips = 3

// breaker keeps an exporter from a platform that does not work: after a few failures in a row nothing is sent for a
// while, whatever stream it is of; then one batch goes out to see, and a failure opens it again for twice as long.
// A batch that the platform has read and refused is no failure of the platform's.
//
// Only the exporter's goroutine uses it.
type breaker struct {
	min, max time.Duration
	failures int
	until    time.Time
}

// open says whether nothing may be sent now.
func (b *breaker) open(now time.Time) bool { return now.Before(b.until) }

// worked closes the breaker.
func (b *breaker) worked() { b.failures, b.until = 0, time.Time{} }

// failed counts a failure; after is how long the platform has asked to be left alone.
func (b *breaker) failed(now time.Time, after time.Duration) {
	b.failures++
	if b.failures >= trips {
		after = max(after, backoff(b.min, b.max, b.failures-trips))
	}
	b.until = now.Add(after)
}

// backoff doubles with every failure from least to most, of which a random half is taken: exporters of several shops
// that met the same outage do not come back at the same moment.
func backoff(least, most time.Duration, failures int) time.Duration {
	d := most
	if failures < 20 {
		d = min(most, least<<max(0, failures))
	}
	return d/2 + rand.N(d/2+1)
}
