package service

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// mostGuessers bounds how many are remembered, the least recently seen forgotten first.
const mostGuessers = 20_000

// guesses bounds how often somebody can guess: most at once, and as many within a window. A guess is taken before the
// password is looked at, so that of a thousand at once no more than most get through, and given back where it was right.
type guesses struct {
	most   float64
	window time.Duration

	mu     sync.Mutex
	byKey  map[string]*list.Element
	recent *list.List
}

// guesser is how many guesses a key has left, as of a moment.
type guesser struct {
	key  string
	left float64
	at   time.Time
}

func newGuesses(most int, window time.Duration) *guesses {
	return &guesses{most: float64(most), window: window, byKey: map[string]*list.Element{}, recent: list.New()}
}

// take spends a guess; where there is none left it says how long until there is.
func (g *guesses) take(key string, now time.Time) (wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.of(key, now)
	if x.left < 1 {
		return time.Duration((1 - x.left) / g.most * float64(g.window))
	}
	x.left--
	return 0
}

// giveBack makes a guess undone.
func (g *guesses) giveBack(key string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.of(key, now)
	x.left = min(x.left+1, g.most)
}

// of finds a key's guesser with what it has got back since it was seen last; g.mu is held.
func (g *guesses) of(key string, now time.Time) *guesser {
	element, known := g.byKey[key]
	if !known {
		if g.recent.Len() >= mostGuessers {
			oldest := g.recent.Back()
			g.recent.Remove(oldest)
			delete(g.byKey, oldest.Value.(*guesser).key)
		}
		element = g.recent.PushFront(&guesser{key: key, left: g.most, at: now})
		g.byKey[key] = element
	}
	g.recent.MoveToFront(element)
	x := element.Value.(*guesser)
	if passed := now.Sub(x.at); passed > 0 {
		x.left = min(g.most, x.left+g.most*float64(passed)/float64(g.window))
		x.at = now
	}
	return x
}

// network is the key of a client's address: an IPv6 customer owns a whole /64.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Unmap().Is4() {
		return ip
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.String()
}
