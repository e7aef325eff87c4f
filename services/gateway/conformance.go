package gateway

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// Rule names what an event on a live topic was held against and did not keep.
type Rule string

// The rules. A Gap and a Cause are found once a grace period has passed, as topics have no order between them, and go
// when what was missing comes. The others stand for as long as the event.
const (
	// Undeclared: nobody declares to emit such an event there, or not because of that.
	Undeclared Rule = "undeclared"
	// Gap: numbers of this source and subject have not come.
	Gap Rule = "gap"
	// StepBack: a number came twice under two ids, or after a higher one of its topic.
	StepBack Rule = "stepback"
	// Cause: the event that it names as its cause has not come, is another subject's, or it names none.
	Cause Rule = "cause"
)

// Finding is one event that broke one rule.
type Finding struct {
	EventID string
	Subject string
	Rule    Rule
	// Detail is one sentence; ids, types and numbers only.
	Detail string
	// Cleared: what was missing came after all.
	Cleared bool
}

// Key names the finding: an event breaks a rule once.
func (f Finding) Key() string { return f.EventID + "/" + string(f.Rule) }

// Rules is what the declared choreography says about an event and its cause. It is a value made once of all topologies.
//
// A declaration says what comes in and what may go out, and so, for what a service answers an event with, the one
// legal type of its cause. What it emits on an outside answer, a deadline or a provider's webhook is caused by the event
// that opened the wait, and that follows from the declaration too:
//
//   - A wait for an answer (or a webhook) is opened by a decision that asks for a call. So its event is one that such a
//     decision takes, or one that it emits (PaymentCancelled opens the refund, ShipmentPrepared the delivery).
//   - A wait for time is opened by an event that the service takes and answers with nothing for now, or by the event a
//     command began with: OrderCreated.
//   - A command's events are caused by nothing where they begin the chain, else by the chain's first event, and bear the
//     command's id. Only a command's do.
//
// A published event may be published again as a repair: under a command's id, with the first one as its cause.
type Rules struct {
	services map[string]map[string]emission
	grace    time.Duration
}

// emission is how one type may come about in its service.
type emission struct {
	// byCommand: a command may emit it, and hence without a cause.
	byCommand bool
	// causes of what no command emitted, commandCauses of what one did and was not the chain's first event; types.
	causes, commandCauses map[string]bool
}

// NewRules derives the rules. grace is how long an event may wait for its cause, and for the numbers before its own.
func NewRules(all []flow.Topology, grace time.Duration) *Rules {
	r := &Rules{services: map[string]map[string]emission{}, grace: grace}
	for _, t := range all {
		emits := map[string]emission{}
		byCall, byTime := opensCall(t), opensWait(t)
		for _, edge := range t.Edges {
			for _, name := range edge.Emits {
				e, known := emits[name]
				if !known {
					e = emission{causes: map[string]bool{}, commandCauses: map[string]bool{}}
				}
				switch edge.Kind {
				case flow.KindEvent:
					e.causes[edge.Input] = true
				case flow.KindAnswer:
					maps.Copy(e.causes, byCall)
				case flow.KindDeadline:
					maps.Copy(e.causes, byTime)
				case flow.KindCommand:
					e.byCommand = true
					maps.Copy(e.commandCauses, byCall)
				}
				emits[name] = e
			}
		}
		r.services[t.Service] = emits
	}
	return r
}

// opensCall are the types that may open a wait for an answer.
func opensCall(t flow.Topology) map[string]bool {
	opens := map[string]bool{}
	for _, edge := range t.Edges {
		if len(edge.Calls) == 0 {
			continue
		}
		if edge.Kind == flow.KindEvent {
			opens[edge.Input] = true
		}
		for _, name := range edge.Emits {
			opens[name] = true
		}
	}
	return opens
}

// opensWait are the types that may open a wait for time.
func opensWait(t flow.Topology) map[string]bool {
	opens := map[string]bool{}
	for _, edge := range t.Edges {
		switch {
		case edge.Kind == flow.KindEvent && len(edge.Emits) == 0:
			opens[edge.Input] = true
		case edge.Kind == flow.KindCommand:
			for _, name := range edge.Emits {
				opens[name] = true
			}
		}
	}
	return opens
}

// declared holds an event against the declaration as far as it goes without its cause. It returns what is wrong, "" if
// nothing is.
func (r *Rules) declared(e flow.Record) string {
	service, ours := strings.CutPrefix(e.Source, "/quadrille/")
	emits, known := r.services[service]
	if !ours || !known {
		return quoted(e.Source) + " is no service of this choreography"
	}
	if _, known = emits[e.Type]; !known {
		return service + " does not declare to emit " + quoted(e.Type)
	}
	if topic := flow.Topic(e.Type); e.Topic != topic {
		return quoted(e.Type) + " is on " + e.Topic + ", and belongs on " + topic
	}
	return ""
}

// causeless says why an event that names no cause should name one, "" if it need not.
func (r *Rules) causeless(e Event) string {
	switch how := r.services[e.Service][e.Type]; {
	case !how.byCommand:
		return e.Name() + " never comes without a cause, and names none"
	case e.Command == "":
		return e.Name() + " without a cause comes of a command, and names none"
	case e.Correlation != e.ID:
		return "names no cause, and is not the first of its chain"
	}
	return ""
}

// because holds an event against its cause: what is wrong, and against which rule; "" if nothing is.
func (r *Rules) because(e Event, cause Known) (Rule, string) {
	how := r.services[e.Service][e.Type]
	switch {
	case cause.Subject != e.Subject:
		return Cause, "its cause " + e.Causation + " is about another subject"
	case e.Command == "" && len(how.causes) == 0:
		return Cause, e.Name() + " comes of a command, and names none"
	case e.Command == "" && !how.causes[cause.Type]:
		return Undeclared, r.notBecause(e, cause, how.causes)
	case e.Command == "" || cause.Type == e.Type:
		return "", ""
	case !how.byCommand:
		return Undeclared, e.Service + " does not declare that a command emits " + e.Name()
	case e.Causation != e.Correlation && !how.commandCauses[cause.Type]:
		return Undeclared, r.notBecause(e, cause, how.commandCauses)
	}
	return "", ""
}

func (*Rules) notBecause(e Event, cause Known, legal map[string]bool) string {
	var names []string
	for name := range legal {
		names = append(names, shortName(name))
	}
	slices.Sort(names)
	text := e.Service + " does not declare " + e.Name() + " because of " + shortName(cause.Type)
	if len(names) == 0 {
		return text
	}
	return text + ", but of " + strings.Join(names, ", ")
}

// quoted shortens a text that anybody may have put into a header.
func quoted(s string) string {
	const longest = 120
	if runes := []rune(s); len(runes) > longest {
		s = string(runes[:longest]) + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, s)
}
