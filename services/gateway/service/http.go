package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/console"
	"github.com/quadrille-io/quadrille/services/gateway/internal/repair"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
	"github.com/quadrille-io/quadrille/services/gateway/openapi"
)

// access says who is let through before a request is passed on. The service behind checks again.
type access int

const (
	public   access = iota // no token needed: the catalogue, providers' webhooks
	member                 // any valid token
	operator               // role operator; every change is audited
)

// passed lists what is answered by the service that owns it, under the same path.
var passed = []struct {
	method, path, service string
	access                access
}{
	{http.MethodPost, "/api/v1/orders", "order", member},
	{http.MethodGet, "/api/v1/orders", "order", member},
	{http.MethodGet, "/api/v1/orders/:orderId", "order", member},
	{http.MethodPatch, "/api/v1/orders/:orderId", "order", member},
	{http.MethodPost, "/api/v1/orders/:orderId/cancel", "order", member},
	{http.MethodGet, "/ops/v1/orders", "order", operator},
	{http.MethodGet, "/api/v1/cart", "order", member},
	{http.MethodPut, "/api/v1/cart/items/:productId", "order", member},
	{http.MethodDelete, "/api/v1/cart/items/:productId", "order", member},
	{http.MethodPost, "/api/v1/cart/order", "order", member},

	{http.MethodGet, "/api/v1/products", "stock", public},
	{http.MethodGet, "/api/v1/products/:productId", "stock", public},
	{http.MethodPost, "/ops/v1/products", "stock", operator},
	{http.MethodPatch, "/ops/v1/products/:productId", "stock", operator},
	{http.MethodPost, "/ops/v1/products/:productId/restock", "stock", operator},
	{http.MethodPost, "/ops/v1/products/:productId/recount", "stock", operator},
	{http.MethodGet, "/ops/v1/products/:productId/movements", "stock", operator},

	{http.MethodGet, "/api/v1/coupons", "coupon", member},
	{http.MethodPost, "/api/v1/coupon-policies/:policyId/issue", "coupon", member},
	{http.MethodGet, "/ops/v1/coupon-policies", "coupon", operator},
	{http.MethodPost, "/ops/v1/coupon-policies", "coupon", operator},
	{http.MethodPost, "/ops/v1/coupon-policies/:policyId/recount", "coupon", operator},

	{http.MethodPost, "/api/v1/members", "member", public},
	{http.MethodPost, "/api/v1/sessions", "member", public},
	{http.MethodGet, "/api/v1/members/me", "member", member},
	{http.MethodPatch, "/api/v1/members/me", "member", member},
	{http.MethodDelete, "/api/v1/members/me", "member", member},
	{http.MethodGet, "/api/v1/members/me/addresses", "member", member},
	{http.MethodPost, "/api/v1/members/me/addresses", "member", member},
	{http.MethodPatch, "/api/v1/members/me/addresses/:addressId", "member", member},
	{http.MethodDelete, "/api/v1/members/me/addresses/:addressId", "member", member},

	{http.MethodGet, "/api/v1/points", "payment", member},
	{http.MethodPost, "/ops/v1/points/grants", "payment", operator},
	{http.MethodPost, "/ops/v1/points/recount", "payment", operator},

	{http.MethodGet, "/ops/v1/dataplatform", "dataplatform", operator},
	{http.MethodPost, "/ops/v1/dataplatform/replay", "dataplatform", operator},

	{http.MethodGet, "/api/v1/orders/:orderId/payment", "payment", member},
	{http.MethodPost, "/webhooks/payments/:provider", "payment", public},
	{http.MethodGet, "/ops/v1/payments/reconciliations", "payment", operator},
	{http.MethodPost, "/ops/v1/payments/reconciliations", "payment", operator},

	{http.MethodGet, "/api/v1/orders/:orderId/shipment", "shipping", member},
	{http.MethodPost, "/webhooks/shipping/:carrier", "shipping", public},
	{http.MethodPost, "/webhooks/mail/bounces", "mailer", public},

	{http.MethodGet, "/ops/v1/webhooks", "webhook", operator},
	{http.MethodPost, "/ops/v1/webhooks", "webhook", operator},
	{http.MethodGet, "/ops/v1/webhooks/:webhookId", "webhook", operator},
	{http.MethodPatch, "/ops/v1/webhooks/:webhookId", "webhook", operator},
	{http.MethodDelete, "/ops/v1/webhooks/:webhookId", "webhook", operator},
	{http.MethodPost, "/ops/v1/webhooks/:webhookId/rotate-secret", "webhook", operator},
	{http.MethodGet, "/ops/v1/webhooks/:webhookId/attempts", "webhook", operator},
	{http.MethodPost, "/ops/v1/webhooks/:webhookId/resend", "webhook", operator},
	{http.MethodPost, "/ops/v1/webhooks/:webhookId/recover", "webhook", operator},
	{http.MethodPost, "/ops/v1/webhooks/:webhookId/test", "webhook", operator},
}

