package flow

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// Resend asks a service to publish an event again that it has published before: a repair, for a reader
// that has lost what it did with the first one. Every service takes it without declaring it, and no
// decide function sees it: nothing is decided, a fact is repeated.
//
// The repetition has an id of its own, so that inboxes let it through, and names the first one as its
// cause. Each step happens once per order whatever is read again, so a reader that had not lost anything
// changes nothing. Events whose subjects can be erased are not repeated: they tell of a state, not of a
// step, and an old one sent again would bring back what has been changed or erased since.
type Resend struct {
	// Message is the event as it stood on the topic, EventID its ce_id then.
	Message proto.Message
	EventID string
	// SubjectID is what it is about: its ce_subject.
	SubjectID string
}

// Subject is the subject of the event.
func (r Resend) Subject() string { return r.SubjectID }

// Resent is what a Resend is answered with.
type Resent struct {
	EventID string `json:"eventId"`
	Type    string `json:"type"`
	// CausationID is the event that was repeated.
	CausationID string `json:"causationId"`
}

// Publishes says whether a decision of the service may emit the type: whether an event of it is the
// service's own to repeat.
func (d *Definition[W]) Publishes(eventType string) bool {
	return slices.ContainsFunc(d.handlers, func(h *Handler[W]) bool {
		return slices.ContainsFunc(h.emits, func(name protoreflect.FullName) bool { return string(name) == eventType })
	})
}

// resend is the outcome of a Resend.
func (d *Definition[W]) resend(r Resend, m Meta) Outcome {
	name := string(r.Message.ProtoReflect().Descriptor().FullName())
	if !d.Publishes(name) || d.MayErase(name) {
		return Outcome{Reply: Reply{Status: 404, Refusal: fault.NotFound()}}
	}
	id := m.EventID(0)
	return Outcome{
		Reply:  Reply{Status: 202, Body: Resent{EventID: id, Type: name, CausationID: r.EventID}},
		Events: []Emission{{ID: id, Cause: r.EventID, Message: r.Message}},
	}
}
