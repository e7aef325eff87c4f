package outbox

import "context"

// Point is a moment between two steps of a relay.
type Point = point

// The points at which a test may hold a relay.
const (
	AfterRead    = afterRead
	BeforeDelete = beforeDelete
)

// Election is the key of the relay's advisory lock.
const Election = election

// HoldAt has f called at every point that r passes; r goes on when f returns. Call it before Run.
func (r *Relay) HoldAt(f func(context.Context, Point)) { r.at = f }

// Metrics gives tests the collector without a registry.
func (r *Relay) Metrics() *metrics { return r.metrics }
