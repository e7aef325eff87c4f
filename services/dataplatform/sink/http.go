package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/quadrille-io/quadrille/services/dataplatform"
)

// maxRetryAfter bounds what a platform may ask for.
const maxRetryAfter = 5 * time.Minute

// HTTPConfig of an HTTP sink.
type HTTPConfig struct {
	// URL takes batches by POST: https, or http on this machine.
	URL string
	// Secret signs them.
	Secret Secret
	// Insecure allows http to other machines: in a network that nobody else is in.
	Insecure bool
	// Timeout of one attempt; default 10 s.
	Timeout time.Duration
}

// HTTP sends batches to a data platform.
type HTTP struct {
	cfg    HTTPConfig
	client *http.Client
}

// NewHTTP checks the configuration; it does not connect.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the data platform's address is not an http or https URL")
	case u.User != nil:
		return nil, errors.New("the data platform's address must not hold a password: batches are signed")
	case u.Scheme == "http" && !cfg.Insecure && !onThisMachine(u.Hostname()):
		return nil, errors.New("http to another machine: everybody on the way could read the facts")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	return &HTTP{cfg: cfg, client: &http.Client{
		Timeout: cfg.Timeout,
		// A redirect would take the facts to somebody who was not configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Deliver sends a batch once. A nil error means that the platform has taken it over; any other may come after it has,
// so the batch is sent again, under the same id.
func (h *HTTP) Deliver(ctx context.Context, b dataplatform.Batch) error {
	body, err := b.JSON()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	now := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "quadrille-dataplatform")
	req.Header.Set(HeaderID, b.ID)
	req.Header.Set(HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(HeaderSignature, h.cfg.Secret.Sign(b.ID, now, body))
	res, err := h.client.Do(req)
	if err != nil {
		return fmt.Errorf("send batch %s: %w", b.ID, bare(err))
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return &RefusedError{Status: res.StatusCode, After: retryAfter(res.Header.Get("Retry-After"))}
	}
	return nil
}

// bare takes the address off an error of the client: its query may hold what is not for logs.
func bare(err error) error {
	var about *url.Error
	if errors.As(err, &about) {
		return about.Err
	}
	return err
}

// retryAfter reads seconds; a date is not worth the trouble.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(min(seconds, 1<<20))*time.Second, maxRetryAfter)
}
