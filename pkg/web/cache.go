package web

import (
	"sync"
	"time"
)

// longestCached bounds how long a verified token is believed without looking at the keys again: a key taken out of the
// JWKS is out of use after that.
const longestCached = time.Minute

// tokenCache remembers verified tokens by their SHA-256: a signature costs about as much as the rest of a request.
// Only good tokens are kept (bad ones are free to make), by hash, so that memory holds no credentials.
type tokenCache struct {
	max int

	mu      sync.RWMutex
	entries map[[32]byte]cached
}

type cached struct {
	identity Identity
	until    time.Time
}

func newTokenCache(size int) *tokenCache {
	return &tokenCache{max: size, entries: map[[32]byte]cached{}}
}

func (t *tokenCache) get(sum [32]byte, now time.Time) (Identity, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	entry, ok := t.entries[sum]
	if !ok || !now.Before(entry.until) {
		return Identity{}, false
	}
	return entry.identity, true
}

// put makes room by dropping what has expired, and if that is nothing, an arbitrary tenth: being dropped costs one
// verification, so the order does not matter.
func (t *tokenCache) put(sum [32]byte, identity Identity, now, expires time.Time) {
	until := now.Add(longestCached)
	if expires.Before(until) {
		until = expires
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) >= t.max {
		t.evict(now)
	}
	t.entries[sum] = cached{identity: identity, until: until}
}

func (t *tokenCache) evict(now time.Time) {
	for sum, entry := range t.entries {
		if !now.Before(entry.until) {
			delete(t.entries, sum)
		}
	}
	surplus := len(t.entries) - t.max*9/10
	for sum := range t.entries {
		if surplus <= 0 {
			return
		}
		delete(t.entries, sum)
		surplus--
	}
}
