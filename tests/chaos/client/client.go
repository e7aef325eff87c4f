// Package client is a crowd of customers, a shop's operators and a carrier's van, all at once, against a
// running system that may be broken at any moment. It keeps a log of every call (package history) and
// judges nothing: an answer that does not come is unknown, and a call with an Idempotency-Key is repeated
// until its outcome is known, as a good client does.
package client

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// Options of a Client. All but Log are needed.
type Options struct {
	// Gateways are base URLs without a slash at the end. A call goes to any; one that cannot be reached
	// is tried at the next.
	Gateways []string
	// Members are user ids that have an address; Token is what they sign in with.
	Members []string
	Token   func(member string) string
	// OperatorToken may use /ops.
	OperatorToken string
	// CarrierURL is the carrier simulator's.
	CarrierURL string
	// Rate is how many orders a second are to be accepted on average. What an outage keeps back is caught
	// up afterwards, as far as the system takes it.
	Rate float64
	// Seed decides what is asked in which order; when it is answered decides the rest.
	Seed    uint64
	History *history.Writer
	Log     *slog.Logger
}

// Client is the crowd. Prepare it, then Run it once.
type Client struct {
	opt   Options
	http  *http.Client
	goods goods

	// calls bounds how many are under way: an outage keeps them all waiting.
	calls    chan struct{}
	sessions sync.WaitGroup
	accepted atomic.Int64
	open     atomic.Int64 // sessions
	number   atomic.Uint64

	// leisure stretches every pause that customers make; it is 1, and less in tests.
	leisure float64
}

const (
	// callTimeout is how long an answer is waited for.
	callTimeout = 10 * time.Second
	maxCalls    = 192
	maxSessions = 2000
	// catchUp is how much faster than Rate what an outage kept back is asked for.
	catchUp = 2.5
	// release is how often sessions are let loose.
	release = 20 * time.Millisecond
	// patience is how long a call of unknown outcome is repeated.
	patience = 2 * time.Minute
)

// New makes a Client.
func New(opt Options) *Client {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	dialer := &net.Dialer{Timeout: 3 * time.Second}
	return &Client{
		opt: opt, calls: make(chan struct{}, maxCalls), leisure: 1,
		http: &http.Client{Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxIdleConnsPerHost: maxCalls, IdleConnTimeout: 30 * time.Second,
		}},
	}
}

// Accepted is how many distinct orders were accepted so far, as far as the client knows.
func (c *Client) Accepted() int64 { return c.accepted.Load() }

// Run lets customers come until ctx ends, and returns when each has ended what he was doing: calls of
// unknown outcome are repeated for two minutes at most.
func (c *Client) Run(ctx context.Context) error {
	if len(c.goods.plain) == 0 {
		return fmt.Errorf("run the client: Prepare it first")
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var operators sync.WaitGroup
	operators.Go(func() { c.restock(ctx, background) })
	operators.Go(func() { c.campaigns(ctx, background) })
	c.admit(ctx, background)
	operators.Wait()
	c.sessions.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// admit lets sessions loose at the rate that keeps the number of accepted orders on its line. Sessions
// outlive ctx: they run on background.
func (c *Client) admit(ctx, background context.Context) {
	tick := time.NewTicker(release)
	defer tick.Stop()
	begin, last, due := time.Now(), time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		// Nearly every session that is open and has no order yet will have one soon.
		behind := c.opt.Rate*now.Sub(begin).Seconds() - float64(c.accepted.Load())
		pace := min(max(1+behind/(c.opt.Rate*20), 0.8), catchUp)
		due += c.opt.Rate * pace * now.Sub(last).Seconds()
		last = now
		for ; due >= 1; due-- {
			if c.open.Load() >= maxSessions || len(c.calls) == maxCalls {
				due = 0 // the system is away: nobody queues before a closed door
				break
			}
			n := c.number.Add(1)
			c.open.Add(1)
			c.sessions.Go(func() {
				defer c.open.Add(-1)
				c.session(background, n)
			})
		}
	}
}

// random is a stream of chance of its own, the same for the same seed. Sessions have their numbers for
// streams; what they do on the side, and operators, have numbers that no session reaches.
func (c *Client) random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(c.opt.Seed, stream)) }

// The operators' streams, and where those of the sides of sessions begin.
const (
	streamPrepare = 1<<62 + iota
	streamCampaigns
	streamRestock

	streamSide = 1 << 40
)

// pause waits and says whether it was to the end.
func (c *Client) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(time.Duration(float64(d) * c.leisure))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
