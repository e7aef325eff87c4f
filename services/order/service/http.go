package service

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/order/internal/store"
)

const ordersPath = "/api/v1/orders"

// api answers HTTP: commands go to the engine, questions to the reader.
type api struct {
	host   *host.Host[order.World]
	rules  order.Rules
	reader store.Reader
	waiter *waiter
}

func routes(rules order.Rules) host.Routes[order.World] {
	return func(e *echo.Echo, h *host.Host[order.World]) {
		reader := store.Reader{Pool: h.Pool}
		if err := h.Registerer.Register(newWaiting(reader)); err != nil {
			h.Log.Error("register metrics", "error", err)
		}
		a := &api{host: h, rules: rules, reader: reader, waiter: newWaiter(reader)}
		orders := e.Group(ordersPath, web.Auth(h.Verifier))
		orders.POST("", a.place)
		orders.GET("", a.list)
		orders.POST("/preview", a.preview)
		orders.GET("/:orderId", a.get)
		orders.PATCH("/:orderId", a.change)
		orders.POST("/:orderId/cancel", a.cancel)

		a.cartRoutes(e.Group("/api/v1/cart", web.Auth(h.Verifier)))

		ops := e.Group("/ops/v1/orders", web.Auth(h.Verifier), web.RequireRole(web.RoleOperator))
		ops.GET("", a.listAll)
	}
}

func (a *api) place(c echo.Context) error {
	var body placeRequest
	if err := web.Decode(c, &body); err != nil {
		return err
	}
	cmd, err := body.place(web.Caller(c).Subject, true)
	if err != nil {
		return err
	}
	// Over the command and not the body: a value that is the default anyway makes no difference either.
	request, err := host.Request(c, cmd)
	if err != nil {
		return err
	}
	if err := a.ready(&cmd, request); err != nil {
		return err
	}
	request.Command = cmd
	return a.accept(c, request)
}

// ready completes a command to place an order, unless no state of the world could make it right: that costs no
// transaction and uses up no key.
func (a *api) ready(cmd *order.Place, request engine.Request) error {
	if _, refusal := order.Check(&order.World{}, *cmd, time.Now()); refusal != nil && refusal.Status == http.StatusBadRequest {
		return refusal
	}
	cmd.OrderID, cmd.BodyHash, cmd.Rules = uuid.Must(uuid.NewV7()).String(), hex.EncodeToString(request.BodyHash), a.rules
	if request.Key != "" {
		// Whoever sends keys says himself what is the same order, and may order the same twice.
		cmd.Rules.DoubleClickWindow = 0
	}
	return nil
}

// accept has an order placed and answers with it.
func (a *api) accept(c echo.Context, request engine.Request) error {
	answer, err := a.host.Decide(c, request)
	if err != nil {
		return err
	}
	return a.respond(c, answer)
}

// respond answers with the order that was placed: now, or for an old key or a double click the first
// time. With Prefer: wait it is answered once it is settled.
func (a *api) respond(c echo.Context, answer engine.Answer) error {
	var placed struct {
		OrderID string `json:"orderId"`
	}
	if err := json.Unmarshal(answer.Body, &placed); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	location := ordersPath + "/" + placed.OrderID
	if wait, asked := web.PreferWait(c); asked && wait > 0 {
		ctx := c.Request().Context()
		if o, settled := a.waiter.wait(ctx, web.Draining(ctx), placed.OrderID, wait); settled {
			c.Response().Header().Set(echo.HeaderLocation, location)
			return c.JSON(http.StatusOK, order.ViewOf(o))
		}
		// Not settled in time: the order as it is now, not as it was then.
		if o, err := a.reader.Order(ctx, placed.OrderID, web.Caller(c).Subject); err == nil {
			c.Response().Header().Set(echo.HeaderLocation, location)
			return c.JSON(answer.Status, order.ViewOf(o))
		}
	}
	return host.Respond(c, answer, location)
}

func (a *api) preview(c echo.Context) error {
	var body placeRequest
	if err := web.Decode(c, &body); err != nil {
		return err
	}
	cmd, err := body.place(web.Caller(c).Subject, false)
	if err != nil {
		return err
	}
	cmd.Rules = a.rules
	var products []string
	for _, item := range cmd.Items {
		products = append(products, item.ProductID)
	}
	w, err := a.reader.PriceList(c.Request().Context(), cmd.UserID, products)
	if err != nil {
		return err
	}
	p, err := previewOf(w, cmd, &body)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, p)
}

// owner is whose orders the caller may see: his own, or everybody's as an operator.
func owner(c echo.Context) string {
	if caller := web.Caller(c); !caller.Is(web.RoleOperator) {
		return caller.Subject
	}
	return store.AnyMember
}

