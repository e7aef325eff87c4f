package service

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/dataplatform/internal/store"
)

// notices tells a person of facts that have waited for longer than behind. No order suffers from it.
func notices(behind time.Duration) host.NoticesFunc {
	return func(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
		w, err := store.ReadWatermark(ctx, pool)
		if err != nil || w.Oldest == nil || w.Lag < behind {
			return nil, err
		}
		text := fmt.Sprintf("The data platform has not taken facts for %s; they are kept and tried on, and no order is affected.", behind)
		if w.LastError != "" {
			text += " The last failure: " + w.LastError
		}
		return []host.Notice{{
			Group: "dataplatform/behind", Text: text, Subjects: []string{}, Count: int(waiting(w)), Since: *w.Oldest,
		}}, nil
	}
}
