package choreography

import (
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// Nobody waits for an event that nobody emits, and nothing is emitted for nobody.
func TestCheck(t *testing.T) {
	t.Parallel()
	if err := flow.Check(Topologies()...); err != nil {
		t.Error(err)
	}
}
