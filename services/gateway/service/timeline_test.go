package service

import (
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/gateway"
)

// An event whose cause is not there is held back for as long as a timeline waits, then sent; nothing is sent twice, and
// what a client has seen is not sent again.
func TestFollower(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	first := gateway.Event{ID: "1", Service: "order", Sequence: 1, OccurredAt: now, Position: 1}
	late := gateway.Event{ID: "2", Service: "stock", Sequence: 1, Causation: "lost", OccurredAt: now, Position: 2}
	f := newFollower("")
	for _, step := range []struct {
		after   time.Duration
		sent    []string
		holding bool
	}{
		{0, []string{"1"}, true},
		{catchUp - time.Millisecond, nil, true},
		{catchUp, []string{"2"}, false},
		{2 * catchUp, nil, false},
	} {
		lines, holding := f.next([]gateway.Event{late, first}, now.Add(step.after))
		if len(lines) != len(step.sent) || len(lines) == 1 && lines[0].ID != step.sent[0] || holding != step.holding {
			t.Errorf("after %s: %v, holding %v; want %v, %v", step.after, lines, holding, step.sent, step.holding)
		}
	}
	back := newFollower("1")
	if lines, _ := back.next([]gateway.Event{first}, now); len(lines) != 0 {
		t.Errorf("sent again: %v", lines)
	}
	unknown := newFollower("never heard of")
	if lines, _ := unknown.next([]gateway.Event{first}, now); len(lines) != 1 {
		t.Errorf("an unknown last event: %v", lines)
	}
}
