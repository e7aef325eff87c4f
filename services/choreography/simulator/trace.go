package simulator

import (
	"fmt"
	"strings"
	"time"
)

// Line is one thing that happened.
type Line struct {
	At      time.Duration
	Who     string // stock/2, the carrier, a customer
	Subject string // the order or product it is about; "": all of them
	Text    string
}

// String is the line as a person reads it.
func (l Line) String() string {
	return fmt.Sprintf("%11.6fs  %-11s %-12s %s", l.At.Seconds(), l.Who, l.Subject, l.Text)
}

// Violation is a rule that did not hold.
type Violation struct {
	Seed uint64
	Rule string
	// Subject it is about; "": none in particular.
	Subject string
	// Enabled names the seed's faults.
	Enabled string
	// Trace holds the lines that concern the subject.
	Trace []Line
}

// Error says which rule, which faults, and how it came about.
func (v *Violation) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s", v.Seed, v.Rule)
	if v.Subject != "" {
		fmt.Fprintf(&b, " (%s)", v.Subject)
	}
	fmt.Fprintf(&b, "\nfaults: %s\n", v.Enabled)
	for _, l := range v.Trace {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// trace collects lines. Only a run that is to be told has one.
type trace struct{ lines []Line }

// about picks the lines of one subject and those that concern all.
func (t *trace) about(subject string) []Line {
	var lines []Line
	for _, l := range t.lines {
		if subject == "" || l.Subject == "" || strings.Contains(l.Subject, subject) && !digitFollows(l.Subject, subject) {
			lines = append(lines, l)
		}
	}
	return lines
}

// digitFollows keeps order-1 from being found in order-12.
func digitFollows(text, part string) bool {
	rest := text[strings.Index(text, part)+len(part):]
	return rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

// tell adds a line.
func (s *sim) tell(who, subject, format string, args ...any) {
	if s.trace != nil {
		s.trace.lines = append(s.trace.lines, Line{At: s.now, Who: who, Subject: subject, Text: fmt.Sprintf(format, args...)})
	}
}
