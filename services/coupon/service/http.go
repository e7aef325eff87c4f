package service

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/coupon/internal/store"
)

// edge is coupon's HTTP: commands go to the engine, questions to the store's readers.
type edge struct {
	host *host.Host[coupon.World]
	// currency of policies that name none.
	currency string
}

func routes(currency string) host.Routes[coupon.World] {
	return func(e *echo.Echo, h *host.Host[coupon.World]) {
		edge := edge{host: h, currency: currency}
		member := web.Auth(h.Verifier)
		e.GET("/api/v1/coupons", edge.listCoupons, member)
		e.POST("/api/v1/coupons/quote", edge.quote, member)
		e.POST("/api/v1/coupon-policies/:policyId/issue", edge.issue, member)

		ops := e.Group("/ops/v1/coupon-policies", member, web.RequireRole(web.RoleOperator))
		ops.GET("", edge.listPolicies)
		ops.POST("", edge.createPolicy)
	}
}

func (e edge) listCoupons(c echo.Context) error {
	page, err := pageOf(c)
	if err != nil {
		return err
	}
	views, err := store.MemberCoupons(c.Request().Context(), e.host.Pool, web.Caller(c).Subject, page.StartingAfter, page.Limit+1)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, web.NewList(views, page.Limit))
}

func (e edge) listPolicies(c echo.Context) error {
	page, err := pageOf(c)
	if err != nil {
		return err
	}
	views, err := store.Policies(c.Request().Context(), e.host.Pool, page.StartingAfter, page.Limit+1)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, web.NewList(views, page.Limit))
}

func pageOf(c echo.Context) (web.Page, error) {
	page, err := web.PageOf(c)
	if err == nil && !isText(page.StartingAfter, longest) {
		err = refuse("?startingAfter", fault.CodeInvalidParameter, "startingAfter must be the id of an element.")
	}
	return page, err
}

// issue needs no body and takes an empty one.
func (e edge) issue(c echo.Context) error {
	var body struct{}
	if err := web.DecodeOptional(c, &body); err != nil {
		return err
	}
	policyID := c.Param("policyId")
	if !isPolicyID(policyID) {
		return fault.NotFound()
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a coupon's id: %w", err)
	}
	command := coupon.Issue{PolicyID: policyID, UserID: web.Caller(c).Subject, CouponID: id.String()}
	return e.do(c, body, command)
}

func (e edge) createPolicy(c echo.Context) error {
	var r policyRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	command, err := r.command(e.currency)
	if err != nil {
		return err
	}
	return e.do(c, r, command)
}

// quote says what the caller's own coupons are worth for a sum of items. It reserves nothing.
func (e edge) quote(c echo.Context) error {
	var r quoteRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	member := web.Caller(c).Subject
	if r.UserID != nil && *r.UserID != member {
		return fault.Forbidden("userId must be the token's subject.")
	}
	wallet, now, err := store.Wallet(c.Request().Context(), e.host.Pool, member, r.CouponRefs)
	if err != nil {
		return err
	}
	view, err := quoteOf(coupon.Quote(wallet, member, &orderv1.Checkout{
		CouponRefs: r.CouponRefs, ItemsAmount: *r.ItemsAmount, Currency: *r.Currency,
	}, now))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, view)
}

// do puts a command through the engine under its Idempotency-Key. The body's hash is made over the
// decoded body, so that spaces, the order of fields, and null against absent make no difference.
func (e edge) do(c echo.Context, body any, command flow.Command) error {
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	canonical, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("hash the request: %w", err)
	}
	hash := sha256.Sum256([]byte(c.Request().Method + " " + c.Request().URL.Path + "\n" + string(canonical)))
	return e.host.Do(c, engine.Request{
		Member: web.Caller(c).Subject, Key: key, BodyHash: hash[:], Command: command,
	}, "")
}

// longest is the most characters of an id or a key.
const longest = 255

// idempotencyKey reads the header; "" where there is none. An empty one is refused: whoever sends it
// believes to be safe against sending twice, and is not.
func idempotencyKey(c echo.Context) (string, error) {
	values := c.Request().Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 || values[0] == "" || !isText(values[0], longest) {
		return "", refuse("Idempotency-Key", fault.CodeInvalidParameter,
			"Idempotency-Key must come once, with 1 to 255 characters and no control characters.")
	}
	return values[0], nil
}

func refuse(pointer, code, detail string) error {
	return fault.New(http.StatusBadRequest, code, detail, fault.FieldError{Pointer: pointer, Code: code, Detail: detail})
}

// isText says whether s can be stored and shown: valid UTF-8, no control characters, not too long.
func isText(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}

// isPolicyID: the merchant's own words, for paths and orders' coupon references. Without a slash, which
// separates the policy from the member in coupon.HeldKey.
func isPolicyID(id string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return id != "" && len(id) <= 100 && strings.Trim(id, letters) == ""
}

func isCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
