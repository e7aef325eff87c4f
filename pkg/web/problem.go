package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// MediaTypeProblem is the content type of every error answer (RFC 9457).
const MediaTypeProblem = "application/problem+json"

// Problem is the body of every error answer: RFC 9457 with the members code, errors, requestId and retryable.
type Problem struct {
	// Type is a link to the code's documentation.
	Type      string             `json:"type"`
	Title     string             `json:"title"`
	Status    int                `json:"status"`
	Detail    string             `json:"detail,omitempty"`
	Code      string             `json:"code"`
	Errors    []fault.FieldError `json:"errors,omitempty"`
	RequestID string             `json:"requestId"`
	Retryable bool               `json:"retryable"`
}

// statusClientGone is only seen in logs and metrics: nobody is left to read an answer. The number is nginx's.
const statusClientGone = 499

type problems struct {
	docs   string
	log    *slog.Logger
	routes *routes
}

// handle answers every error that a handler or middleware returned. It is the one place where an error becomes text
// for strangers, so an unknown error gives no text at all; its own text goes to the log under the request id.
func (p *problems) handle(err error, c echo.Context) {
	if c.Response().Committed {
		// Too late for another answer (a stream, or a body half written): only the log can tell.
		p.log.WarnContext(c.Request().Context(), "error after the answer had begun", "requestId", RequestID(c), "error", err)
		return
	}
	if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		// Written all the same: an answer nobody wrote would go out as 200 if somebody were there after all.
		_ = c.NoContent(statusClientGone)
		return
	}
	refusal := p.refusal(err, c)
	switch {
	case refusal.Code == fault.CodeInternal:
		p.log.ErrorContext(c.Request().Context(), "request failed", "requestId", RequestID(c), "route", c.Path(), "error", err)
	case fault.Outage(err):
		p.log.WarnContext(c.Request().Context(), "request not answered", "requestId", RequestID(c), "route", c.Path(), "error", err)
	}
	if err := p.write(c, refusal); err != nil {
		p.log.DebugContext(c.Request().Context(), "problem not delivered", "requestId", RequestID(c), "error", err)
	}
}

func (p *problems) refusal(err error, c echo.Context) *fault.Refusal {
	var refusal *fault.Refusal
	var tooLarge *http.MaxBytesError
	var he *echo.HTTPError
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.As(err, &tooLarge):
		return fault.Of(fault.CodeBodyTooLarge, "The body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes.")
	case errors.As(err, &he):
		return p.fromEcho(he, c)
	case errors.Is(err, os.ErrDeadlineExceeded) && c.Request().Context().Err() == nil:
		return fault.Of(fault.CodeRequestTimeout, "The request did not arrive in time.")
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Unavailable(fault.CodeServiceUnavailable, "The answer took too long.", time.Second)
	case fault.Outage(err):
		return fault.Unavailable(fault.CodeServiceUnavailable, "Something that is needed for the answer is away at the moment.", time.Second)
	default:
		return fault.Of(fault.CodeInternal, "")
	}
}

// fromEcho translates the router's own errors. Their messages are not passed on: they are the library's words.
func (p *problems) fromEcho(he *echo.HTTPError, c echo.Context) *fault.Refusal {
	switch he.Code {
	case http.StatusNotFound:
		if allow := p.routes.allowed(c); allow != "" {
			c.Response().Header().Set(echo.HeaderAllow, allow)
			return fault.Of(fault.CodeMethodNotAllowed, "")
		}
		return fault.NotFound()
	case http.StatusMethodNotAllowed:
		return fault.Of(fault.CodeMethodNotAllowed, "")
	case http.StatusUnauthorized:
		return fault.Unauthorized("")
	case http.StatusForbidden:
		return fault.Forbidden("")
	case http.StatusRequestEntityTooLarge:
		return fault.Of(fault.CodeBodyTooLarge, "")
	case http.StatusUnsupportedMediaType:
		return fault.Of(fault.CodeUnsupportedMediaType, "")
	case http.StatusServiceUnavailable:
		return fault.Unavailable(fault.CodeServiceUnavailable, "", time.Second)
	}
	if he.Code >= 400 && he.Code < 500 {
		return fault.New(he.Code, fault.CodeInvalidParameter, "")
	}
	return fault.Of(fault.CodeInternal, "")
}

func (p *problems) write(c echo.Context, r *fault.Refusal) error {
	h := c.Response().Header()
	if r.Status == http.StatusUnauthorized && h.Get(echo.HeaderWWWAuthenticate) == "" {
		h.Set(echo.HeaderWWWAuthenticate, `Bearer realm="quadrille"`)
	}
	if seconds := retrySeconds(r); seconds > 0 {
		h.Set(echo.HeaderRetryAfter, strconv.Itoa(seconds))
	}
	h.Set("Cache-Control", "no-store")
	h.Del("Etag")
	if c.Request().Method == http.MethodHead {
		return c.NoContent(r.Status)
	}
	body, err := json.Marshal(Problem{
		Type: p.docs + r.Code, Title: r.Title, Status: r.Status, Detail: r.Detail, Code: r.Code,
		Errors: r.Errors, RequestID: RequestID(c), Retryable: r.Retryable,
	})
	if err != nil {
		return err
	}
	return c.Blob(r.Status, MediaTypeProblem, body)
}

// retrySeconds gives 429 and 503 always a Retry-After, as API.md promises; other answers only if the refusal says so.
func retrySeconds(r *fault.Refusal) int {
	seconds := int(math.Ceil(r.RetryAfter.Seconds()))
	if seconds < 1 && (r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable) {
		return 1
	}
	return seconds
}
