// Package rest is a small client of the project's own REST API: JSON in and out, problem documents as
// errors, server-sent events. The command line, the seeding of `quadrille up` and the integration
// tests speak to a running system through it, as any front end would.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Client calls one base URL, as one caller. The zero Token is no token.
type Client struct {
	// BaseURL is without a slash at the end: http://127.0.0.1:8080.
	BaseURL string
	Token   string
	// HTTP is http.DefaultClient if nil. It has no time limit of its own: the context bounds a call.
	HTTP *http.Client
}

// As returns the same client with another token.
func (c Client) As(token string) Client {
	c.Token = token
	return c
}

// Request is one call. Body is marshalled to JSON unless it is a []byte, which is sent as it is.
type Request struct {
	Method string
	// Path begins with a slash and may have a query.
	Path   string
	Body   any
	Header map[string]string
}

// Response is an answer that was read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// ErrUnreachable is wrapped by the errors of calls that no server answered.
var ErrUnreachable = errors.New("not reachable")

// Problem is an RFC 9457 problem document: what a refusal or failure is answered with.
type Problem struct {
	Status    int          `json:"status"`
	Code      string       `json:"code"`
	Title     string       `json:"title"`
	Detail    string       `json:"detail"`
	Errors    []FieldError `json:"errors"`
	RequestID string       `json:"requestId"`
	Retryable bool         `json:"retryable"`
}

// FieldError is one field of the request that was refused.
type FieldError struct {
	Pointer string `json:"pointer"` // RFC 6901
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// Error says what a person needs: the code, the detail, and the fields.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", p.Status, p.Code)
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	for _, f := range p.Errors {
		fmt.Fprintf(&b, "\n  %s: %s", f.Pointer, f.Detail)
	}
	if p.RequestID != "" {
		b.WriteString("\n  request " + p.RequestID)
	}
	return b.String()
}

// Do sends a request and reads the answer, whatever its status. It fails only if there was none.
func (c Client) Do(ctx context.Context, r Request) (Response, error) {
	res, err := c.open(ctx, r)
	if err != nil {
		return Response{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return Response{}, fmt.Errorf("read the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return Response{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

// Call is Do that decodes a 2xx answer into out (unless nil), and returns every other as a *Problem.
func (c Client) Call(ctx context.Context, r Request, out any) (Response, error) {
	res, err := c.Do(ctx, r)
	if err != nil {
		return res, err
	}
	if res.Status < 200 || res.Status > 299 {
		return res, res.Problem()
	}
	if out == nil {
		return res, nil
	}
	if err := json.Unmarshal(res.Body, out); err != nil {
		return res, fmt.Errorf("decode the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return res, nil
}

// Get is Call for a GET.
func (c Client) Get(ctx context.Context, path string, out any) error {
	_, err := c.Call(ctx, Request{Method: http.MethodGet, Path: path}, out)
	return err
}

// Post is Call for a POST.
func (c Client) Post(ctx context.Context, path string, body, out any) error {
	_, err := c.Call(ctx, Request{Method: http.MethodPost, Path: path, Body: body}, out)
	return err
}

// Problem reads an answer that is not a 2xx. One that is no problem document becomes one.
func (r Response) Problem() *Problem {
	p := &Problem{}
	if json.Unmarshal(r.Body, p) != nil || p.Status == 0 {
		text := strings.TrimSpace(string(r.Body))
		if len(text) > 200 {
			text = text[:200] + "..."
		}
		return &Problem{Status: r.Status, Code: strings.ToLower(strings.ReplaceAll(http.StatusText(r.Status), " ", "_")), Detail: text}
	}
	return p
}

func (c Client) open(ctx context.Context, r Request) (*http.Response, error) {
	var body io.Reader
	switch given := r.Body.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(given)
	default:
		encoded, err := json.Marshal(given)
		if err != nil {
			return nil, fmt.Errorf("encode the body of %s %s: %w", r.Method, r.Path, err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.BaseURL+r.Path, body)
	if err != nil {
		return nil, fmt.Errorf("make request %s %s: %w", r.Method, r.Path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s%s: %w: %w", r.Method, c.BaseURL, r.Path, ErrUnreachable, err)
	}
	return res, nil
}
