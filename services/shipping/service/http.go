package service

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
	"github.com/quadrille-io/quadrille/services/shipping/carrier/tracker"
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

// edge is shipping's HTTP.
type edge struct {
	host *host.Host[shipping.World]
	// carriers by their names in webhook paths.
	carriers map[string]carrier.Carrier
	follower *follower
}

func routes(f *follower, carriers ...carrier.Carrier) host.Routes[shipping.World] {
	return func(e *echo.Echo, h *host.Host[shipping.World]) {
		edge := edge{host: h, carriers: map[string]carrier.Carrier{}, follower: f}
		for _, c := range carriers {
			edge.carriers[c.Name()] = c
		}
		f.attach(h)
		e.GET("/api/v1/orders/:orderId/shipment", edge.getShipment, web.Auth(h.Verifier))
		// No token: the signature says who calls.
		e.POST("/webhooks/shipping/:carrier", edge.webhook)
	}
}

func (e edge) getShipment(c echo.Context) error {
	id := c.Param("orderId")
	if uuid.Validate(id) != nil {
		return fault.NotFound()
	}
	ctx := c.Request().Context()
	s, found, err := e.shipmentFor(ctx, web.Caller(c), id)
	if err != nil {
		return err
	}
	if !found {
		return fault.NotFound()
	}
	lines, err := store.History(ctx, e.host.Pool, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewOf(s, lines))
}

// shipmentFor is an order's shipment, for its owner or an operator; for anybody else there is none.
func (e edge) shipmentFor(ctx context.Context, caller web.Identity, orderID string) (shipping.Shipment, bool, error) {
	if caller.Is(web.RoleOperator) {
		return store.Shipment(ctx, e.host.Pool, orderID)
	}
	return store.ShipmentOf(ctx, e.host.Pool, orderID, caller.Subject)
}

// webhook takes what a carrier has to say of a parcel. The webhook is a hint: how the parcel stands is asked
// of the carrier, so that webhooks may come late and in any order. The id of the webhook is the command's
// key, so the same one again has the first one's answer.
//
// An unknown parcel is answered 404 before there is a command: a kept answer would be given again when the
// carrier tries later, and by then the parcel may be known.
func (e edge) webhook(c echo.Context) error {
	if name := c.Param("carrier"); e.follower.callbacks != nil && name == tracker.Name {
		return e.callback(c)
	}
	from, known := e.carriers[c.Param("carrier")]
	if !known {
		return fault.NotFound()
	}
	body, err := web.Body(c)
	if err != nil {
		return err
	}
	event, err := from.VerifyWebhook(c.Request().Header, body, time.Now())
	switch {
	case errors.Is(err, carrier.ErrSignature):
		return fault.Of(fault.CodeInvalidSignature, "")
	case err != nil:
		return fault.Invalid(fault.FieldError{Code: fault.CodeInvalidField, Detail: "The webhook is not understood."})
	}
	if uuid.Validate(event.OrderID) != nil || !web.UsableKey(event.ID) {
		return fault.NotFound()
	}
	ctx := c.Request().Context()
	s, found, err := store.Shipment(ctx, e.host.Pool, event.OrderID)
	if err != nil {
		return err
	}
	if !found || s.BookingID != "" && s.BookingID != event.BookingID {
		return fault.NotFound()
	}
	stands, err := from.Status(ctx, event.BookingID)
	if err != nil || !stands.State.OnItsWay() {
		e.host.Log.WarnContext(ctx, "webhook not confirmed by the carrier", "carrier", from.Name(), "order", s.OrderID,
			"says", event.State, "stands", stands.State, "error", err)
		return fault.Unavailable(fault.CodeServiceUnavailable, "The carrier does not confirm it at the moment.", time.Second)
	}
	return e.host.Do(c, engine.Request{
		Member: "webhook/" + from.Name(), Key: event.ID,
		Command: shipping.Track{OrderID: s.OrderID, Outcome: shipping.Outcome{
			State: shipping.Parcel(stands.State), Carrier: from.Name(), BookingID: event.BookingID, TrackingNumber: stands.TrackingNumber,
			Checkpoints: checkpoints(stands),
		}},
	}, "")
}

// hintPause is how soon after a parcel was asked about a hint may have it asked about again.
const hintPause = 5 * time.Second

// callback takes an aggregator's word that there is news of a parcel. It says nothing else, and wants to be answered
// within a second, so the parcel is only noted as due; the follower asks. Once noted, the answer is 202.
func (e edge) callback(c echo.Context) error {
	body, err := web.Body(c)
	if err != nil {
		return err
	}
	parcel, err := e.follower.callbacks.Verify(c.QueryParams(), body, time.Now())
	switch {
	case errors.Is(err, carrier.ErrSignature):
		return fault.Of(fault.CodeInvalidSignature, "")
	case err != nil:
		return fault.Invalid(fault.FieldError{Code: fault.CodeInvalidField, Detail: "The callback is not understood."})
	}
	due, err := store.Hint(c.Request().Context(), e.host.Pool, parcel.OrderID, hintPause)
	if err != nil {
		return err
	}
	if due {
		e.follower.hurry()
	}
	return c.NoContent(http.StatusAccepted)
}
