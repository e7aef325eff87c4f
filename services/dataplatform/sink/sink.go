// Package sink is where batches of facts go: a data platform's HTTP endpoint, or files by day for those without one.
package sink

import (
	"errors"
	"fmt"
	"time"
)

// RefusedError says that the platform has answered, and not with a 2xx.
type RefusedError struct {
	// Status is the HTTP status.
	Status int
	// After is how long the platform asks to be left alone; 0 says nothing about it.
	After time.Duration
}

// Error names the status only: the platform's words may be anything.
func (e *RefusedError) Error() string { return fmt.Sprintf("the data platform answered %d", e.Status) }

// About says whether a failure is about this one batch, not about the platform: it was read and refused. Anything else
// (no answer, overload, an error of the platform's own) would meet the next batch as well.
func About(err error) bool {
	var refused *RefusedError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Status {
	case 401, 403, 404, 408, 425, 429:
		return false
	}
	return refused.Status >= 400 && refused.Status < 500
}

// After is how long the platform asks to be left alone, 0 if it does not.
func After(err error) time.Duration {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused.After
	}
	return 0
}
