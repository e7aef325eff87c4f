package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/internal/store"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// The reconciliation compares each day with the provider's list, once the last charges of its orders are on it.
// What is certain is repaired through the same decisions as a webhook, after the provider was asked once more;
// everything else is for a person.

const (
	// dayFormat is how a day is written.
	dayFormat = time.DateOnly
	// settledAfter is how long after a day's end it is compared: its last orders are paid, and listed.
	settledAfter = 2 * time.Hour
	// reconcileEvery is how often it is looked whether a day is due.
	reconcileEvery = 10 * time.Minute
)

// reconciler compares, one replica at a time.
type reconciler struct {
	desk *desk
	// wanted are days that somebody has asked for.
	wanted chan time.Time

	differences prometheus.Gauge
	success     prometheus.Gauge
}

func newReconciler(d *desk) *reconciler {
	return &reconciler{
		desk: d, wanted: make(chan time.Time, 1),
		differences: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quadrille_payment_reconciliation_differences",
			Help: "What the last comparison of a day with the payment provider's list has left for a person.",
		}),
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quadrille_payment_reconciliation_last_success_timestamp_seconds",
			Help: "When this replica last compared a whole day with the payment provider's list.",
		}),
	}
}

// run compares every day that is over, and what is asked for, until ctx ends.
func (r *reconciler) run(ctx context.Context) error {
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	for {
		var day time.Time
		select {
		case <-ctx.Done():
			return nil
		case day = <-r.wanted:
		case <-tick.C:
		}
		h := r.desk.host.Load()
		if h == nil {
			continue // the edge does not stand yet
		}
		if err := r.due(ctx, h, day); err != nil && !errors.Is(err, store.ErrBusy) && ctx.Err() == nil {
			h.Log.WarnContext(ctx, "compare with the payment provider's list", "error", err)
		}
	}
}

// due compares the day that is asked for; zero: yesterday, if it is time and nobody has.
func (r *reconciler) due(ctx context.Context, h *host.Host[payment.World], day time.Time) error {
	if day.IsZero() {
		day = time.Now().UTC().Add(-settledAfter).Truncate(24 * time.Hour).Add(-24 * time.Hour)
		done, err := store.Reconciled(ctx, h.Pool, day.Format(dayFormat), r.desk.caller.provider.Name(), day.Add(24*time.Hour+settledAfter))
		if err != nil || done {
			return err
		}
	}
	return r.compare(ctx, h, day)
}

func (r *reconciler) compare(ctx context.Context, h *host.Host[payment.World], day time.Time) error {
	result := store.Reconciliation{
		Day: day.Format(dayFormat), Provider: r.desk.caller.provider.Name(), StartedAt: time.Now(), Differences: []store.Difference{},
	}
	beside, err := store.OpenDay(ctx, h.Pool, day)
	if err != nil {
		return err
	}
	defer beside.Close(ctx)
	if err := r.fetch(ctx, beside); err != nil {
		return err
	}
	if result.Charges, result.Refunds, err = beside.Count(ctx); err != nil {
		return err
	}
	found, err := beside.Differences(ctx)
	if err != nil {
		return err
	}
	for _, d := range found {
		repaired, err := r.repair(ctx, h, d)
		switch {
		case err != nil:
			return err
		case repaired:
			result.Repaired++
		case d.Kind != store.RefundStillOpen: // its call is tried on, and told of by itself
			result.Differences = append(result.Differences, d)
		}
	}
	if err := store.PutReconciliation(ctx, h.Pool, result); err != nil {
		return err
	}
	r.differences.Set(float64(len(result.Differences)))
	r.success.SetToCurrentTime()
	h.Log.InfoContext(ctx, "compared with the payment provider's list", "day", result.Day, "charges", result.Charges,
		"refunds", result.Refunds, "repaired", result.Repaired, "differences", len(result.Differences))
	return nil
}

// fetch takes the whole list, page by page.
func (r *reconciler) fetch(ctx context.Context, day *store.Day) error {
	from, to := day.Window()
	for cursor, first := "", true; first || cursor != ""; first = false {
		page, err := r.desk.caller.provider.List(ctx, from, to, cursor)
		if err != nil {
			return err
		}
		if err := day.Add(ctx, page.Movements); err != nil {
			return err
		}
		cursor = page.Next
	}
	return nil
}

// repair settles what is open here and certain there. The provider is asked once more: the list may be older than
// what has happened since.
func (r *reconciler) repair(ctx context.Context, h *host.Host[payment.World], d store.Difference) (bool, error) {
	if d.Kind != store.StillOpen && d.Kind != store.RefundStillOpen {
		return false, nil
	}
	p, known, err := store.Payment(ctx, h.Pool, d.OrderID)
	if err != nil || !known {
		return false, err
	}
	command, certain, err := r.ask(ctx, d, p)
	if err != nil || !certain {
		return false, err
	}
	_, err = h.Engine.Do(ctx, engine.Request{Member: "reconciliation", Key: d.Kind + "/" + d.OrderID, Command: command})
	if err != nil {
		return false, fmt.Errorf("repair %s of order %s: %w", d.Kind, d.OrderID, err)
	}
	return true, nil
}

// ask asks the provider about what is open.
func (r *reconciler) ask(ctx context.Context, d store.Difference, p payment.Payment) (command flow.Command, certain bool, err error) {
	if d.Kind == store.StillOpen {
		return r.desk.caller.look(ctx, p)
	}
	call := p.RefundCall()
	stands, err := r.desk.caller.provider.AskRefund(ctx, provider.RefundRequest{
		Key: call.Key, ChargeID: call.ChargeID, Amount: call.Amount, Currency: call.Currency,
	})
	if err != nil {
		return nil, false, err
	}
	return payment.NotifyRefund{OrderID: p.OrderID}, stands.State == provider.Refunded, nil
}
