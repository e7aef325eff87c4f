package outward

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxBody is how much of an answer is read, in bytes: enough for the connection to be used again.
	maxBody = 16 << 10
	// drainFor is how long an answer's body is read once its status is known. Nothing depends on it.
	drainFor = time.Second
	// longestError bounds the text of an error, in bytes.
	longestError = 300
)

// Client posts deliveries. It follows no redirect and uses no proxy, and connects to nothing that its Policy does not
// let through.
type Client struct {
	http *http.Client
}

// NewClient makes a client; roots are the authorities it believes, nil those of the machine.
func NewClient(p Policy, roots *x509.CertPool) *Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: p.control}
	return &Client{http: &http.Client{
		Transport: &http.Transport{
			// No Proxy: one would connect in our stead, to whatever it is told.
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    5 * time.Second,
			MaxResponseHeaderBytes: maxBody,
			MaxIdleConns:           200,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Post sends one body and returns the status of the answer; ctx bounds it. An error means that there was no answer.
// Its text is for operators and has neither the URL, which may hold a secret, nor anything that the receiver wrote.
func (c *Client) Post(ctx context.Context, url string, header http.Header, body []byte) (status int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the URL cannot be requested")
	}
	request.Header = header
	response, err := c.http.Do(request)
	if err != nil {
		return 0, explain(err)
	}
	defer response.Body.Close()
	// Whoever writes his answer one byte a minute has still answered, and must not keep us for it.
	slow := time.AfterFunc(drainFor, cancel)
	defer slow.Stop()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody))
	return response.StatusCode, nil
}

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func explain(err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	text := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "?"), "\x00", "?")
	if len(text) > longestError {
		text = strings.ToValidUTF8(text[:longestError], "") + "..."
	}
	return &failure{text: text, err: err}
}

// failure is an error with a text that can be shown.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.err }
