package flow

import (
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Erased is what a null value on a compacted topic says: the subject that messages of type E told of is gone, and
// whoever keeps a copy of it forgets it. The envelope is that of an E; there is no message.
type Erased[E proto.Message] struct {
	// SubjectID is what is gone: the ce_subject.
	SubjectID string
}

// Subject is what is gone.
func (e Erased[E]) Subject() string { return e.SubjectID }

// OnErased binds a decide function to null values under the envelope of an event type.
func OnErased[W any, E proto.Message](decide func(*W, Erased[E], Meta) []Event) *Handler[W] {
	var zero E
	name := string(zero.ProtoReflect().Descriptor().FullName())
	return &Handler[W]{
		kind: KindEvent, input: reflect.TypeFor[Erased[E]](), fn: funcName(decide), name: name,
		erased: func(subject string) any { return Erased[E]{SubjectID: subject} },
		decide: func(w *W, msg any, m Meta) (Reply, []Event) { return Reply{}, decide(w, msg.(Erased[E]), m) },
	}
}

// Erases declares the event types for which the function may return Erase. Topics with such types are compacted: they
// keep the last event of each subject only, and an erased subject's not at all.
func (h *Handler[W]) Erases(samples ...Event) *Handler[W] {
	for _, s := range samples {
		h.erases = append(h.erases, s.ProtoReflect().Descriptor().FullName())
	}
	return h.Emits(samples...)
}

// Erase publishes a null value under the envelope of e, which has nothing but the id of its subject: what its topic
// has kept of the subject goes, and readers get an Erased.
func Erase(e Event) Event {
	w := wrap(e)
	w.erased = true
	return w
}

// IsErased says whether an event is one that Erase made.
func IsErased(e Event) bool {
	w, is := e.(wrapped)
	return is && w.erased
}

// Erased is the input that a null value of an event type is for the service; false where it takes none. The event
// with its value may be taken or not, all the same.
func (d *Definition[W]) Erased(eventType, subject string) (msg any, taken bool) {
	h := d.byErased[eventType]
	if h == nil {
		return nil, false
	}
	return h.erased(subject), true
}

// MayErase says whether a decision of the service may erase subjects of the event type. Such an event tells of a state
// that a later one has replaced or taken away, so it is never published again.
func (d *Definition[W]) MayErase(eventType string) bool {
	return slices.ContainsFunc(d.handlers, func(h *Handler[W]) bool {
		return slices.Contains(h.erases, protoreflect.FullName(eventType))
	})
}

// Compacted lists the topics of the service that keep the last event of each subject only, without prefix.
func (t Topology) Compacted() []string {
	var topics []string
	for _, e := range t.Edges {
		for _, name := range e.Erases {
			topics = append(topics, Topic(name))
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}
