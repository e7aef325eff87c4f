package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
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

// desk is where the provider's word comes in that nobody asked for: webhooks, and the poll that stands in for a
// lost one.
type desk struct {
	caller *caller
	poll   time.Duration
	// host stands once the edge does.
	host atomic.Pointer[host.Host[payment.World]]
}

func (d *desk) routes(e *echo.Echo, h *host.Host[payment.World]) {
	d.host.Store(h)
	routes(e, h)
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

// look asks the provider what has become of a payment's charge; false: nothing yet.
func (c *caller) look(ctx context.Context, p payment.Payment) (payment.Notify, bool, error) {
	stands, err := c.provider.AskCharge(ctx, c.request(p.KeyCall()))
	if err != nil {
		return payment.Notify{}, false, fmt.Errorf("look a charge up: %w", err)
	}
	final := stands.State == provider.Captured || stands.State == provider.Declined || stands.State == provider.Voided
	return payment.Notify{
		OrderID: p.OrderID, Outcome: payment.ChargeOutcome(stands.State), ChargeID: stands.ChargeID, Reason: stands.Reason,
	}, final, nil
}

// transfersAtOnce bounds what one round of the poll looks at.
const transfersAtOnce = 500

// watch polls until ctx ends.
func (d *desk) watch(ctx context.Context) error {
	if d.poll == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(d.poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		h := d.host.Load()
		if h == nil {
			continue // the edge does not stand yet
		}
		if err := d.round(ctx, h); err != nil && ctx.Err() == nil {
			h.Log.WarnContext(ctx, "poll transfers", "error", err)
		}
	}
}

// round asks about every transfer that is waited for. Replicas may do so at once: the outcome is the command's
// key, so it is taken once.
func (d *desk) round(ctx context.Context, h *host.Host[payment.World]) error {
	waiting, err := store.OpenTransfers(ctx, h.Pool, d.poll, transfersAtOnce)
	if err != nil {
		return err
	}
	for _, p := range waiting {
		command, final, err := d.caller.look(ctx, p)
		if err != nil {
			return err
		}
		if !final {
			continue
		}
		request := engine.Request{Member: "poll", Key: "transfer/" + p.OrderID + "/" + string(command.Outcome), Command: command}
		if _, err := h.Engine.Do(ctx, request); err != nil {
			return fmt.Errorf("take a transfer's outcome: %w", err)
		}
	}
	return nil
}
