package service

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/dataplatform/internal/store"
)

// stuckAttempts is how often a replay's batch is sent in vain until a person hears of it.
const stuckAttempts = 5

// notices tells a person of facts that have waited for longer than behind, and of replays that the platform does not
// take. No order suffers from either.
func notices(behind time.Duration) host.NoticesFunc {
	return func(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
		var all []host.Notice
		w, err := store.ReadWatermark(ctx, pool)
		if err != nil {
			return nil, err
		}
		if w.Oldest != nil && w.Lag >= behind {
			all = append(all, host.Notice{
				Group: "dataplatform/behind", Subjects: []string{}, Count: int(waiting(w)), Since: *w.Oldest,
				Text: because(fmt.Sprintf("The data platform has not taken facts for %s; they are kept and tried on, and no order is affected.", behind), w.LastError),
			})
		}
		stuck, err := store.StuckReplays(ctx, pool, behind, stuckAttempts)
		if err != nil || len(stuck) == 0 {
			return all, err
		}
		n := host.Notice{
			Group: "dataplatform/replay", Count: len(stuck), Since: stuck[0].Since,
			Text: because("The data platform does not take these replays; they are tried on, and the days they need are kept.", stuck[0].LastError),
		}
		for _, s := range stuck {
			n.Subjects = append(n.Subjects, s.ReplayID)
		}
		return append(all, n), nil
	}
}

func because(text, lastError string) string {
	if lastError == "" {
		return text
	}
	return text + " The last failure: " + lastError
}
