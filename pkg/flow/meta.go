package flow

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// Meta is what a decide function may know besides the World and the input. It has no clock of its
// own: Now is the database's, read once per batch after every lock is held, so that two replicas
// whose clocks differ decide alike.
type Meta struct {
	Now time.Time
	// Cause is the id of the event that is being handled. For a command it is the command's id. For
	// an answer or a deadline it is the id of the event that opened the wait, where the service
	// passed it on. Store it with the wait that the decision opens; Because gives it back.
	Cause string
	// IDs yields the ids this decision gives to what it emits; see EventID.
	IDs func(i int) string
}

// EventID is the id that the i-th event returned by this decision will carry (a UUIDv7). A decision
// that opens a wait with its own event, as PlaceOrder does, stores it as that wait's cause.
func (m Meta) EventID(i int) string { return m.IDs(i) }

// Reply is what a command's caller is answered, after COMMIT.
type Reply struct {
	// Status is the HTTP status of the answer.
	Status int
	// Body is marshalled to JSON. It may be nil.
	Body any
	// Refusal, where set, is answered instead as a problem document.
	Refusal *fault.Refusal
	// Forget says that the answer must not be kept for the idempotency key, as the request may
	// succeed when it is sent again.
	Forget bool
}

// Refuse is the reply that says no, without any event.
func Refuse(r *fault.Refusal) (Reply, []Event) { return Reply{Status: r.Status, Refusal: r}, nil }

// wrapped is an event with what a decision says about it beside its message.
type wrapped struct {
	proto.Message
	cause  string // "": the input that was handled
	erased bool   // see Erase
}

func wrap(e Event) wrapped {
	if w, is := e.(wrapped); is {
		return w
	}
	return wrapped{Message: e}
}

// Because says which event caused e, where it is not the one being handled: for a provider's answer,
// a webhook or a deadline it is the event that opened that wait. An empty cause changes nothing. Said
// twice, the last one holds.
func Because(cause string, e Event) Event {
	if cause == "" {
		return e
	}
	w := wrap(e)
	w.cause = cause
	return w
}

// Unwrap separates an event from the cause that Because gave it ("" if none).
func Unwrap(e Event) (message proto.Message, cause string) {
	w := wrap(e)
	return w.Message, w.cause
}

// Input is one thing to decide, with the subject whose lock it needs.
type Input struct {
	Kind    Kind
	Subject string
	// Msg is the decoded event, the command, the answer or the deadline.
	Msg  any
	Meta Meta
}
