package service

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/internal/store"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// edge is payment's HTTP.
type edge struct{ host *host.Host[payment.World] }

func routes(e *echo.Echo, h *host.Host[payment.World]) {
	edge := edge{host: h}
	member, operator := web.Auth(h.Verifier), web.RequireRole(web.RoleOperator)
	e.GET("/api/v1/points", edge.getPoints, member)
	e.POST("/ops/v1/points/grants", edge.grantPoints, member, operator)
	e.POST("/ops/v1/points/recount", edge.recountPoints, member, operator)
	e.GET("/api/v1/orders/:orderId/payment", edge.getOwnPayment, member)
	e.GET("/internal/v1/payments/:orderId", edge.getPayment, member, operator)
}

// pointsView is GET /api/v1/points.
type pointsView struct {
	Balance int64 `json:"balance"`
	web.List[store.LedgerEntry]
}

func (e edge) getPoints(c echo.Context) error {
	page, err := web.PageOf(c)
	if err != nil {
		return err
	}
	before := int64(0)
	if page.StartingAfter != "" {
		if before, err = strconv.ParseInt(page.StartingAfter, 10, 64); err != nil || before < 1 {
			return web.InvalidParameter("startingAfter", "startingAfter must be the id of an entry.")
		}
	}
	balance, entries, err := store.Ledger(c.Request().Context(), e.host.Pool, web.Caller(c).Subject, before, page.Limit+1)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, pointsView{Balance: balance, List: web.NewList(entries, page.Limit)})
}

// grantRequest is POST /ops/v1/points/grants.
type grantRequest struct {
	UserID string `json:"userId"`
	Amount int64  `json:"amount"`
	Reason string `json:"reason"`
}

// longest is the most characters of an id, longestReason of a reason.
const (
	longest       = 255
	longestReason = 500
)

func (r grantRequest) check() error {
	var bad web.Fields
	for _, f := range []struct {
		pointer, value string
		longest        int
	}{{"/userId", r.UserID, longest}, {"/reason", r.Reason, longestReason}} {
		blank := strings.TrimSpace(f.value) == ""
		bad.Missing(f.pointer, blank)
		bad.Invalid(f.pointer, !blank && !web.Printable(f.value, f.longest), fmt.Sprintf("At most %d characters, and no control characters.", f.longest))
	}
	bad.Invalid("/amount", r.Amount < 1, "At least 1 point.")
	return bad.Err()
}

func (e edge) grantPoints(c echo.Context) error {
	var r grantRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a grant's id: %w", err)
	}
	return e.host.Command(c, r, payment.GrantPoints{GrantID: id.String(), UserID: r.UserID, Amount: r.Amount, Reason: r.Reason}, "")
}

// recountRequest is POST /ops/v1/points/recount.
type recountRequest struct {
	UserID string `json:"userId"`
	Reason string `json:"reason"`
}

func (e edge) recountPoints(c echo.Context) error {
	var r recountRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	if err := (grantRequest{UserID: r.UserID, Reason: r.Reason, Amount: 1}).check(); err != nil {
		return err
	}
	return e.host.Command(c, r, payment.Recount{UserID: r.UserID}, "")
}

// paymentView is GET /internal/v1/payments/{orderId}, for operators and for checking sums.
type paymentView struct {
	OrderID        string         `json:"orderId"`
	PaymentID      string         `json:"paymentId"`
	UserID         string         `json:"userId"`
	State          payment.State  `json:"state"`
	Refund         payment.Refund `json:"refund"`
	PaymentAmount  int64          `json:"paymentAmount"`
	PointAmount    int64          `json:"pointAmount"`
	DiscountAmount int64          `json:"discountAmount"`
	CouponCounted  bool           `json:"couponCounted"`
	Currency       string         `json:"currency"`
	ChargeID       string         `json:"chargeId"`
	FailReason     string         `json:"failReason"`
	CreatedAt      time.Time      `json:"createdAt"`
	UpdatedAt      time.Time      `json:"updatedAt"`
}

func (e edge) getPayment(c echo.Context) error {
	id := c.Param("orderId")
	if uuid.Validate(id) != nil {
		return fault.NotFound()
	}
	p, found, err := store.Payment(c.Request().Context(), e.host.Pool, id)
	if err != nil {
		return err
	}
	if !found {
		return fault.NotFound()
	}
	return c.JSON(http.StatusOK, paymentView{
		OrderID: p.OrderID, PaymentID: p.PaymentID, UserID: p.UserID, State: p.State, Refund: p.Refund,
		PaymentAmount: p.Amount, PointAmount: p.Points, DiscountAmount: p.Discount, CouponCounted: p.CouponCounted,
		Currency: p.Currency, ChargeID: p.ChargeID, FailReason: p.FailReason, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	})
}

// ownPaymentView is GET /api/v1/orders/{orderId}/payment.
type ownPaymentView struct {
	OrderID       string `json:"orderId"`
	Status        string `json:"status"`
	PaymentAmount int64  `json:"paymentAmount"`
	PointAmount   int64  `json:"pointAmount"`
	Currency      string `json:"currency"`
	// Transfer is where a transfer is to be paid into; null for anything else, and once it is paid or closed.
	Transfer *transferView `json:"transfer"`
}

type transferView struct {
	BankCode      string `json:"bankCode"`
	AccountNumber string `json:"accountNumber"`
	AccountHolder string `json:"accountHolder"`
}

