// Package remote calls other people's HTTP servers (payment providers,
// carriers) and says what became of a request: answered, surely without effect,
// or unknown. It never repeats a request: whoever owns the attempt's row does.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// The two ways to get no answer. What is neither was answered.
var (
	// ErrNotSent: the request surely had no effect. It may be made again, now or
	// later, with the same key or another.
	ErrNotSent = errors.New("request not sent")
	// ErrUnknown: the request may have had its effect. Ask about its key; never
	// use a new key before there is a final answer.
	ErrUnknown = errors.New("outcome unknown")
)

// maxAnswer bounds an answer's body.
const maxAnswer = 1 << 20

// Config of a Client.
type Config struct {
	// Name of the other side, in errors and for the breaker.
	Name string
	// BaseURL the paths are put behind: http or https, without query.
	BaseURL string
	// Timeout of a call from dialling to the last byte; default 4 s.
	Timeout time.Duration
	// Header is sent with each request (credentials).
	Header http.Header
	// Transport defaults to one of its own with 256 kept connections.
	Transport http.RoundTripper
	// OpenAfter is how many calls without an answer, being at least half of the
	// calls of the last 10 s, open the circuit breaker; default 10.
	OpenAfter uint32
	// OpenFor is how long it then refuses calls before one is let through; default
	// 2 s, far below every order's deadline.
	OpenFor time.Duration
	// OnStateChange hears the breaker's states ("closed", "half-open", "open").
	OnStateChange func(name, from, to string)
}

// Client calls one server. Its methods may be called from many goroutines.
type Client struct {
	cfg     Config
	base    string
	http    *http.Client
	breaker *gobreaker.CircuitBreaker[Answer]
}

// Call is one request.
type Call struct {
	Method string
	Path   string // escaped, with a leading slash, may have a query
	Key    string // Idempotency-Key; "" for none
	Body   any    // encoded as JSON; nil for none
}

// Answer is what the server said: any status but the ones Do turns into errors.
type Answer struct {
	Status int
	Body   []byte
}

// New checks the configuration.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%s: base URL must be http(s)://host[:port][/path]", cfg.Name)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 4 * time.Second
	}
	if cfg.OpenAfter == 0 {
		cfg.OpenAfter = 10
	}
	if cfg.OpenFor == 0 {
		cfg.OpenFor = 2 * time.Second
	}
	if cfg.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 256 // twice as many as an engine makes calls at once
		cfg.Transport = t
	}
	return &Client{
		cfg:  cfg,
		base: strings.TrimSuffix(cfg.BaseURL, "/"),
		// A redirect would turn a POST into a GET and take credentials elsewhere:
		// it is handed back as the answer.
		http: &http.Client{Transport: cfg.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		breaker: gobreaker.NewCircuitBreaker[Answer](breaker(cfg)),
	}, nil
}

func breaker(cfg Config) gobreaker.Settings {
	s := gobreaker.Settings{
		Name:         cfg.Name,
		Interval:     10 * time.Second,
		BucketPeriod: time.Second,
		Timeout:      cfg.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.TotalFailures >= cfg.OpenAfter && 2*c.TotalFailures >= c.Requests
		},
		// The caller who stops (shutdown) says nothing about the other side.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	}
	if cfg.OnStateChange != nil {
		s.OnStateChange = func(name string, from, to gobreaker.State) {
			cfg.OnStateChange(name, from.String(), to.String())
		}
	}
	return s
}

// Open says whether the breaker refuses calls at the moment.
func (c *Client) Open() bool { return c.breaker.State() == gobreaker.StateOpen }

// Do makes one call. Its error wraps ErrNotSent (no connection, breaker open,
// 429) or ErrUnknown (time-out or a cut connection after one was had, 5xx, 408);
// it wraps the context's error too when that ended the call.
func (c *Client) Do(ctx context.Context, call Call) (Answer, error) {
	answer, err := c.breaker.Execute(func() (Answer, error) { return c.once(ctx, call) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return Answer{}, fmt.Errorf("call %s: %w: %w", c.cfg.Name, ErrNotSent, err)
	}
	return answer, err
}

// once tells the two errors apart by whether the transport ever got hold of a
// connection for the request.
//
// Why GotConn and not WroteRequest, which would say more exactly that bytes
// went out: WroteRequest runs in the connection's write loop after the bytes are
// flushed. If the deadline passes between flush and hook, RoundTrip returns, the
// flag is read as "not written", and a request that has arrived is taken for one
// that has not: a second charge. GotConn runs in RoundTrip's own goroutine before
// the connection sees the first byte, so an unset flag proves that there were
// none.
//
// Why the flag is never taken back: the transport itself repeats a request with
// an Idempotency-Key when a kept connection breaks under it. The error is then
// that of the last try (say "connection refused", the server having died), yet
// an earlier try may have arrived.
func (c *Client) once(ctx context.Context, call Call) (Answer, error) {
	var sent atomic.Bool
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	req, err := c.request(traced, call)
	if err != nil {
		return Answer{}, fmt.Errorf("call %s: %w: %w", c.cfg.Name, ErrNotSent, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		class := ErrNotSent
		if sent.Load() {
			class = ErrUnknown
		}
		return Answer{}, fmt.Errorf("call %s: %w: %w", c.cfg.Name, class, err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return Answer{}, fmt.Errorf("call %s: %w: read answer: %w", c.cfg.Name, ErrUnknown, err)
	}
	if len(body) > maxAnswer {
		return Answer{}, fmt.Errorf("call %s: %w: answer of more than %d bytes", c.cfg.Name, ErrUnknown, maxAnswer)
	}
	return c.classify(Answer{Status: resp.StatusCode, Body: body})
}

// classify turns the statuses that answer nothing into errors. A 5xx (and 408)
// may come from a proxy before, or from a server after, the work was done; 429
// comes instead of it (RFC 6585).
func (c *Client) classify(a Answer) (Answer, error) {
	switch {
	case a.Status == http.StatusTooManyRequests:
		return Answer{}, fmt.Errorf("call %s: %w: answered %d", c.cfg.Name, ErrNotSent, a.Status)
	case a.Status >= 500 || a.Status == http.StatusRequestTimeout:
		return Answer{}, fmt.Errorf("call %s: %w: answered %d", c.cfg.Name, ErrUnknown, a.Status)
	default:
		return a, nil
	}
}

func (c *Client) request(ctx context.Context, call Call) (*http.Request, error) {
	var body io.Reader
	if call.Body != nil {
		content, err := json.Marshal(call.Body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(content)
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, c.base+call.Path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	for name, values := range c.cfg.Header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if call.Key != "" {
		req.Header.Set("Idempotency-Key", call.Key)
	}
	return req, nil
}
