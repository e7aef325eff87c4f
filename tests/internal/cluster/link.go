package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Target is what a replica reaches over a Link.
type Target string

// The targets. Outside is what the service calls: payment its provider, shipping its carrier, mailer its
// mail server, dataplatform the data platform; other services have none.
const (
	ToPostgres Target = "postgres"
	ToKafka    Target = "kafka"
	ToOutside  Target = "outside"
)

// Targets lists the targets a service has.
func Targets(service string) []Target {
	switch service {
	case "payment", "shipping", "mailer", "dataplatform":
		return []Target{ToPostgres, ToKafka, ToOutside}
	default:
		return []Target{ToPostgres, ToKafka}
	}
}

type linkKey struct {
	service string
	replica int
	target  Target
}

// Link is the way between one replica and one target. One disturbance at a time; Restore ends it. Its
// methods may be called from many goroutines.
type Link struct {
	name  string
	addr  string
	proxy *toxiproxy.Proxy

	mu     sync.Mutex
	toxics []string
}

// quiet: toxiproxy writes a line per connection, some of them past the logger it is given.
var quiet = sync.OnceFunc(func() { zerolog.SetGlobalLevel(zerolog.Disabled) })

func newToxiproxy() *toxiproxy.ApiServer {
	quiet()
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
}

func (c *Cluster) newLink(ctx context.Context, name, upstream string) (*Link, error) {
	addr, err := c.ports.addr(ctx)
	if err != nil {
		return nil, err
	}
	l := &Link{name: name, addr: addr, proxy: toxiproxy.NewProxy(c.toxiproxy, name, addr, upstream)}
	if err := l.proxy.Start(); err != nil {
		return nil, fmt.Errorf("start proxy %s: %w", name, err)
	}
	return l, nil
}

// Name is "order-0 → postgres".
func (l *Link) Name() string { return l.name }

// Reset ends every connection, and those that are opened within the next moment, at their first byte.
func (l *Link) Reset() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.add("reset_peer", 0); err != nil {
		return err
	}
	l.proxy.Stop()
	err := l.proxy.Start()
	<-time.After(resetTime)
	return errors.Join(err, l.heal())
}

// resetTime is how long new connections are refused by Reset too.
const resetTime = 200 * time.Millisecond

// Refuse ends every connection and refuses new ones, as a server that is gone does, until Restore.
func (l *Link) Refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Stop()
}

// Cut lets nothing pass in either direction, as a network that lost a cable does: nobody is told. What
// is sent meanwhile is lost, and the connections that were open end at Restore.
func (l *Link) Cut() error { return l.disturb("timeout", 0) }

// LoseAnswers lets requests pass and loses what comes back: a COMMIT is carried out, and nobody hears of
// it. The connections that were open end at Restore.
func (l *Link) LoseAnswers() error { return l.disturb("timeout", 0, "downstream") }

// LoseRequests loses what is sent and lets the rest of the answers pass.
func (l *Link) LoseRequests() error { return l.disturb("timeout", 0, "upstream") }

// Slow limits both directions to that many bytes per second, 1,000 at least.
func (l *Link) Slow(bytesPerSecond int) error {
	return l.disturb("bandwidth", int64(max(1, bytesPerSecond/1000)))
}

// Latency delays both directions.
func (l *Link) Latency(d time.Duration) error { return l.disturb("latency", d.Milliseconds()) }

// LimitAnswers ends a connection once that many bytes came back on it, in the middle of an answer.
func (l *Link) LimitAnswers(bytes int64) error { return l.disturb("limit_data", bytes, "downstream") }

// Restore ends every disturbance.
func (l *Link) Restore() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heal()
}

// Disturbed says whether a disturbance is on.
func (l *Link) Disturbed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.toxics) > 0 || !l.proxy.Enabled
}

func (l *Link) disturb(kind string, value int64, directions ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.heal(); err != nil {
		return err
	}
	return l.add(kind, value, directions...)
}

// parameter is what toxiproxy calls the one number of each kind.
var parameter = map[string]string{
	"timeout": "timeout", "reset_peer": "timeout", "bandwidth": "rate", "latency": "latency", "limit_data": "bytes",
}

// add puts a toxic on; mu is held.
func (l *Link) add(kind string, value int64, directions ...string) error {
	if len(directions) == 0 {
		directions = []string{"upstream", "downstream"}
	}
	for _, direction := range directions {
		name := kind + "_" + direction
		_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
			`{"name":%q,"type":%q,"stream":%q,"attributes":{%q:%d}}`, name, kind, direction, parameter[kind], value)))
		if err != nil {
			return fmt.Errorf("disturb %s: %s: %w", l.name, kind, err)
		}
		l.toxics = append(l.toxics, name)
	}
	return nil
}

// heal takes every toxic off; mu is held.
func (l *Link) heal() error {
	var errs []error
	for _, name := range l.toxics {
		errs = append(errs, l.proxy.Toxics.RemoveToxic(context.Background(), name))
	}
	l.toxics = nil
	if !l.proxy.Enabled {
		errs = append(errs, l.proxy.Start())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("restore %s: %w", l.name, err)
	}
	return nil
}

func (l *Link) close() { l.proxy.Stop() }
