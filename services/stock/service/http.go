package service

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
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
	ops.PATCH("/:productId", a.change)
}

func (a *api) products(c echo.Context) error {
	page, err := web.PageOf(c)
	if err != nil {
		return err
	}
	query := c.QueryParam("query")
	if !text(query, maxName) || !text(page.StartingAfter, maxName) {
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
	return id != "" && text(id, maxID) && !strings.ContainsRune(id, '/') && strings.TrimSpace(id) == id
}

// text says whether s can be stored and shown: valid UTF-8, printable, not longer than most characters.
func text(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
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
	var bad faults
	bad.missing("/productId", r.ProductID == nil)
	bad.missing("/name", r.Name == nil)
	bad.missing("/price", r.Price == nil)
	bad.missing("/currency", r.Currency == nil)
	bad.invalid("/productId", r.ProductID != nil && !identifier(*r.ProductID), "The id is 1 to 100 printable characters without a slash.")
	bad.invalid("/name", r.Name != nil && !text(*r.Name, maxName), "The name is at most 200 printable characters.")
	bad.invalid("/currency", r.Currency != nil && !currency(*r.Currency), "The currency is an ISO 4217 code of three capital letters.")
	if len(bad) > 0 {
		return fault.Invalid(bad...)
	}
	return a.do(c, r, stock.List{
		ProductID: *r.ProductID, Name: *r.Name, Price: *r.Price, Currency: *r.Currency, Quantity: value(r.Quantity),
	}, "/api/v1/products/"+url.PathEscape(*r.ProductID))
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
	var bad faults
	if bad.missing("/quantity", r.Quantity == nil); len(bad) > 0 {
		return fault.Invalid(bad...)
	}
	return a.do(c, r, stock.Restock{ProductID: id, Quantity: *r.Quantity}, "")
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
	var bad faults
	if bad.invalid("/name", r.Name != nil && !text(*r.Name, maxName), "The name is at most 200 printable characters."); len(bad) > 0 {
		return fault.Invalid(bad...)
	}
	return a.do(c, r, stock.Change{ProductID: id, Name: r.Name, Price: r.Price, OnSale: r.OnSale}, "")
}

// do puts an operator's command through the engine under its Idempotency-Key. The body's hash is made
// over the decoded body, so that spaces, the order of fields and null against absent make no difference.
func (a *api) do(c echo.Context, body any, command flow.Command, location string) error {
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	canonical, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	hash := sha256.Sum256([]byte(c.Request().Method + " " + c.Request().URL.Path + "\n" + string(canonical)))
	return a.host.Do(c, engine.Request{
		Member: web.Caller(c).Subject, Key: key, BodyHash: hash[:], Command: command,
	}, location)
}

// idempotencyKey reads the header; "" without one. An empty one is refused: whoever sends it believes
// to be safe against sending twice, and is not.
func idempotencyKey(c echo.Context) (string, error) {
	keys := c.Request().Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	if len(keys) > 1 || keys[0] == "" || !text(keys[0], 255) {
		return "", fault.Of(fault.CodeInvalidParameter, "The Idempotency-Key is one header of 1 to 255 printable characters.")
	}
	return keys[0], nil
}

// faults collects what is wrong with the fields of a body.
type faults []fault.FieldError

func (f *faults) missing(pointer string, is bool) {
	if is {
		*f = append(*f, fault.FieldError{Pointer: pointer, Code: fault.CodeMissingField, Detail: "The field is required."})
	}
}

func (f *faults) invalid(pointer string, is bool, detail string) {
	if is {
		*f = append(*f, fault.FieldError{Pointer: pointer, Code: fault.CodeInvalidField, Detail: detail})
	}
}

func currency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}
