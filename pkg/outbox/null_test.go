package outbox_test

import (
	"fmt"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/outbox"
)

// Null is published as null and nothing as nothing, also where there is nothing else to publish.
func TestNullIsNotEmpty(t *testing.T) {
	t.Parallel()
	for name, payloads := range map[string][]outbox.Record{
		"between others": {{Payload: []byte("x")}, {Null: true}, {}, {Null: true, Payload: []byte("unused")}, {Payload: []byte{}}, {Payload: []byte("y")}},
		"alone":          {{Null: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			var want, got []string
			tx := s.begin(t)
			for i, p := range payloads {
				e := s.event("order", int32(i+1))
				e.Payload, e.Null = p.Payload, p.Null
				check(t, outbox.Append(t.Context(), tx, []outbox.Record{e}))
				want = append(want, fmt.Sprintf("%q null: %v", map[bool]string{true: "", false: string(p.Payload)}[p.Null], p.Null))
			}
			check(t, tx.Commit(t.Context()))
			s.relay(t)
			s.emptied(t)
			for _, r := range s.published(t) {
				got = append(got, fmt.Sprintf("%q null: %v", r.Value, r.Value == nil))
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("published %v, want %v", got, want)
			}
		})
	}
}
