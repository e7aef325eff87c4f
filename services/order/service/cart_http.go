package service

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/order"
)

func (a *api) cartRoutes(cart *echo.Group) {
	cart.GET("", a.getCart)
	cart.PUT("/items/:productId", a.putInCart)
	cart.DELETE("/items/:productId", a.takeFromCart)
	cart.POST("/order", a.orderCart)
}

// quantityRequest is the body of PUT /api/v1/cart/items/{productId}.
type quantityRequest struct {
	Quantity *int64 `json:"quantity"`
}

func (r quantityRequest) check() error {
	quantity := web.Or(r.Quantity, 1)
	var bad web.Fields
	bad.Missing("/quantity", r.Quantity == nil)
	bad.Invalid("/quantity", quantity < 1 || quantity > math.MaxInt32, "It is 1 or more; DELETE takes the product out.")
	return bad.Err()
}

// getCart shows the cart at the prices of the moment; it changes nothing.
func (a *api) getCart(c echo.Context) error {
	user := web.Caller(c).Subject
	w, err := a.reader.Cart(c.Request().Context(), user)
	if err != nil {
		return fmt.Errorf("read the cart: %w", err)
	}
	cart, _ := w.Carts.Get(user)
	return c.JSON(http.StatusOK, order.CartOf(w, cart, a.rules, time.Now())) // where a command would ask the database's clock
}

func (a *api) putInCart(c echo.Context) error {
	id, err := productID(c)
	if err != nil {
		return err
	}
	var body quantityRequest
	if err := web.Decode(c, &body); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	return a.host.Command(c, body, order.PutInCart{
		UserID: web.Caller(c).Subject, ProductID: id, Quantity: *body.Quantity, Rules: a.rules,
	}, "")
}

func (a *api) takeFromCart(c echo.Context) error {
	id, err := productID(c)
	if err != nil {
		return err
	}
	return a.host.Command(c, nil, order.TakeFromCart{UserID: web.Caller(c).Subject, ProductID: id, Rules: a.rules}, "")
}

// productID is the product in the path. What cannot be an id is no product's.
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
	if id == "" || !web.Printable(id, maxID) {
		return "", fault.NotFound()
	}
	return id, nil
}

func (a *api) orderCart(c echo.Context) error {
	var body checkoutRequest
	if err := web.Decode(c, &body); err != nil {
		return err
	}
	var bad web.Fields
	cmd, err := body.checkout(&bad, web.Caller(c).Subject, true)
	if err != nil {
		return err
	}
	// The hash is over what the request says, and the items are none of it: sent again under its key, it is the same
	// request whatever is in the cart by then.
	request, err := host.Request(c, cmd)
	if err != nil {
		return err
	}
	cmd.Items = []order.PlaceItem{{Quantity: 1}} // stands for those of the cart, which are not known yet
	if err := a.ready(&cmd, request); err != nil {
		return err
	}
	cmd.Items = nil
	request.Command = order.PlaceCart{Place: cmd}
	return a.accept(c, request)
}
