package host

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/telemetry"
	"github.com/quadrille-io/quadrille/pkg/web"
)

// Routes adds a service's routes to its edge.
type Routes[W any] func(e *echo.Echo, h *Host[W])

// listLimit bounds the operators' lists.
const listLimit = 1000

// routes adds the service's own routes and those that every service has for its operators; the gateway
// joins the latter of all services under /ops.
func (h *Host[W]) routes(e *echo.Echo) {
	internal := e.Group("/internal/v1", web.Auth(h.Verifier), web.RequireRole(web.RoleOperator))
	internal.GET("/failures", h.listFailures)
	internal.POST("/failures/replay", h.replayFailures)
	internal.GET("/subscription", h.subscription)
	internal.POST("/subscription/resume", h.resume)
	internal.POST("/events/resend", h.resend)
	e.GET("/ops/v1/books/"+h.Name+"/:book", h.getBook, web.Auth(h.Verifier), web.RequireRole(web.RoleOperator))
	if h.parts.Routes != nil {
		h.parts.Routes(e, h)
	}
}

func (h *Host[W]) listFailures(c echo.Context) error {
	failures, err := h.Engine.Failures(c.Request().Context(), listLimit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, web.List[engine.Failure]{Data: failures})
}

// ReplayFilter picks parked subjects. Empty fields match all; at least one must be set.
type ReplayFilter struct {
	Service string `json:"service"`
	Group   string `json:"group"`
	Subject string `json:"subject"`
}

// ReplayRequest asks for a replay of all that match.
type ReplayRequest struct {
	Filter ReplayFilter `json:"filter"`
	DryRun bool         `json:"dryRun"`
	Reason string       `json:"reason"`
}

// ReplayResult is what became of one parked subject.
type ReplayResult struct {
	Service string `json:"service"`
	Subject string `json:"subject"`
	Group   string `json:"group"`
	// Outcome is "matched" (dry run), "replayed" or "failed".
	Outcome string `json:"outcome"`
	Events  int    `json:"events"`
	Error   string `json:"error,omitempty"`
}

func (f ReplayFilter) matches(x engine.Failure) bool {
	return (f.Service == "" || f.Service == x.Service) && (f.Group == "" || f.Group == x.Group()) &&
		(f.Subject == "" || f.Subject == x.Subject)
}

func (h *Host[W]) replayFailures(c echo.Context) error {
	var req ReplayRequest
	if err := web.Decode(c, &req); err != nil {
		return err
	}
	if req.Filter == (ReplayFilter{}) {
		return fault.Invalid(fault.FieldError{Pointer: "/filter", Code: "missing_field", Detail: "name a service, a group or a subject"})
	}
	ctx := c.Request().Context()
	failures, err := h.Engine.Failures(ctx, listLimit)
	if err != nil {
		return err
	}
	results := []ReplayResult{}
	for _, f := range slices.DeleteFunc(failures, func(f engine.Failure) bool { return !req.Filter.matches(f) }) {
		r := ReplayResult{Service: h.Name, Subject: f.Subject, Group: f.Group(), Outcome: "matched", Events: f.Queued}
		if !req.DryRun {
			r.Events, err = h.Engine.Replay(ctx, f.Subject)
			switch {
			case err == nil, errors.Is(err, engine.ErrNotParked):
				r.Outcome = "replayed"
			default:
				r.Outcome, r.Error = "failed", err.Error()
			}
		}
		results = append(results, r)
	}
	if !req.DryRun && len(results) > 0 {
		// The reason is a person's own words and stays in the gateway's audit, under the same request id.
		h.Log.Info("replay asked for", "operator", web.Caller(c).Subject, "requestId", web.RequestID(c), "subjects", len(results))
	}
	return c.JSON(http.StatusOK, web.List[ReplayResult]{Data: results})
}

func (h *Host[W]) subscription(c echo.Context) error {
	state, err := h.Engine.Subscription(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, state)
}

func (h *Host[W]) resume(c echo.Context) error {
	if err := h.Engine.Resume(c.Request().Context()); err != nil {
		return err
	}
	h.Log.Info("stopped partitions resumed", "operator", web.Caller(c).Subject)
	return c.NoContent(http.StatusNoContent)
}

// getBook answers a page of one of the service's books.
func (h *Host[W]) getBook(c echo.Context) error {
	book := h.parts.Books[c.Param("book")]
	if c.Param("book") == "queues" {
		book = h.queues
	}
	if book == nil {
		return fault.NotFound()
	}
	q, err := bookQuery(c)
	if err != nil {
		return err
	}
	page, err := h.readBook(c.Request().Context(), book, q)
	if tooLong(err) {
		return fault.Unavailable(fault.CodeServiceUnavailable, "The page took too long to read.", time.Second)
	}
	if err != nil {
		return fmt.Errorf("read the book %s: %w", c.Param("book"), err)
	}
	return c.JSON(http.StatusOK, page)
}

