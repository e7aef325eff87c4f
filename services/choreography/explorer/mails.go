package explorer

import (
	"fmt"
	"slices"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/mailer"
)

// The mailer only listens: nothing it does reaches the others, so every interleaving of it with them is an
// interleaving of its reads of what stands on the topics in the end. Searching those apart is exact, and
// does not multiply the states of the main search by how far the mailer has come.

// mailed is the state of the mailer's own search.
type mailed struct {
	world string
	read  [services]int
	calls string // pending and answered ones, as text
}

// mailSearch is one search over one set of topics.
type mailSearch struct {
	machine machine
	topics  [services][]event
	seen    map[mailed]bool
	queue   []mailPath
}

// mailPath is a state with the way to it.
type mailPath struct {
	state mailed
	trace []string
	// calls by kind: true once answered.
	calls map[string]bool
}

// checkMails searches the mailer over the topics of every end.
func (s *search) checkMails() {
	done := map[[services]uint16]bool{}
	for _, at := range s.ends {
		topics := s.states[at].topic
		if done[topics] {
			continue
		}
		done[topics] = true
		m := mailSearch{machine: s.system.mailer, seen: map[mailed]bool{}}
		for topic := range services {
			for _, e := range s.lists[topic][topics[topic]].events {
				if s.system.mailer.consumes(s.events[e].full) {
					m.topics[topic] = append(m.topics[topic], s.events[e])
				}
			}
		}
		rule, trace := m.run(s.expectedMails(topics))
		if rule != "" {
			s.violation = &Violation{Rule: rule, Trace: append(s.trace(at), trace...)}
			return
		}
	}
}

// expectedMails lists the kinds a customer is to get, by what was emitted.
func (s *search) expectedMails(topics [services]uint16) []string {
	var kinds []string
	for topic := range services {
		for _, e := range s.lists[topic][topics[topic]].events {
			if kind := mailer.KindOf(s.events[e].full); kind != "" {
				kinds = append(kinds, mailer.CallOf(kind))
			}
		}
	}
	slices.Sort(kinds)
	return kinds
}

func (m *mailSearch) run(expected []string) (rule string, trace []string) {
	m.push(mailPath{state: mailed{world: "{}"}, calls: map[string]bool{}})
	for len(m.queue) > 0 {
		path := m.queue[0]
		m.queue = m.queue[1:]
		if rule, trace = m.expand(path, expected); rule != "" {
			return rule, trace
		}
	}
	return "", nil
}

func (m *mailSearch) push(p mailPath) {
	p.state.calls = fmt.Sprint(p.calls)
	if !m.seen[p.state] {
		m.seen[p.state] = true
		m.queue = append(m.queue, p)
	}
}

func (m *mailSearch) expand(p mailPath, expected []string) (string, []string) {
	quiet := true
	for topic := range services {
		for i, e := range m.topics[topic][:min(p.state.read[topic]+1, len(m.topics[topic]))] {
			again := i < p.state.read[topic]
			next, out, rule := m.step(p, "the mailer reads "+e.name, flow.Input{
				Kind: flow.KindEvent, Subject: orderID, Msg: e.message, Meta: flow.Meta{Now: now, Cause: e.id},
			})
			if rule == "" && again && (next.state.world != p.state.world || len(out.Calls) > 0) {
				rule = "a repeated event changes something: the mailer reads " + e.name + " again"
			}
			if rule != "" {
				return rule, next.trace
			}
			if !again {
				quiet = false
				next.state.read[topic]++
				m.push(next)
			}
		}
	}
	for _, kind := range mailer.Kinds() {
		if answered, asked := p.calls[mailer.CallOf(kind)]; !asked || answered {
			continue
		}
		quiet = false
		next, _, rule := m.step(p, "the mail is sent: "+string(kind), flow.Input{
			Kind: flow.KindAnswer, Subject: orderID, Meta: flow.Meta{Now: now},
			Msg: mailer.Mailed{OrderID: orderID, Kind: kind, Outcome: mailer.IsSent},
		})
		if rule != "" {
			return rule, next.trace
		}
		next.calls[mailer.CallOf(kind)] = true
		m.push(next)
	}
	if quiet {
		return m.judge(p, expected), p.trace
	}
	return "", nil
}

func (m *mailSearch) step(p mailPath, what string, in flow.Input) (mailPath, outcome, string) {
	next := mailPath{state: p.state, trace: append(slices.Clone(p.trace), what), calls: map[string]bool{}}
	for kind, answered := range p.calls {
		next.calls[kind] = answered
	}
	in.Meta.IDs = func(i int) string { return fmt.Sprintf("mailer:%T#%d", in.Msg, i) }
	out, err := m.machine.decide([]byte(p.state.world), in)
	if err != nil {
		return next, out, err.Error()
	}
	next.state.world = string(out.world)
	for _, c := range out.Calls {
		if _, asked := next.calls[c.Kind]; !asked {
			next.calls[c.Kind] = false
		}
	}
	return next, out, ""
}

// judge: every fact worth a mail was mailed, once, and is known to be sent.
func (m *mailSearch) judge(p mailPath, expected []string) string {
	var kinds []string
	for kind := range p.calls {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, expected) {
		return fmt.Sprintf("mailed %v, facts worth a mail were %v", kinds, expected)
	}
	w, err := decode[mailer.World]([]byte(p.state.world))
	if err != nil {
		return err.Error()
	}
	for key, mail := range w.Mails.All() {
		if mail.State != mailer.Sent || mail.UserID != userID {
			return fmt.Sprintf("the mail %s is %s", key, mail.State)
		}
	}
	return ""
}
