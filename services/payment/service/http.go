package service

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/internal/store"
)

// edge is payment's HTTP.
type edge struct{ host *host.Host[payment.World] }

func routes(e *echo.Echo, h *host.Host[payment.World]) {
	edge := edge{host: h}
	member, operator := web.Auth(h.Verifier), web.RequireRole(web.RoleOperator)
	e.GET("/api/v1/points", edge.getPoints, member)
	e.POST("/ops/v1/points/grants", edge.grantPoints, member, operator)
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
			return invalid("?startingAfter", fault.CodeInvalidParameter, "startingAfter must be the id of an entry.")
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

// longest is the most characters of an id or a key, longestReason of a reason.
const (
	longest       = 255
	longestReason = 500
)

func (r grantRequest) check() error {
	var errs []fault.FieldError
	for _, f := range []struct {
		pointer, value string
		longest        int
	}{{"/userId", r.UserID, longest}, {"/reason", r.Reason, longestReason}} {
		switch {
		case strings.TrimSpace(f.value) == "":
			errs = append(errs, fault.FieldError{Pointer: f.pointer, Code: fault.CodeMissingField, Detail: "The field is required."})
		case utf8.RuneCountInString(f.value) > f.longest || strings.ContainsFunc(f.value, unicode.IsControl):
			errs = append(errs, fault.FieldError{
				Pointer: f.pointer, Code: fault.CodeInvalidField,
				Detail: fmt.Sprintf("At most %d characters, and no control characters.", f.longest),
			})
		}
	}
	if r.Amount < 1 {
		errs = append(errs, fault.FieldError{Pointer: "/amount", Code: fault.CodeInvalidField, Detail: "At least 1 point."})
	}
	if len(errs) > 0 {
		return fault.Invalid(errs...)
	}
	return nil
}

func (e edge) grantPoints(c echo.Context) error {
	var r grantRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	hash, err := hashOf(c, r)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a grant's id: %w", err)
	}
	return e.host.Do(c, engine.Request{
		Member: web.Caller(c).Subject, Key: key, BodyHash: hash,
		Command: payment.GrantPoints{GrantID: id.String(), UserID: r.UserID, Amount: r.Amount, Reason: r.Reason},
	}, "")
}

// idempotencyKey reads the header; "" where there is none. It may come once.
func idempotencyKey(c echo.Context) (string, error) {
	values := c.Request().Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(values) > 1 || key == "" || len(key) > longest || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
		return "", invalid("Idempotency-Key", fault.CodeInvalidParameter,
			"Idempotency-Key must come once, with 1 to 255 bytes of UTF-8 and no control characters.")
	}
	return key, nil
}

// hashOf tells two requests under one key apart: by route and meaning, not by spaces and field order.
func hashOf(c echo.Context, body any) ([]byte, error) {
	canonical, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("hash the request: %w", err)
	}
	sum := sha256.Sum256([]byte(c.Request().Method + " " + c.Request().URL.Path + "\n" + string(canonical)))
	return sum[:], nil
}

func invalid(pointer, code, detail string) error {
	return fault.New(http.StatusBadRequest, code, detail, fault.FieldError{Pointer: pointer, Code: code, Detail: detail})
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