func bookQuery(c echo.Context) (BookQuery, error) {
	q := BookQuery{After: c.QueryParam("startingAfter"), IDs: c.QueryParams()["id"], Limit: maxBookPage}
	if text := c.QueryParam("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxBookPage {
			return q, web.InvalidParameter("limit", fmt.Sprintf("limit must be an integer from 1 to %d.", maxBookPage))
		}
		q.Limit = limit
	}
	if len(q.IDs) > maxBookIDs {
		return q, web.InvalidParameter("id", fmt.Sprintf("At most %d ids can be asked for at once.", maxBookIDs))
	}
	for _, id := range append(q.IDs[:len(q.IDs):len(q.IDs)], q.After) {
		if !web.Printable(id, 255) {
			return q, web.InvalidParameter("id", "id and startingAfter are keys of at most 255 printable characters.")
		}
	}
	return q, nil
}

// ResendRequest asks for an event of the service's own to be published again. Reason is for the audit.
type ResendRequest struct {
	EventID string `json:"eventId"`
	engine.Place
	Reason string `json:"reason"`
}

func (h *Host[W]) resend(c echo.Context) error {
	var r ResendRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	var bad web.Fields
	bad.Missing("/eventId", r.EventID == "")
	bad.Missing("/topic", r.Topic == "")
	bad.Invalid("/topic", r.Topic != "" && !slices.Contains(h.publishes(), r.Topic), "The service does not publish there.")
	if err := bad.Err(); err != nil {
		return err
	}
	event, err := h.Engine.Published(c.Request().Context(), r.EventID, r.Place)
	if err != nil {
		return err
	}
	h.Log.Info("event published again", "operator", web.Caller(c).Subject, "requestId", web.RequestID(c), "event", r.EventID, "subject", event.SubjectID)
	return h.Command(c, r, event, "")
}

// Request makes of an authenticated request what lets it be sent twice: who sends it, its Idempotency-Key, and a hash
// over what it means, for which body is the decoded one. The command is left to the caller.
func Request(c echo.Context, body any) (engine.Request, error) {
	key, err := web.IdempotencyKey(c)
	if err != nil {
		return engine.Request{}, err
	}
	hash, err := bodyHash(c.Request().Method, c.Request().URL.Path, body)
	if err != nil {
		return engine.Request{}, err
	}
	return engine.Request{Member: web.Caller(c).Subject, Key: key, BodyHash: hash}, nil
}

// bodyHash tells two requests under one key apart by route and meaning: as it is made over the decoded body, spaces,
// the order of fields, and null against absent make no difference.
func bodyHash(method, path string, body any) ([]byte, error) {
	canonical, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("hash the request: %w", err)
	}
	sum := sha256.Sum256([]byte(method + " " + path + "\n" + string(canonical)))
	return sum[:], nil
}

// Command is [Host.Do] for a command that says all that its request's decoded body does: under the caller's own
// Idempotency-Key, if there is one.
func (h *Host[W]) Command(c echo.Context, body any, command flow.Command, location string) error {
	r, err := Request(c, body)
	if err != nil {
		return err
	}
	r.Command = command
	return h.Do(c, r, location)
}

// Do puts a command through the engine and answers the request with its reply: JSON, or a problem. A
// Location is set where location is not empty.
func (h *Host[W]) Do(c echo.Context, r engine.Request, location string) error {
	answer, err := h.Decide(c, r)
	if err != nil {
		return err
	}
	return Respond(c, answer, location)
}

// Decide is Do without the response.
func (h *Host[W]) Decide(c echo.Context, r engine.Request) (engine.Answer, error) {
	r.TraceParent = telemetry.Inject(c.Request().Context())
	answer, err := h.Engine.Do(c.Request().Context(), r)
	if err != nil {
		return answer, err
	}
	if answer.Replayed {
		c.Response().Header().Set("Idempotency-Replayed", "true")
	}
	if answer.Refusal != nil {
		return answer, answer.Refusal
	}
	return answer, nil
}

// Respond writes an answer that is not a refusal.
func Respond(c echo.Context, answer engine.Answer, location string) error {
	if location != "" {
		c.Response().Header().Set(echo.HeaderLocation, location)
	}
	if len(answer.Body) == 0 {
		return c.NoContent(answer.Status)
	}
	return c.JSONBlob(answer.Status, answer.Body)
}