// routes adds everything the gateway serves. An address that cannot be one was refused before, so a failure here is a
// mistake in this file.
func (s *server) routes(e *echo.Echo, h *host.Host[gateway.World]) {
	s.host, s.watch.pool = h, h.Pool
	own, err := upstream.New("gateway", "http://gateway", upstream.Local{Handler: e})
	if err != nil {
		panic(err)
	}
	s.services["gateway"] = own
	guards := map[access][]echo.MiddlewareFunc{
		public:   nil,
		member:   {web.Auth(h.Verifier)},
		operator: {web.Auth(h.Verifier), web.RequireRole(web.RoleOperator), s.audited},
	}
	bases := s.bases()
	for _, p := range passed {
		e.Add(p.method, p.path, s.pass(bases[p.service]), guards[p.access]...)
	}
	e.POST("/api/v1/orders/preview", s.postPreview, guards[member]...)
	e.GET("/api/v1/orders/:orderId/events", s.getEvents, guards[member]...)
	e.GET("/ops/v1/failures", s.getFailures, guards[operator]...)
	e.POST("/ops/v1/failures/replay", s.postReplay, guards[operator]...)
	e.GET("/ops/v1/subscriptions", s.getSubscriptions, guards[operator]...)
	e.POST("/ops/v1/subscriptions/:service/resume", s.postResume, guards[operator]...)
	e.GET("/ops/v1/topology", func(c echo.Context) error { return c.JSON(http.StatusOK, topology()) }, guards[operator]...)
	e.GET("/ops/v1/audit", s.getAudit, guards[operator]...)
	repair.Parts{Pool: h.Pool, Services: s.services, Caller: caller}.Routes(e, guards[operator]...)
	openapi.Routes(e)
	console.Routes(e, s.console())
}

// pass hands a request on to the service at base; "" is one that this shop does not have. An address that cannot be one
// was refused before.
func (s *server) pass(base string) echo.HandlerFunc {
	if base == "" {
		return func(echo.Context) error {
			return fault.Unavailable(fault.CodeServiceUnavailable, "The service is not part of this installation.", time.Minute)
		}
	}
	pass, err := web.Proxy(base, s.transport)
	if err != nil {
		panic(err)
	}
	return pass
}

// caller is on whose behalf the other services are asked.
func caller(c echo.Context) upstream.Caller {
	return upstream.Caller{
		Authorization: c.Request().Header.Get(echo.HeaderAuthorization), RequestID: web.RequestID(c),
		Address: c.RealIP(), ContentType: c.Request().Header.Get(echo.HeaderContentType),
	}
}

func (s *server) postPreview(c echo.Context) error {
	body, err := web.Body(c)
	if err != nil {
		return err
	}
	whole, err := s.preview(c.Request().Context(), caller(c), web.Caller(c).Subject, body)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, whole)
}

// getEvents answers an order's timeline, as a list or live.
func (s *server) getEvents(c echo.Context) error {
	ctx, id := c.Request().Context(), c.Param("orderId")
	if uuid.Validate(id) != nil {
		return fault.NotFound()
	}
	version, err := s.versionOf(ctx, caller(c), web.Caller(c), id)
	if err != nil {
		return err
	}
	events, err := s.completed(ctx, id, version)
	if err != nil {
		return err
	}
	if web.WantsStream(c) {
		return s.follow(c, id, events)
	}
	return c.JSON(http.StatusOK, web.List[gateway.Line]{Data: gateway.Explain(events)})
}

// follow sends a timeline live and ends when the order is settled and all of it has been sent. A client that comes
// back to a settled order and has everything is answered 204, which tells an EventSource not to come again.
func (s *server) follow(c echo.Context, id string, events []gateway.Event) error {
	f := newFollower(web.LastEventID(c))
	lines, holding := f.next(events, time.Now())
	if len(lines) == 0 && !holding && gateway.Fold(id, events).Settled() {
		return c.NoContent(http.StatusNoContent)
	}
	changed, stop := s.watch.watch(id)
	defer stop()
	stream, err := web.Stream(c)
	if err != nil {
		return nil // the client has gone
	}
	heartbeat := time.NewTicker(web.HeartbeatInterval)
	defer heartbeat.Stop()
	for asked := false; ; {
		for _, line := range lines {
			if stream.Send(line.ID, "", line) != nil {
				return nil // the client has gone
			}
		}
		settled := gateway.Fold(id, events).Settled()
		switch {
		case settled && asked && !holding:
			return nil
		case settled && !asked:
			// What ended the order may have overtaken what went before it: the order knows how many there are.
			asked = true
			events, err = s.all(c, id)
		case !waited(stream, changed, heartbeat.C, holding):
			return nil
		default:
			asked = asked && settled
			events, err = store.Timeline(c.Request().Context(), s.host.Pool, id)
		}
		if err != nil {
			return fmt.Errorf("follow an order: %w", err)
		}
		lines, holding = f.next(events, time.Now())
	}
}

