package bench

import "context"

// History is the rate with tables that are full.
type History struct {
	PastOrders int     `json:"past_orders"`
	PerSecond  float64 `json:"per_second"`
	Runs       []Named `json:"runs"`
}

func (b *Bench) measureHistory(ctx context.Context) error { return nil }
