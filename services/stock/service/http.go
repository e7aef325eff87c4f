package service

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

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

// Longest product id and name, in characters.
const (
	maxID   = 100
	maxName = 200
)

// identifier: product ids are the merchant's own words; they stand in paths, in Kafka keys and in headers.
func identifier(id string) bool {
	return id != "" && web.Printable(id, maxID) && !strings.ContainsRune(id, '/') && strings.TrimSpace(id) == id
}

// listRequest is POST /ops/v1/products. Reason is the operator's, for the audit that the gateway keeps.
type listRequest struct {
	ProductID *string `json:"productId"`
	Name      *string `json:"name"`
	Price     *int64  `json:"price"`
	Currency  *string `json:"currency"`
	Quantity  *int64  `json:"quantity"`
	Reason    *string `json:"reason"`
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

// command checks the form; what the values mean is the decision's to judge.
func (r listRequest) command() (stock.List, error) {
	var bad web.Fields
	bad.Missing("/productId", r.ProductID == nil)
	bad.Missing("/name", r.Name == nil)
	bad.Missing("/price", r.Price == nil)
	bad.Missing("/currency", r.Currency == nil)
	bad.Invalid("/productId", r.ProductID != nil && !identifier(*r.ProductID), "The id is 1 to 100 printable characters without a slash.")
	bad.Invalid("/name", r.Name != nil && !web.Printable(*r.Name, maxName), "The name is at most 200 printable characters.")
	bad.Invalid("/currency", r.Currency != nil && !web.IsCurrency(*r.Currency), "The currency is an ISO 4217 code of three capital letters.")
	if err := bad.Err(); err != nil {
		return stock.List{}, err
	}
	return stock.List{
		ProductID: *r.ProductID, Name: *r.Name, Price: *r.Price, Currency: *r.Currency, Quantity: web.Or(r.Quantity, 0),
	}, nil
}

// restockRequest is POST /ops/v1/products/{productId}/restock.
type restockRequest struct {
	Quantity *int64  `json:"quantity"`
	Reason   *string `json:"reason"`
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

func (r restockRequest) command(productID string) (stock.Restock, error) {
	var bad web.Fields
	bad.Missing("/quantity", r.Quantity == nil)
	if err := bad.Err(); err != nil {
		return stock.Restock{}, err
	}
	return stock.Restock{ProductID: productID, Quantity: *r.Quantity}, nil
}

// recountRequest is POST /ops/v1/products/{productId}/recount.
type recountRequest struct {
	Reason *string `json:"reason"`
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
	count, err := a.reader.Count(c.Request().Context(), id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.NotFound()
	}
	if err != nil {
		return err
	}
	return a.host.Command(c, r, stock.Recount{ProductID: id, By: count.Missing, Corrections: count.Corrections}, "")
}

// changeRequest is PATCH /ops/v1/products/{productId}. What is absent stays.
type changeRequest struct {
	Name   *string `json:"name"`
	Price  *int64  `json:"price"`
	OnSale *bool   `json:"onSale"`
	Reason *string `json:"reason"`
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

func (r changeRequest) command(productID string) (stock.Change, error) {
	var bad web.Fields
	bad.Invalid("/name", r.Name != nil && !web.Printable(*r.Name, maxName), "The name is at most 200 printable characters.")
	if err := bad.Err(); err != nil {
		return stock.Change{}, err
	}
	return stock.Change{ProductID: productID, Name: r.Name, Price: r.Price, OnSale: r.OnSale}, nil
}