func (a *api) get(c echo.Context) error {
	id := c.Param("orderId")
	if !isOrderID(id) {
		return fault.NotFound()
	}
	ctx := c.Request().Context()
	o, err := a.reader.Order(ctx, id, owner(c))
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.NotFound()
	}
	if err != nil {
		return err
	}
	if wait, asked := web.PreferWait(c); asked && wait > 0 && !o.Settled() {
		if settled, ok := a.waiter.wait(ctx, web.Draining(ctx), id, wait); ok {
			o = settled
		} else if now, err := a.reader.Order(ctx, id, owner(c)); err == nil {
			o = now
		}
	}
	// A changed address is no event, so it is not in the version.
	return web.JSONWithETag(c, strconv.FormatInt(o.Version, 10)+"-"+o.AddressID, order.ViewOf(o))
}

var statuses = []order.Status{order.Pending, order.Completed, order.Shipped, order.Delivered, order.Cancelling, order.Cancelled}

var steps = []order.Progress{
	order.AtStock, order.AtCoupon, order.AtPayment, order.AtShipping,
	order.AtUndoPayment, order.AtUndoCoupon, order.AtUndoStock, order.AtNothing,
}

// pageFilter reads what both lists have: limit, startingAfter, status, from and to.
func pageFilter(c echo.Context) (store.Filter, web.Page, error) {
	page, err := web.PageOf(c)
	if err != nil {
		return store.Filter{}, page, err
	}
	f := store.Filter{Status: order.Status(c.QueryParam("status")), After: page.StartingAfter, Limit: page.Limit + 1}
	if f.Status != "" && !slices.Contains(statuses, f.Status) {
		return f, page, web.InvalidParameter("status", "There is no such status.")
	}
	if f.After != "" && !isOrderID(f.After) {
		return f, page, web.InvalidParameter("startingAfter", "startingAfter is the id of an order.")
	}
	for name, at := range map[string]*time.Time{"from": &f.From, "to": &f.To} {
		value := c.QueryParam(name)
		if value == "" {
			continue
		}
		if *at, err = time.Parse(time.RFC3339, value); err != nil {
			return f, page, web.InvalidParameter(name, name+" is a time such as 2026-07-01T00:00:00Z.")
		}
		*at = at.UTC()
	}
	return f, page, nil
}

func (a *api) list(c echo.Context) error {
	f, page, err := pageFilter(c)
	if err != nil {
		return err
	}
	f.UserID = web.Caller(c).Subject
	return a.answer(c, f, page)
}

// listAll is the operators' list over all members. Asked for what waits, it begins with what has waited
// longest; else with the newest.
func (a *api) listAll(c echo.Context) error {
	f, page, err := pageFilter(c)
	if err != nil {
		return err
	}
	f.Progress, f.Query = order.Progress(c.QueryParam("progress")), c.QueryParam("query")
	if f.Progress != "" && !slices.Contains(steps, f.Progress) {
		return web.InvalidParameter("progress", "There is no such step.")
	}
	if !web.Printable(f.Query, 255) {
		return web.InvalidParameter("query", "query is the id or number of an order, or the id of a member.")
	}
	if age := c.QueryParam("olderThan"); age != "" {
		if f.OlderThan, err = time.ParseDuration(age); err != nil || f.OlderThan < 0 {
			return web.InvalidParameter("olderThan", "olderThan is a duration such as 90s, 10m or 24h.")
		}
	}
	waits := f.Status == order.Pending || f.Status == order.Cancelling || f.Progress != "" && f.Progress != order.AtNothing
	f.OldestFirst = waits || f.OlderThan > 0
	return a.answer(c, f, page)
}

func (a *api) answer(c echo.Context, f store.Filter, page web.Page) error {
	orders, err := a.reader.Orders(c.Request().Context(), f)
	if err != nil {
		return err
	}
	views := make([]order.View, len(orders))
	for i, o := range orders {
		views[i] = order.ViewOf(o)
	}
	return c.JSON(http.StatusOK, web.NewList(views, page.Limit))
}

func (a *api) change(c echo.Context) error {
	id := c.Param("orderId")
	if !isOrderID(id) {
		return fault.NotFound()
	}
	var body changeRequest
	if err := web.Decode(c, &body); err != nil {
		return err
	}
	address := web.Or(body.ShippingAddressID, "-")
	var bad web.Fields
	bad.Missing("/shippingAddressId", body.ShippingAddressID == nil)
	bad.Invalid("/shippingAddressId", address == "" || !web.Printable(address, maxID), "The id is 1 to 100 printable characters.")
	if err := bad.Err(); err != nil {
		return err
	}
	return a.host.Command(c, body, order.ChangeAddress{OrderID: id, UserID: web.Caller(c).Subject, AddressID: address}, "")
}

func (a *api) cancel(c echo.Context) error {
	id := c.Param("orderId")
	if !isOrderID(id) {
		return fault.NotFound()
	}
	var body cancelRequest
	if err := web.DecodeOptional(c, &body); err != nil {
		return err
	}
	reason := web.Or(body.Reason, "")
	var bad web.Fields
	bad.Invalid("/reason", !web.Printable(reason, maxNote), "The reason is at most 500 printable characters.")
	if err := bad.Err(); err != nil {
		return err
	}
	caller := web.Caller(c)
	return a.host.Command(c, body, order.Cancel{
		OrderID: id, UserID: caller.Subject, Operator: caller.Is(web.RoleOperator), Reason: reason,
	}, "")
}
