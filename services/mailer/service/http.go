package service

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/mailer/internal/store"
)

// routes adds mailer's only route, for operators; it also takes over the service's log.
func (c *courier) routes(e *echo.Echo, h *host.Host[mailer.World]) {
	c.log = h.Log
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