func (e edge) getOwnPayment(c echo.Context) error {
	id := c.Param("orderId")
	if uuid.Validate(id) != nil {
		return fault.NotFound()
	}
	p, found, err := store.PaymentOf(c.Request().Context(), e.host.Pool, id, web.Caller(c).Subject)
	if err != nil {
		return err
	}
	if !found {
		return fault.NotFound()
	}
	return c.JSON(http.StatusOK, ownView(p))
}

// ownView shows a payment to who pays. What goes on between us and the provider (asking, closing a key) is not
// theirs to see: until it is known, a payment is pending.
func ownView(p payment.Payment) ownPaymentView {
	v := ownPaymentView{OrderID: p.OrderID, Status: string(p.State), PaymentAmount: p.Amount, PointAmount: p.Points, Currency: p.Currency}
	switch {
	case p.State == payment.Awaiting:
		v.Status = "AWAITING_TRANSFER"
		v.Transfer = &transferView{BankCode: p.Account.Bank, AccountNumber: p.Account.Number, AccountHolder: p.Account.Holder}
	case p.State == payment.Closing:
		v.Status = "CANCELLING"
	case p.State.Open():
		v.Status = "PENDING"
	}
	return v
}

func (d *desk) routes(e *echo.Echo, h *host.Host[payment.World]) {
	d.host.Store(h)
	routes(e, h)
	h.Registerer.MustRegister(d.compare.differences, d.compare.success)
	d.compare.routes(e, h)
	// No token: the provider's own scheme says who calls.
	e.POST("/webhooks/payments/:provider", d.webhook)
}

// webhook takes what the provider has to say of a charge. It is a hint: what became of the charge is asked of
// the provider, so that webhooks may come late, repeated, in any order, and, from a provider that signs none,
// from anybody. The id of the webhook is the command's key, so the same one again has the first one's answer.
//
// An order nobody knows is answered 404 before there is a command: a kept answer would be given again when the
// provider tries later, and by then the payment may be known. What needs no command is acknowledged, or it
// would be sent for ever.
func (d *desk) webhook(c echo.Context) error {
	from, h := d.caller.provider, d.host.Load()
	if c.Param("provider") != from.Name() {
		return fault.NotFound()
	}
	body, err := web.Body(c)
	if err != nil {
		return err
	}
	notice, err := from.VerifyWebhook(c.Request().Header, body, time.Now())
	switch {
	case errors.Is(err, provider.ErrSignature):
		return fault.Of(fault.CodeInvalidSignature, "")
	case err != nil:
		return fault.Invalid(fault.FieldError{Code: fault.CodeInvalidField, Detail: "The webhook is not understood."})
	case notice.OrderID == "" || uuid.Validate(notice.OrderID) != nil || !web.UsableKey(notice.ID):
		return c.NoContent(http.StatusNoContent)
	}
	ctx := c.Request().Context()
	p, found, err := store.Payment(ctx, h.Pool, notice.OrderID)
	switch {
	case err != nil:
		return err
	case !found:
		return fault.NotFound()
	case !p.State.Open():
		return c.NoContent(http.StatusNoContent)
	}
	command, final, err := d.caller.look(ctx, p)
	if err != nil {
		h.Log.WarnContext(ctx, "the provider does not say what its webhook is about", "provider", from.Name(), "order", p.OrderID, "error", err)
		return fault.Unavailable(fault.CodeServiceUnavailable, "The provider does not confirm it at the moment.", time.Second)
	}
	if !final {
		return c.NoContent(http.StatusNoContent)
	}
	return h.Do(c, engine.Request{Member: "webhook/" + from.Name(), Key: notice.ID, Command: command}, "")
}

func (r *reconciler) routes(e *echo.Echo, h *host.Host[payment.World]) {
	member, operator := web.Auth(h.Verifier), web.RequireRole(web.RoleOperator)
	e.GET("/ops/v1/payments/reconciliations", r.list, member, operator)
	e.POST("/ops/v1/payments/reconciliations", r.start, member, operator)
}

func (r *reconciler) list(c echo.Context) error {
	all, err := store.Reconciliations(c.Request().Context(), r.desk.host.Load().Pool)
	if err != nil {
		return err
	}
	if all == nil {
		all = []store.Reconciliation{}
	}
	return c.JSON(http.StatusOK, map[string]any{"data": all})
}

// reconcileRequest is POST /ops/v1/payments/reconciliations.
type reconcileRequest struct {
	Day    string `json:"day"`
	Reason string `json:"reason"`
}

// check returns the day; now is when it is asked for.
func (r reconcileRequest) check(now time.Time) (time.Time, error) {
	var bad web.Fields
	day, err := time.Parse(dayFormat, r.Day)
	blank := strings.TrimSpace(r.Reason) == ""
	bad.Missing("/day", r.Day == "")
	bad.Invalid("/day", r.Day != "" && (err != nil || now.Before(day)), "A day in UTC that has begun, like 2026-01-31.")
	bad.Missing("/reason", blank)
	bad.Invalid("/reason", !blank && !web.Printable(r.Reason, longestReason), "At most 500 characters, and no control characters.")
	return day, bad.Err()
}

func (r *reconciler) start(c echo.Context) error {
	var request reconcileRequest
	if err := web.Decode(c, &request); err != nil {
		return err
	}
	day, err := request.check(time.Now())
	if err != nil {
		return err
	}
	select {
	case r.wanted <- day:
		return c.NoContent(http.StatusAccepted)
	default:
		return fault.Conflict(fault.CodeConflict, "A comparison is running.")
	}
}