// all returns the order's events once they are complete, at most two seconds later.
func (s *server) all(c echo.Context, id string) ([]gateway.Event, error) {
	version, err := s.versionOf(c.Request().Context(), caller(c), web.Caller(c), id)
	if err != nil {
		version = 0 // the token has expired meanwhile: what is there has to do
	}
	return s.completed(c.Request().Context(), id, version)
}

// waited returns when there may be something new, soon where an event is held back, and false when the stream has to
// end.
func waited(stream *web.EventStream, changed <-chan struct{}, heartbeat <-chan time.Time, holding bool) bool {
	var again <-chan time.Time
	if holding {
		again = time.After(watchEvery)
	}
	for {
		select {
		case <-changed:
			return true
		case <-again:
			return true
		case <-stream.Done():
			return false
		case <-stream.Draining():
			return false
		case <-heartbeat:
			if stream.Heartbeat() != nil {
				return false
			}
		}
	}
}

func (s *server) getFailures(c echo.Context) error {
	list, err := s.failures(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, list)
}

func (s *server) postReplay(c echo.Context) error {
	var req host.ReplayRequest
	if err := web.Decode(c, &req); err != nil {
		return err
	}
	if req.Filter == (host.ReplayFilter{}) {
		return fault.Invalid(fault.FieldError{
			Pointer: "/filter", Code: fault.CodeMissingField, Detail: "Name a service, a group or a subject.",
		})
	}
	list, err := s.replay(c.Request().Context(), caller(c), req)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, list)
}

func (s *server) getSubscriptions(c echo.Context) error {
	list, err := s.subscriptions(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, list)
}

func (s *server) postResume(c echo.Context) error {
	// The reason alone is taken, and the audit has it already; anything else is a mistake of the caller.
	var body struct {
		Reason *string `json:"reason"`
	}
	if err := web.DecodeOptional(c, &body); err != nil {
		return err
	}
	if err := s.resume(c.Request().Context(), caller(c), c.Param("service")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *server) getAudit(c echo.Context) error {
	page, err := web.PageOf(c)
	if err != nil {
		return err
	}
	// A UUID can also be spelled as a URN, or in braces; the database reads the plain form.
	if page.StartingAfter != "" && (len(page.StartingAfter) != len(uuid.Nil.String()) || uuid.Validate(page.StartingAfter) != nil) {
		return fault.Of(fault.CodeInvalidParameter, "startingAfter must be the id of an entry.")
	}
	entries, err := store.Audit(c.Request().Context(), s.host.Pool, page.StartingAfter, page.Limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, web.NewList(entries, page.Limit))
}

// audited records every change an operator asks for: before it is done, so that none can be done without a record, and
// how it was answered after.
func (s *server) audited(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return next(c)
		}
		reason, err := reasonOf(c)
		if err != nil {
			return err
		}
		id := uuid.Must(uuid.NewV7()).String()
		if err := store.BeginAudit(r.Context(), s.host.Pool, store.AuditEntry{
			ID: id, Operator: web.Caller(c).Subject, Method: r.Method, Path: r.URL.EscapedPath(), Reason: reason,
			RequestID: web.RequestID(c),
		}); err != nil {
			return err
		}
		if err := next(c); err != nil {
			c.Error(err) // answered here, so that the status is known
		}
		// The operator may have gone: what became of the change is recorded all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), askTimeout)
		defer cancel()
		if err := store.EndAudit(ctx, s.host.Pool, id, c.Response().Status); err != nil {
			s.host.Log.WarnContext(r.Context(), "audit", "id", id, "error", err)
		}
		return nil
	}
}

// longestReason bounds a reason, in characters.
const longestReason = 500

// reasonOf reads the member "reason" of the body, "" if there is none, and leaves the body to be read again.
func reasonOf(c echo.Context) (string, error) {
	body, err := web.Body(c)
	if err != nil {
		return "", err
	}
	c.Request().Body = io.NopCloser(bytes.NewReader(body))
	var said struct {
		Reason any `json:"reason"`
	}
	if json.Unmarshal(body, &said) != nil {
		return "", nil // not ours to refuse: the handler says what is wrong with it
	}
	if text, is := said.Reason.(string); is && utf8.RuneCountInString(text) > longestReason {
		return "", fault.Invalid(fault.FieldError{
			Pointer: "/reason", Code: fault.CodeInvalidField, Detail: fmt.Sprintf("The reason is at most %d characters.", longestReason),
		})
	}
	reason, _ := said.Reason.(string)
	return strings.ToValidUTF8(strings.ReplaceAll(reason, "\x00", ""), ""), nil
}
