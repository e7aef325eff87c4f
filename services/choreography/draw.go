package choreography

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// Draw is the choreography as a Mermaid flowchart: one arrow for all that one service says to another. A
// listener, which takes whole topics, has a dotted one.
func Draw(all []flow.Topology) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, t := range all {
		fmt.Fprintf(&b, "    %s[%s]\n", t.Service, t.Service)
	}
	for _, from := range all {
		emits := emittedBy(from)
		for _, to := range all {
			var heard []string
			for _, name := range emits {
				if slices.ContainsFunc(to.Edges, func(e flow.Edge) bool { return e.Kind == flow.KindEvent && e.Input == name }) {
					heard = append(heard, shortName(name))
				}
			}
			if len(heard) > 0 {
				fmt.Fprintf(&b, "    %s -- \"%s\" --> %s\n", from.Service, strings.Join(heard, "<br/>"), to.Service)
			}
			if slices.ContainsFunc(from.Published(), func(topic string) bool { return slices.Contains(to.Listens, topic) }) {
				fmt.Fprintf(&b, "    %s -. everything .-> %s\n", from.Service, to.Service)
			}
		}
	}
	return b.String()
}

// Table lists every line of every service's part, as Markdown.
func Table(all []flow.Topology) string {
	var b strings.Builder
	b.WriteString("| service | takes | decided by | may emit | may call |\n|---|---|---|---|---|\n")
	for _, t := range all {
		for _, topic := range t.Listens {
			fmt.Fprintf(&b, "| %s | everything on `%s` | | | |\n", t.Service, topic)
		}
		for _, e := range t.Edges {
			takes := shortName(e.Input)
			if e.Kind != flow.KindEvent {
				takes = e.Kind.String() + " " + takes
			}
			if e.Erased {
				takes += " (null)"
			}
			var emits []string
			for _, name := range e.Emits {
				emits = append(emits, shortName(name))
			}
			fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s |\n",
				t.Service, takes, e.Func, strings.Join(emits, ", "), strings.Join(e.Calls, ", "))
		}
	}
	return b.String()
}

// The markers around README's generated section.
const (
	markBegin = "<!-- topology:begin -->"
	markEnd   = "<!-- topology:end -->"
)

// Section puts drawing and table between README's markers. A text without them is refused, not extended:
// where the section goes is the author's choice.
func Section(readme string, all []flow.Topology) (string, error) {
	begin := strings.Index(readme, markBegin)
	end := strings.Index(readme, markEnd)
	if begin < 0 || end < begin {
		return "", fmt.Errorf("no section between %s and %s", markBegin, markEnd)
	}
	section := markBegin + "\n\n```mermaid\n" + Draw(all) + "```\n\n" + Table(all) + "\n"
	return readme[:begin] + section + readme[end:], nil
}
