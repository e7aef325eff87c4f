package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
)

// cookieName holds the operator's token. It goes to /console only, no script can read it, and no other site can make
// a browser send it.
const cookieName = "quadrille_console"

const pagePolicy = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pageSize is how many orders a page lists.
const pageSize = 50

// longestID is the most characters of an order's id that is looked for.
const longestID = 255

type handlers struct{ Parts }

// Routes adds the pages, and sends whoever asks for the root to them.
func Routes(e *echo.Echo, p Parts) {
	h := &handlers{p}
	style, err := files.ReadFile("console.css")
	if err != nil {
		panic(err) // it is part of the program
	}
	e.GET("/", func(c echo.Context) error { return c.Redirect(http.StatusSeeOther, "/console") })
	e.GET("/console/console.css", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "public, max-age=300")
		return c.Blob(http.StatusOK, "text/css; charset=utf-8", style)
	})
	e.GET("/console/login", h.login)
	e.POST("/console/login", h.login)
	e.POST("/console/logout", h.logout)
	e.GET("/console", h.operator(h.orders))
	e.GET("/console/orders/:orderId", h.operator(h.order))
	e.GET("/console/failures", h.operator(h.failures))
}

// login takes a token from the link that `quadrille up` prints, or from the form, keeps it in the cookie and goes on
// to an address without it, so that it stays in no history.
func (h *handlers) login(c echo.Context) error {
	token := strings.TrimSpace(c.FormValue("token"))
	if token == "" {
		return h.show(c, http.StatusOK, "login", view{Title: "Sign in", Body: loginView{}})
	}
	who, err := h.Verifier.Verify(token)
	switch {
	case err != nil:
		return h.show(c, http.StatusUnauthorized, "login", view{Title: "Sign in", Body: loginView{"This token is not valid here, or has expired."}})
	case !who.Is(web.RoleOperator):
		return h.show(c, http.StatusForbidden, "login", view{Title: "Sign in", Body: loginView{"This token is not an operator's."}})
	}
	h.setCookie(c, token, 0)
	return c.Redirect(http.StatusSeeOther, "/console")
}

func (h *handlers) logout(c echo.Context) error {
	h.setCookie(c, "", -1)
	return c.Redirect(http.StatusSeeOther, "/console/login")
}

func (h *handlers) setCookie(c echo.Context, token string, maxAge int) {
	c.SetCookie(&http.Cookie{
		Name: cookieName, Value: token, Path: "/console", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: c.Scheme() == "https",
	})
}

const (
	tokenKey    = "console.token"
	operatorKey = "console.operator"
)

// operator lets only operators through; others see the page to sign in.
func (h *handlers) operator(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		cookie, err := c.Cookie(cookieName)
		if err != nil || cookie.Value == "" {
			return h.show(c, http.StatusUnauthorized, "login", view{Title: "Sign in", Body: loginView{}})
		}
		who, err := h.Verifier.Verify(cookie.Value)
		if err != nil || !who.Is(web.RoleOperator) {
			return h.show(c, http.StatusUnauthorized, "login", view{Title: "Sign in", Body: loginView{"The session has ended."}})
		}
		c.Set(tokenKey, cookie.Value)
		c.Set(operatorKey, who.Subject)
		return next(c)
	}
}

func (h *handlers) orders(c echo.Context) error {
	if id := strings.TrimSpace(c.QueryParam("id")); id != "" {
		return c.Redirect(http.StatusSeeOther, "/console/orders/"+url.PathEscape(id))
	}
	f := store.Filter{
		Status: gateway.Status(c.QueryParam("status")), Step: gateway.Step(c.QueryParam("step")),
		Before: c.QueryParam("before"), Limit: pageSize,
	}
	if !slices.Contains(gateway.Statuses, f.Status) {
		f.Status = ""
	}
	if !slices.Contains(gateway.Steps, f.Step) {
		f.Step = ""
	}
	if !web.Printable(f.Before, longestID) {
		f.Before = "" // no order's id, and nothing that the database could be asked for
	}
	orders, err := store.Orders(c.Request().Context(), h.Pool, f)
	if err != nil {
		return err
	}
	body := ordersView{
		Orders: orders, Statuses: gateway.Statuses, Steps: gateway.Steps, Status: f.Status, Step: f.Step,
		Paged: f.Before != "",
	}
	if len(orders) > pageSize {
		body.Orders = orders[:pageSize]
		body.Older = "/console?" + url.Values{
			"status": {string(f.Status)}, "step": {string(f.Step)}, "before": {body.Orders[pageSize-1].OrderID},
		}.Encode()
	}
	return h.show(c, http.StatusOK, "orders", view{Title: "Orders", At: "orders", Body: body})
}

func (h *handlers) order(c echo.Context) error {
	ctx, id := c.Request().Context(), c.Param("orderId")
	var order gateway.Order
	err := store.ErrNoOrder
	if web.Printable(id, longestID) {
		order, err = store.Order(ctx, h.Pool, id)
	}
	if errors.Is(err, store.ErrNoOrder) {
		return h.show(c, http.StatusNotFound, "message", view{Title: "No such order", At: "orders", Body: messageView{
			"No order of this id has been seen. One that was just placed shows up within a second.",
		}})
	}
	if err != nil {
		return err
	}
	events, err := store.Timeline(ctx, h.Pool, id)
	if err != nil {
		return err
	}
	return h.show(c, http.StatusOK, "order", view{
		Title: "Order " + shortID(id), At: "orders", Body: orderView{Order: order, Lines: timeline(events)},
	})
}

func (h *handlers) failures(c echo.Context) error {
	token, _ := c.Get(tokenKey).(string)
	groups, missing, err := h.Failures(c.Request().Context(), upstream.Caller{
		Authorization: "Bearer " + token, RequestID: web.RequestID(c), Address: c.RealIP(),
	})
	if err != nil {
		return err
	}
	return h.show(c, http.StatusOK, "failures", view{
		Title: "Failures", At: "failures", Body: failuresView{Groups: groups, Unavailable: missing},
	})
}

func (h *handlers) show(c echo.Context, status int, page string, v view) error {
	v.Operator, _ = c.Get(operatorKey).(string)
	html, err := render(page, v)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Content-Security-Policy", pagePolicy)
	return c.HTMLBlob(status, html)
}
