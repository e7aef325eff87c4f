package service

import (
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
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

// edge is shipping's HTTP.
type edge struct {
	host *host.Host[shipping.World]
	// carriers by their names in webhook paths.
	carriers map[string]carrier.Carrier
}

func routes(carriers ...carrier.Carrier) host.Routes[shipping.World] {
	return func(e *echo.Echo, h *host.Host[shipping.World]) {
		edge := edge{host: h, carriers: map[string]carrier.Carrier{}}
		for _, c := range carriers {
			edge.carriers[c.Name()] = c
		}
		e.GET("/api/v1/orders/:orderId/shipment", edge.getShipment, web.Auth(h.Verifier))
		// No token: the signature says who calls.
		e.POST("/webhooks/shipping/:carrier", edge.webhook)
	}
}

// shipmentView is GET /api/v1/orders/{orderId}/shipment.
type shipmentView struct {
	OrderID        string         `json:"orderId"`
	Carrier        *string        `json:"carrier"`
	TrackingNumber *string        `json:"trackingNumber"`
	Status         string         `json:"status"`
	History        []trackingView `json:"history"`
}

// trackingView is one line of the tracking history, oldest first.
type trackingView struct {
	Status string    `json:"status"`
	At     time.Time `json:"at"`
}

func (e edge) getShipment(c echo.Context) error {
	id := c.Param("orderId")
	if uuid.Validate(id) != nil {
		return fault.NotFound()
	}
	s, found, err := store.ShipmentOf(c.Request().Context(), e.host.Pool, id, web.Caller(c).Subject)
	if err != nil {
		return err
	}
	if !found {
		return fault.NotFound()
	}
	return c.JSON(http.StatusOK, viewOf(s))
}

// viewOf shows a shipment. What goes on between us and the carrier (asking, closing a key, stopping) is not
// the customer's: until it is known, a parcel is being prepared, or still is what it was.
func viewOf(s shipping.Shipment) shipmentView {
	v := shipmentView{OrderID: s.OrderID, History: []trackingView{{Status: "PREPARING", At: s.CreatedAt}}}
	if s.TrackingNumber != "" {
		v.Carrier, v.TrackingNumber = &s.Carrier, &s.TrackingNumber
	}
	add := func(status string, at time.Time) {
		if !at.IsZero() {
			v.History = append(v.History, trackingView{Status: status, At: at})
		}
	}
	add("PREPARED", s.PreparedAt)
	add("DISPATCHED", s.DispatchedAt)
	add("DELIVERED", s.DeliveredAt)
	switch {
	case s.State == shipping.Cancelled, s.State == shipping.Failed:
		add(string(s.State), s.UpdatedAt)
	case s.Tracking == shipping.TrackLost, s.Tracking == shipping.TrackSentBack:
		add(string(s.Tracking), s.UpdatedAt)
	}
	v.Status = v.History[len(v.History)-1].Status
	return v
}

// webhook takes what a carrier has to say of a parcel. The webhook is a hint: how the parcel stands is asked
// of the carrier, so that webhooks may come late and in any order. The id of the webhook is the command's
// key, so the same one again has the first one's answer.
//
// An unknown parcel is answered 404 before there is a command: a kept answer would be given again when the
// carrier tries later, and by then the parcel may be known.
func (e edge) webhook(c echo.Context) error {
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
		}},
	}, "")
}
