package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Config is what an HTTP edge can be told. The zero value works: direct clients, no browser origins, no rate limits.
type Config struct {
	// TrustedProxies are addresses or CIDR ranges whose X-Forwarded-For is believed. Empty: the peer is the client,
	// and the header is ignored, because anybody can send it.
	TrustedProxies []string `env:"TRUSTED_PROXIES"`
	// Origins may call from a browser: "https://shop.example", or "http://localhost:*" for any port.
	Origins []string `env:"CORS_ORIGINS"`
	// BodyLimit is in bytes; 0 is 64 KiB.
	BodyLimit int64 `env:"HTTP_BODY_LIMIT"`
	// MemberRate and AddressRate are requests per second and caller; 0 is no limit. Their bursts are how many may come
	// at once; 0 is one second's worth.
	MemberRate   float64 `env:"RATE_PER_MEMBER" envDefault:"50"`
	MemberBurst  int     `env:"RATE_PER_MEMBER_BURST"`
	AddressRate  float64 `env:"RATE_PER_ADDRESS" envDefault:"200"`
	AddressBurst int     `env:"RATE_PER_ADDRESS_BURST"`
	// LimitEntries bounds how many callers are remembered per kind; 0 is 20,000.
	LimitEntries int `env:"RATE_ENTRIES"`

	// Timeouts of the connection; 0 is 5 s, 15 s, 45 s and 75 s. Write must outlast `Prefer: wait=30`; streams are exempt.
	ReadHeaderTimeout time.Duration `env:"HTTP_READ_HEADER_TIMEOUT"`
	ReadTimeout       time.Duration `env:"HTTP_READ_TIMEOUT"`
	WriteTimeout      time.Duration `env:"HTTP_WRITE_TIMEOUT"`
	IdleTimeout       time.Duration `env:"HTTP_IDLE_TIMEOUT"`

	// DocsURL is the start of every problem's `type`; the code follows it. "" is "/docs/errors#".
	DocsURL string `env:"PROBLEM_DOCS_URL"`

	// Log gets one line per request; nil is slog's default.
	Log *slog.Logger
	// Registerer gets the request metrics; nil keeps none.
	Registerer prometheus.Registerer
	// Tracer makes a span per request; nil makes none, and still passes a traceparent on.
	Tracer trace.TracerProvider
}

// Validate refuses contradictions by name. run.Load calls it.
func (c *Config) Validate() error {
	var errs []error
	if _, err := prefixes(c.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("TRUSTED_PROXIES: %w", err))
	}
	for _, origin := range c.Origins {
		if err := checkOrigin(origin); err != nil {
			errs = append(errs, fmt.Errorf("CORS_ORIGINS: %w", err))
		}
	}
	if c.MemberRate < 0 || c.AddressRate < 0 {
		errs = append(errs, errors.New("RATE_PER_MEMBER, RATE_PER_ADDRESS: negative; 0 switches a limit off"))
	}
	if c.BodyLimit < 0 {
		errs = append(errs, errors.New("HTTP_BODY_LIMIT: negative; a request without a limit is not offered"))
	}
	if c.WriteTimeout > 0 && c.WriteTimeout <= maxWait {
		errs = append(errs, fmt.Errorf("HTTP_WRITE_TIMEOUT: %s would cut answers to `Prefer: wait=%d`", c.WriteTimeout, int(maxWait.Seconds())))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.BodyLimit = or(c.BodyLimit, 64<<10)
	c.LimitEntries = or(c.LimitEntries, 20_000)
	c.ReadHeaderTimeout = or(c.ReadHeaderTimeout, 5*time.Second)
	c.ReadTimeout = or(c.ReadTimeout, 15*time.Second)
	c.WriteTimeout = or(c.WriteTimeout, 45*time.Second)
	c.IdleTimeout = or(c.IdleTimeout, 75*time.Second)
	c.DocsURL = or(c.DocsURL, "/docs/errors#")
	c.Log = or(c.Log, slog.Default())
	if c.Tracer == nil {
		c.Tracer = noop.NewTracerProvider()
	}
	return c
}

func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// prefixes reads "10.0.0.0/8" and "127.0.0.1" alike.
func prefixes(list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		text = strings.TrimSpace(text)
		if prefix, err := netip.ParsePrefix(text); err == nil {
			out = append(out, prefix.Masked())
			continue
		}
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a CIDR range", text)
		}
		out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return out, nil
}

func checkOrigin(origin string) error {
	plain := strings.TrimSuffix(origin, ":*")
	u, err := url.Parse(plain)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || strings.Contains(plain, "*") {
		return fmt.Errorf("%q is not an origin such as https://shop.example or http://localhost:*", origin)
	}
	return nil
}

// extractor decides who the client is. Without trusted proxies the peer's address is the only thing that cannot be
// made up; with them, X-Forwarded-For is walked from the right until an address that is not one of ours. echo would
// also trust loopback and private ranges by default: in a cluster that is everybody, so it is switched off.
func extractor(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, prefix := range trusted {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP:   prefix.Addr().AsSlice(),
			Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}
