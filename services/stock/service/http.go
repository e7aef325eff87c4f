package service

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/stock"
	"github.com/quadrille-io/quadrille/services/stock/internal/store"
)

// api answers HTTP: commands go to the engine, questions to the reader.
type api struct {
	host   *host.Host[stock.World]
	reader store.Reader
}

// routes adds stock's routes. The catalogue needs no token: a shop shows it before anybody signs in.
func routes(e *echo.Echo, h *host.Host[stock.World]) {
	a := &api{host: h, reader: store.Reader{Pool: h.Pool}}
	e.GET("/api/v1/products", a.products)
	e.GET("/api/v1/products/:productId", a.product)

	ops := e.Group("/ops/v1/products", web.Auth(h.Verifier), web.RequireRole(web.RoleOperator))
	ops.POST("", a.list)
	ops.POST("/:productId/restock", a.restock)
	ops.POST("/:productId/recount", a.recount)
	ops.PATCH("/:productId", a.change)
	ops.GET("/:productId/movements", a.movements)
}

func (a *api) products(c echo.Context) error {
	page, err := web.PageOf(c)
	if err != nil {
		return err
	}
	query := c.QueryParam("query")
	if !web.Printable(query, maxName) || !web.Printable(page.StartingAfter, maxName) {
		return fault.Of(fault.CodeInvalidParameter, "query and startingAfter are at most 200 printable characters.")
	}
	views, err := a.reader.Products(c.Request().Context(), query, page.StartingAfter, page.Limit+1)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, web.NewList(views, page.Limit))
}

func (a *api) product(c echo.Context) error {
	id, err := productID(c)
	if err != nil {
		return err
	}
	view, err := a.reader.Product(c.Request().Context(), id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.NotFound()
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, view)
}

// productID reads the id of the path. One that no product can have is not found, without asking.
func productID(c echo.Context) (string, error) {
	id := c.Param("productId")
	if c.Request().URL.RawPath != "" {
		// The router matched the escaped path, and its parameters are still escaped.
		unescaped, err := url.PathUnescape(id)
		if err != nil {
			return "", fault.NotFound()
		}
		id = unescaped
	}
	if !identifier(id) {
		return "", fault.NotFound()
	}
	return id, nil
}

func (a *api) list(c echo.Context) error {
	var r listRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	command, err := r.command()
	if err != nil {
		return err
	}
	return a.host.Command(c, r, command, "/api/v1/products/"+url.PathEscape(command.ProductID))
}

func (a *api) restock(c echo.Context) error {
	id, err := productID(c)
	if err != nil {
		return err
	}
	var r restockRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	command, err := r.command(id)
	if err != nil {
		return err
	}
	return a.host.Command(c, r, command, "")
}

// recount counts without a lock, as it reads all reservations, and corrects by what it found.
func (a *api) recount(c echo.Context) error {
	id, err := productID(c)
	if err != nil {
		return err
	}
	var r recountRequest
	if err := web.DecodeOptional(c, &r); err != nil {
		return err
	}
	var bad web.Fields
	badReason(&bad, r.Reason)
	if err := bad.Err(); err != nil {
		return err
	}
	count, err := a.reader.Count(c.Request().Context(), id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.NotFound()
	}
	if err != nil {
		return err
	}
	return a.host.Command(c, r, stock.Recount{
		ProductID: id, By: count.Missing, Corrections: count.Corrections, Reason: web.Or(r.Reason, ""),
	}, "")
}

func (a *api) change(c echo.Context) error {
	id, err := productID(c)
	if err != nil {
		return err
	}
	var r changeRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	command, err := r.command(id)
	if err != nil {
		return err
	}
	return a.host.Command(c, r, command, "")
}

// movements is GET /ops/v1/products/{productId}/movements: the ledger, newest first.
func (a *api) movements(c echo.Context) error {
	id, err := productID(c)
	if err != nil {
		return err
	}
	page, err := web.PageOf(c)
	if err != nil {
		return err
	}
	after, ok := cursorOf(page.StartingAfter)
	if !ok {
		return web.InvalidParameter("startingAfter", "startingAfter is a movementId, or next of the page before.")
	}
	ctx := c.Request().Context()
	if _, err := a.reader.Product(ctx, id); errors.Is(err, pgx.ErrNoRows) {
		return fault.NotFound()
	} else if err != nil {
		return err
	}
	found, err := a.reader.Ledger(ctx, id, after, page.Limit+1, lookThrough)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, ledgerOf(found, page.Limit))
}
