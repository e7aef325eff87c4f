// Package upstream asks the other services, with the caller's own token: the gateway has no rights of its own.
package upstream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 8 << 20

// Service is one service that can be asked.
type Service struct {
	// Name is the service's name: stock.
	Name      string
	base      string
	transport http.RoundTripper
}

// New returns the service at base, "http://stock:8080".
func New(name, base string, transport http.RoundTripper) (*Service, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("address of %s: %q is not a base URL such as http://%s:8080", name, base, name)
	}
	return &Service{Name: name, base: strings.TrimSuffix(base, "/"), transport: transport}, nil
}

// Caller is on whose behalf a service is asked.
type Caller struct {
	// Authorization is the caller's own header.
	Authorization string
	RequestID     string
	// Address is the caller's own, so that a service that trusts this proxy limits the caller and not the gateway.
	Address string
	// ContentType of a body that is passed on as it came; "" is JSON.
	ContentType string
}

// Answer is what a service said.
type Answer struct {
	Status int
	// Type is the body's content type.
	Type string
	Body []byte
}

// OK tells a 2xx answer.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Refusal makes a refusal of an answer that is a problem document, so that the caller is told what the service said.
func (a Answer) Refusal() error {
	var p web.Problem
	if json.Unmarshal(a.Body, &p) != nil || p.Code == "" || a.Status < 400 {
		return fmt.Errorf("answered %d without a problem document", a.Status)
	}
	r := fault.New(a.Status, p.Code, p.Detail, p.Errors...)
	r.Retryable = p.Retryable
	return r
}

// ErrUnreachable says that a service gave no answer, or answered 502 to 504.
var ErrUnreachable = errors.New("service does not answer")

// Ask sends one request and reads its answer, for at most timeout.
func (s *Service) Ask(ctx context.Context, c Caller, timeout time.Duration, method, path string, body []byte) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w", s.Name, err)
	}
	if c.Authorization != "" {
		req.Header.Set("Authorization", c.Authorization)
	}
	if c.Address != "" {
		req.Header.Set("X-Forwarded-For", c.Address)
	}
	if body != nil {
		req.Header.Set("Content-Type", cmp.Or(c.ContentType, "application/json"))
	}
	req.Header.Set(web.HeaderRequestID, c.RequestID)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	res, err := s.transport.RoundTrip(req)
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w: %w", s.Name, ErrUnreachable, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w: %w", s.Name, ErrUnreachable, err)
	}
	if res.StatusCode >= http.StatusBadGateway && res.StatusCode <= http.StatusGatewayTimeout {
		return Answer{}, fmt.Errorf("ask %s: %w: %s", s.Name, ErrUnreachable, res.Status)
	}
	return Answer{Status: res.StatusCode, Type: res.Header.Get("Content-Type"), Body: raw}, nil
}

// Read asks for JSON and decodes it into dst. A problem document comes back as a *fault.Refusal.
func (s *Service) Read(ctx context.Context, c Caller, timeout time.Duration, path string, dst any) error {
	return s.Send(ctx, c, timeout, http.MethodGet, path, nil, dst)
}

// Send is Read with a method and a body.
func (s *Service) Send(ctx context.Context, c Caller, timeout time.Duration, method, path string, body []byte, dst any) error {
	answer, err := s.Ask(ctx, c, timeout, method, path, body)
	if err != nil {
		return err
	}
	if !answer.OK() {
		return fmt.Errorf("ask %s: %w", s.Name, answer.Refusal())
	}
	if dst == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Body, dst); err != nil {
		return fmt.Errorf("ask %s: read its answer: %w", s.Name, err)
	}
	return nil
}
