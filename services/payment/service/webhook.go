package service

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/internal/store"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// desk is where the provider's word comes in that nobody asked for: webhooks, and the poll that stands in for a
// lost one.
type desk struct {
	caller  *caller
	poll    time.Duration
	compare *reconciler
	// host stands once the edge does.
	host atomic.Pointer[host.Host[payment.World]]
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
