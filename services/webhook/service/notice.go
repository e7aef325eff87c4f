package service

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/webhook"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
)

// heardFor is how long operators are told of an endpoint that was disabled by itself.
const heardFor = 24 * time.Hour

// notices lists endpoints that were disabled by themselves: whoever is behind them gets nothing any more and may not
// know it.
func notices(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
	disabled, err := store.DisabledLately(ctx, pool, heardFor)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{
		webhook.Gone:    "These webhooks were disabled because their receivers answered 410. What happens meanwhile is not recorded for them; enable or delete them.",
		webhook.Failing: "These webhooks were disabled because nothing could be delivered to them for long. What happens meanwhile is not recorded for them; talk to their owners, then enable them.",
	}
	var all []host.Notice
	for _, reason := range []string{webhook.Gone, webhook.Failing} {
		n := host.Notice{Group: "webhook/" + reason, Text: texts[reason]}
		for _, d := range disabled {
			if d.Reason != reason {
				continue
			}
			if n.Count == 0 {
				n.Since = d.At
			}
			n.Count++
			n.Subjects = append(n.Subjects, d.ID)
		}
		if n.Count > 0 {
			all = append(all, n)
		}
	}
	return all, nil
}
