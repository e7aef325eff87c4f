package service

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/mailer/internal/store"
)

// routes adds mailer's routes, for operators and for the mail provider; it also takes over the service's log.
func (c *courier) routes(e *echo.Echo, h *host.Host[mailer.World]) {
	c.log = h.Log
	// No token: the signature says who calls.
	e.POST("/webhooks/mail/bounces", func(ctx echo.Context) error { return c.bounce(ctx, h) })
	e.GET("/internal/v1/mails/:orderId", func(ctx echo.Context) error {
		id := ctx.Param("orderId")
		if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
			return fault.NotFound()
		}
		mails, err := store.OrderMails(ctx.Request().Context(), h.Pool, id)
		if err != nil {
			return err
		}
		return ctx.JSON(http.StatusOK, web.NewList(mails, len(mails)))
	}, web.Auth(h.Verifier), web.RequireRole(web.RoleOperator))
}

// bounce takes a provider's word that a mail came back. A mail that we do not know is answered 404 before there is a
// command: it is another system's of the same account, or its answer would be kept and given again.
func (c *courier) bounce(ctx echo.Context, h *host.Host[mailer.World]) error {
	if len(c.secrets) == 0 {
		return fault.NotFound()
	}
	body, err := web.Body(ctx)
	if err != nil {
		return err
	}
	if err := verify(c.secrets, ctx.Request().Header, body, time.Now()); err != nil {
		return fault.Of(fault.CodeInvalidSignature, "")
	}
	r, err := parseReport(body)
	if err != nil {
		return fault.Invalid(fault.FieldError{Code: fault.CodeInvalidField, Detail: "The webhook is not understood."})
	}
	orderID, kind, ours := r.mail()
	if !ours || !web.UsableKey(r.ID) {
		return fault.NotFound()
	}
	known, err := store.Known(ctx.Request().Context(), h.Pool, orderID, kind)
	if err != nil {
		return err
	}
	switch {
	case !known:
		return fault.NotFound()
	case !r.forGood():
		return ctx.NoContent(http.StatusNoContent) // the provider goes on trying
	}
	return h.Do(ctx, engine.Request{
		Member: "webhook/mail", Key: r.ID, Command: mailer.Bounce{OrderID: orderID, Kind: kind, Code: r.Status},
	}, "")
}
