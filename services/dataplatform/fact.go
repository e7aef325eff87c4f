package dataplatform

import (
	"fmt"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// OnEvent keeps an event for the export, whatever its type. The payload is not looked at: this is the path that has to
// keep up with the shop. It is read when it is sent.
func OnEvent(w *World, r flow.Record, _ flow.Meta) []flow.Event {
	w.Facts = append(w.Facts, Fact{
		ID: r.ID, Type: r.Type, Subject: r.SubjectID, Sequence: r.Sequence, OccurredAt: r.Time,
		Causation: r.CausationID, Correlation: r.CorrelationID, Payload: r.Payload,
	})
	return nil
}

// RequestReplay is POST /ops/v1/dataplatform/replay: everything since a time is sent again.
type RequestReplay struct {
	ReplayID string
	From     time.Time
}

// Subject is the replay.
func (c RequestReplay) Subject() string { return c.ReplayID }

// ReplayView is how a replay is answered.
type ReplayView struct {
	ReplayID string    `json:"replayId"`
	From     time.Time `json:"from"`
	// UpTo is the position of the newest fact that is sent again: those after it are yet to be sent for the first time.
	UpTo int64 `json:"upTo"`
}

// maxReplays is how many replays may be open: each is sent beside the live export.
const maxReplays = 5

// OnReplay opens a replay. It ends where the live export stands, so that no fact is sent again before it was sent, and
// none twice in one replay.
func OnReplay(w *World, c RequestReplay, m flow.Meta) (flow.Reply, []flow.Event) {
	switch {
	case c.From.After(m.Now):
		return flow.Refuse(invalidFrom("It lies in the future."))
	case c.From.Before(w.Archive.KeptFrom):
		return flow.Refuse(invalidFrom("Facts are kept from " + w.Archive.KeptFrom.Format(time.DateOnly) + " on."))
	case w.Archive.Open >= maxReplays:
		return flow.Refuse(fault.Conflict(fault.CodeConflict, fmt.Sprintf("%d replays are not done yet.", maxReplays)))
	}
	r := Replay{ID: c.ReplayID, From: c.From.UTC(), UpTo: w.Archive.Exported}
	w.Replays.Put(r.ID, r)
	w.Archive.Open++
	return flow.Reply{Status: 202, Body: ReplayView{ReplayID: r.ID, From: r.From, UpTo: r.UpTo}}, nil
}

func invalidFrom(detail string) *fault.Refusal {
	return fault.Invalid(fault.FieldError{Pointer: "/from", Code: fault.CodeInvalidField, Detail: detail})
}
