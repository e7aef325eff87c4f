package local

import (
	"slices"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/services/choreography"
	"github.com/quadrille-io/quadrille/services/webhook"
)

// Every event that anybody emits can be subscribed to by webhook, but those with personal data cannot.
func TestEveryEventHasAWebhook(t *testing.T) {
	t.Parallel()
	var emitted []string
	for _, topology := range choreography.Topologies() {
		for _, edge := range topology.Edges {
			for _, name := range edge.Emits {
				if !strings.HasPrefix(name, "quadrille.member.") {
					emitted = append(emitted, name)
				}
			}
		}
	}
	types := webhook.Types()
	for _, name := range emitted {
		if !slices.Contains(types, name) {
			t.Errorf("%s cannot be subscribed to", name)
		}
	}
	for _, name := range types {
		if strings.HasPrefix(name, "quadrille.member.") {
			t.Errorf("%s has personal data", name)
		}
	}
	if len(emitted) < 20 {
		t.Fatalf("only %d events are emitted: the topologies are not what they are taken for", len(emitted))
	}
}
