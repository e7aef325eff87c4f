package service

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/internal/store"
)

// unknownFor is how long money may be on its way unknown before a person hears of it.
const unknownFor = 10 * time.Minute

// notices lists what only a person can settle: a refund the provider refuses, and money of which the
// provider does not say what became of it.
func notices(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
	refused, err := store.RefusedRefunds(ctx, pool)
	if err != nil {
		return nil, err
	}
	charges, err := store.Unsettled(ctx, pool, []string{payment.CallAskCharge, payment.CallVoid}, unknownFor)
	if err != nil {
		return nil, err
	}
	refunds, err := store.Unsettled(ctx, pool, []string{payment.CallRefund, payment.CallAskRefund}, unknownFor)
	if err != nil {
		return nil, err
	}
	listed, err := store.OpenDifferences(ctx, pool)
	if err != nil {
		return nil, err
	}
	var all []host.Notice
	for _, n := range []struct {
		group, text string
		waiting     store.Waiting
	}{
		{"refund/refused", "The payment provider refuses these refunds for good: pay the money back by hand.", refused},
		{"charge/unknown", "The payment provider has not said for 10 minutes what became of these charges: look them up there.", charges},
		{"refund/unsettled", "These refunds have not been confirmed for 10 minutes: they are tried on, look them up at the payment provider.", refunds},
		{"reconciliation/difference", "The payment provider's list and our payments do not agree: see /ops/v1/payments/reconciliations.", listed},
	} {
		if n.waiting.Count > 0 {
			all = append(all, host.Notice{
				Group: n.group, Text: n.text, Subjects: n.waiting.Orders, Count: n.waiting.Count, Since: n.waiting.Since,
			})
		}
	}
	return all, nil
}
