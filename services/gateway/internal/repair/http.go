// Package repair serves what operators compare and mend with: the books of every service, and events that
// are published once more.
package repair

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
)

// Parts are what the routes need of the gateway.
type Parts struct {
	Pool     *pgxpool.Pool
	Services map[string]*upstream.Service
	// Caller is on whose behalf a service is asked.
	Caller func(echo.Context) upstream.Caller
}

// timeout is longer than a service takes to give a page up, or to find an event on its topic.
const timeout = 12 * time.Second

// Routes adds the routes behind the operators' guards.
func (p Parts) Routes(e *echo.Echo, guards ...echo.MiddlewareFunc) {
	e.GET("/ops/v1/books/:service/:book", p.book, guards...)
	e.POST("/ops/v1/events/resend", p.resend, guards...)
}

// book passes a page of a service's book on as it is.
func (p Parts) book(c echo.Context) error {
	service := p.Services[c.Param("service")]
	if service == nil {
		return fault.NotFound()
	}
	path := "/ops/v1/books/" + service.Name + "/" + url.PathEscape(c.Param("book"))
	if query := c.QueryParams().Encode(); query != "" {
		path += "?" + query
	}
	answer, err := service.Ask(c.Request().Context(), p.Caller(c), timeout, http.MethodGet, path, nil)
	if err != nil {
		return unreachable(service.Name, err)
	}
	if !answer.OK() {
		return fmt.Errorf("ask %s: %w", service.Name, answer.Refusal())
	}
	return c.JSONBlob(answer.Status, answer.Body)
}

func unreachable(service string, err error) error {
	if errors.Is(err, upstream.ErrUnreachable) {
		return fault.Unavailable(fault.CodeServiceUnavailable, "The service "+service+" does not answer at the moment.", time.Second)
	}
	return err
}

// resendRequest is POST /ops/v1/events/resend.
type resendRequest struct {
	// Subject is the order, or the product.
	Subject string `json:"subject"`
	// Types are short names, StockDecreased; the newest event of any of them is published again.
	Types  []string `json:"types"`
	Reason string   `json:"reason"`
}

// resend finds the event in the timeline and has its owner publish it again. The owner reads it from its
// own topic: what is published is the owner's word, and not this database's.
func (p Parts) resend(c echo.Context) error {
	var r resendRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	var bad web.Fields
	bad.Missing("/subject", r.Subject == "")
	bad.Missing("/types", len(r.Types) == 0)
	bad.Invalid("/subject", !web.Printable(r.Subject, 255), "The id of an order or a product.")
	if err := bad.Err(); err != nil {
		return err
	}
	events, err := store.Timeline(c.Request().Context(), p.Pool, r.Subject)
	if err != nil {
		return err
	}
	event, found := gateway.Newest(events, r.Types)
	service := p.Services[event.Service]
	if !found || service == nil {
		return fault.New(http.StatusNotFound, fault.CodeNotFound, "No such event of this order is known.")
	}
	body, err := json.Marshal(host.ResendRequest{
		EventID: event.ID, Place: engine.Place{Topic: event.Topic, Partition: event.Partition, Offset: event.Offset}, Reason: r.Reason,
	})
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	var resent json.RawMessage
	if err := service.Send(c.Request().Context(), p.Caller(c), timeout, http.MethodPost, "/internal/v1/events/resend", body, &resent); err != nil {
		return unreachable(service.Name, err)
	}
	return c.JSONBlob(http.StatusAccepted, resent)
}
