package service

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
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
		ops.POST("/:policyId/recount", edge.recount)
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
	if err == nil && !web.Printable(page.StartingAfter, longest) {
		err = web.InvalidParameter("startingAfter", "startingAfter must be the id of an element.")
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
	return e.host.Command(c, body, command, "")
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
	return e.host.Command(c, r, command, "")
}

// recountRequest is POST /ops/v1/coupon-policies/{policyId}/recount.
type recountRequest struct {
	Reason *string `json:"reason"`
}

func (e edge) recount(c echo.Context) error {
	var r recountRequest
	if err := web.DecodeOptional(c, &r); err != nil {
		return err
	}
	id := c.Param("policyId")
	if !isPolicyID(id) {
		return fault.NotFound()
	}
	return e.host.Command(c, r, coupon.Recount{PolicyID: id}, "")
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

// longest is the most characters of an id.
const longest = 255

// isPolicyID: the merchant's own words, for paths and orders' coupon references. Without a slash, which
// separates the policy from the member in coupon.HeldKey.
func isPolicyID(id string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return id != "" && len(id) <= 100 && strings.Trim(id, letters) == ""
}
