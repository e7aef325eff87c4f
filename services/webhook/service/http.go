package service

import (
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/webhook"
	"github.com/quadrille-io/quadrille/services/webhook/internal/directory"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
	"github.com/quadrille-io/quadrille/services/webhook/sign"
)

func (s *server) routes(e *echo.Echo, h *host.Host[webhook.World]) {
	s.host = h
	s.directory.Log, s.sender.Log = h.Log, h.Log
	if err := s.sender.Measure(h.Registerer, h.Pool); err != nil {
		panic(err) // a name that is taken: a mistake of the programmer
	}
	ops := e.Group("/ops/v1/webhooks", web.Auth(h.Verifier), web.RequireRole(web.RoleOperator))
	ops.POST("", s.create)
	ops.GET("", s.list)
	ops.GET("/:webhookId", s.get)
	ops.PATCH("/:webhookId", s.update)
	ops.DELETE("/:webhookId", s.remove)
	ops.POST("/:webhookId/rotate-secret", s.rotate)
	ops.GET("/:webhookId/attempts", s.attempts)
	ops.POST("/:webhookId/resend", s.resend)
	ops.POST("/:webhookId/recover", s.recover)
	ops.POST("/:webhookId/test", s.test)
}

// change puts a command through the engine and looks at the endpoints anew before it answers.
func (s *server) change(c echo.Context, body any, command flow.Command) error {
	answer, err := s.decide(c, body, command)
	if err != nil {
		return err
	}
	return host.Respond(c, answer, "")
}

// spread is change for what another replica must know as well before the caller is told: that somebody wants facts that
// nobody wanted before. See package directory for why a short wait is enough.
func (s *server) spread(c echo.Context, body any, command flow.Command) error {
	answer, err := s.decide(c, body, command)
	if err != nil {
		return err
	}
	known := time.NewTimer(directory.Lease + directory.Lease/10)
	defer known.Stop()
	select {
	case <-known.C:
	case <-c.Request().Context().Done():
	}
	return host.Respond(c, answer, "")
}

func (s *server) decide(c echo.Context, body any, command flow.Command) (engine.Answer, error) {
	request, err := host.Request(c, body)
	if err != nil {
		return engine.Answer{}, err
	}
	request.Command = command
	answer, err := s.host.Decide(c, request)
	if err != nil {
		return answer, err
	}
	if err := s.directory.Refresh(c.Request().Context()); err != nil {
		// The change is made, and the next look finds it within a second.
		s.host.Log.WarnContext(c.Request().Context(), "look up webhooks after a change", "error", err)
	}
	s.sender.Wake()
	return answer, nil
}

// endpointID reads the path; what is no id is nobody's.
func endpointID(c echo.Context) (string, error) {
	id, err := uuid.Parse(c.Param("webhookId"))
	if err != nil {
		return "", fault.NotFound()
	}
	return id.String(), nil
}

// spelled gives an id the spelling that the database reads: a UUID can also be a URN, or be in braces. An empty one
// stays so.
func spelled(id string) (string, bool) {
	if id == "" {
		return "", true
	}
	parsed, err := uuid.Parse(id)
	return parsed.String(), err == nil
}

func (s *server) create(c echo.Context) error {
	var r createRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	command, err := r.command(s.policy)
	if err != nil {
		return err
	}
	return s.spread(c, r, command)
}

func (s *server) list(c echo.Context) error {
	page, err := web.PageOf(c)
	if err != nil {
		return err
	}
	before, ok := spelled(page.StartingAfter)
	if !ok {
		return web.InvalidParameter("startingAfter", "startingAfter must be the id of a webhook.")
	}
	found, err := store.Endpoints(c.Request().Context(), s.host.Pool, before, page.Limit+1)
	if err != nil {
		return err
	}
	views := make([]webhook.EndpointView, len(found))
	for i, e := range found {
		views[i] = e.View()
	}
	return c.JSON(http.StatusOK, web.NewList(views, page.Limit))
}

func (s *server) find(c echo.Context) (webhook.Endpoint, error) {
	id, err := endpointID(c)
	if err != nil {
		return webhook.Endpoint{}, err
	}
	e, err := store.Endpoint(c.Request().Context(), s.host.Pool, id)
	if errors.Is(err, store.ErrNoEndpoint) {
		err = fault.NotFound()
	}
	return e, err
}

func (s *server) get(c echo.Context) error {
	e, err := s.find(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, e.View())
}

func (s *server) update(c echo.Context) error {
	var r updateRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	command, err := r.command(s.policy, id)
	if err != nil {
		return err
	}
	return s.spread(c, r, command)
}

// simple is a command that its path says all about.
func (s *server) simple(c echo.Context, command func(id string) flow.Command) error {
	var r reasonRequest
	if err := web.DecodeOptional(c, &r); err != nil {
		return err
	}
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	return s.change(c, r, command(id))
}

func (s *server) remove(c echo.Context) error {
	return s.simple(c, func(id string) flow.Command { return webhook.Delete{ID: id} })
}

func (s *server) rotate(c echo.Context) error {
	return s.simple(c, func(id string) flow.Command { return webhook.Rotate{ID: id, Secret: sign.NewSecret()} })
}

func (s *server) test(c echo.Context) error {
	return s.simple(c, func(id string) flow.Command {
		return webhook.Test{ID: id, EventID: uuid.Must(uuid.NewV7()).String()}
	})
}

func (s *server) resend(c echo.Context) error {
	var r resendRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	command, err := r.command(id)
	if err != nil {
		return err
	}
	return s.change(c, r, command)
}

func (s *server) recover(c echo.Context) error {
	var r recoverRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	command, err := r.command(id)
	if err != nil {
		return err
	}
	return s.change(c, r, command)
}

func (s *server) attempts(c echo.Context) error {
	page, err := web.PageOf(c)
	if err != nil {
		return err
	}
	before, ok := spelled(page.StartingAfter)
	if !ok {
		return web.InvalidParameter("startingAfter", "startingAfter must be the id of an attempt.")
	}
	event, ok := spelled(c.QueryParam("eventId"))
	if !ok {
		return web.InvalidParameter("eventId", "eventId must be the id of an event.")
	}
	e, err := s.find(c)
	if err != nil {
		return err
	}
	found, err := store.Attempts(c.Request().Context(), s.host.Pool, e.ID, event, before, page.Limit+1)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, web.NewList(found, page.Limit))
}
