package web

import (
	"container/list"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

const limitsKey = "quadrille.limits"

// limits holds one token bucket per address and one per member. The member's is taken by [Auth], once it is known who
// calls; the address's before, so that a stranger cannot make us verify signatures without end.
type limits struct {
	address *buckets
	member  *buckets
}

func newLimits(cfg Config) *limits {
	return &limits{
		address: newBuckets(cfg.AddressRate, cfg.AddressBurst, cfg.LimitEntries),
		member:  newBuckets(cfg.MemberRate, cfg.MemberBurst, cfg.LimitEntries),
	}
}

func (l *limits) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Set(limitsKey, l)
		if l.address != nil {
			if err := l.address.take(c, network(c.RealIP())); err != nil {
				return err
			}
		}
		return next(c)
	}
}

func limitMember(c echo.Context, subject string) error {
	l, _ := c.Get(limitsKey).(*limits)
	if l == nil || l.member == nil {
		return nil
	}
	return l.member.take(c, subject)
}

// network is the key of an address: an IPv6 customer owns a whole /64, so a bucket per address would be no limit.
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

// buckets is a bounded map of limiters, the least recently seen forgotten first. Being forgotten means a full bucket
// again, so a caller gains only what it could do anyway after a pause; memory is bounded whoever calls.
type buckets struct {
	rate  rate.Limit
	burst int
	max   int

	mu     sync.Mutex
	byKey  map[string]*list.Element
	recent *list.List
}

type bucket struct {
	key     string
	limiter *rate.Limiter
}

func newBuckets(perSecond float64, burst, entries int) *buckets {
	if perSecond <= 0 {
		return nil
	}
	if burst <= 0 {
		burst = int(math.Ceil(perSecond))
	}
	return &buckets{
		rate: rate.Limit(perSecond), burst: burst, max: entries,
		byKey: map[string]*list.Element{}, recent: list.New(),
	}
}

func (b *buckets) limiter(key string) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if element, ok := b.byKey[key]; ok {
		b.recent.MoveToFront(element)
		return element.Value.(*bucket).limiter
	}
	if b.recent.Len() >= b.max {
		oldest := b.recent.Back()
		b.recent.Remove(oldest)
		delete(b.byKey, oldest.Value.(*bucket).key)
	}
	limiter := rate.NewLimiter(b.rate, b.burst)
	b.byKey[key] = b.recent.PushFront(&bucket{key: key, limiter: limiter})
	return limiter
}

// take spends a token or refuses with 429. The RateLimit headers tell of the bucket taken last, which is the member's
// if there is one; -Reset is in seconds, as is Retry-After.
func (b *buckets) take(c echo.Context, key string) error {
	now := time.Now()
	limiter := b.limiter(key)
	ok := limiter.AllowN(now, 1)
	tokens := math.Max(0, limiter.TokensAt(now))
	h := c.Response().Header()
	h.Set("RateLimit-Limit", strconv.Itoa(b.burst))
	h.Set("RateLimit-Remaining", strconv.Itoa(int(tokens)))
	h.Set("RateLimit-Reset", strconv.Itoa(int(math.Ceil((float64(b.burst)-tokens)/float64(b.rate)))))
	if ok {
		return nil
	}
	refusal := fault.Of(fault.CodeRateLimited, "Too many requests; go on after Retry-After seconds.")
	refusal.RetryAfter = time.Duration((1 - tokens) / float64(b.rate) * float64(time.Second))
	return refusal
}
