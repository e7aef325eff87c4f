package gateway

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// Check is what is known of one subject's events for holding the next ones against: one row, however many there are.
type Check struct {
	Subject string
	// Tracks by service.
	Tracks map[string]Track
	Doubts []Doubt
}

// Track is which numbers of one source and subject were seen.
type Track struct {
	Seen Spans `json:"s"`
	// High is the highest number by topic. One topic has an order; two have none between them.
	High map[string]int64 `json:"h"`
}

// Doubt is something missing: after the grace period it is a finding, and until it comes.
type Doubt struct {
	Rule    Rule   `json:"r"`
	EventID string `json:"e"`
	// Cause is what a Cause doubt waits for; Event what is needed to judge it then.
	Cause string `json:"c,omitempty"`
	Event *Event `json:"v,omitempty"`
	// Service, From and To are the numbers a Gap doubt waits for.
	Service string `json:"n,omitempty"`
	From    int64  `json:"f,omitempty"`
	To      int64  `json:"t,omitempty"`

	Due   time.Time `json:"d"`
	Found bool      `json:"x,omitempty"`
}

// DueAt is when the next doubt becomes a finding; zero: none will.
func (c Check) DueAt() time.Time {
	var due time.Time
	for _, d := range c.Doubts {
		if !d.Found && (due.IsZero() || d.Due.Before(due)) {
			due = d.Due
		}
	}
	return due
}

// Known is what has to be known of an event to judge its effects.
type Known struct {
	ID, Subject, Type string
	Service           string
	Sequence          int64
}

// Start is the first record that was ever read of a partition here.
type Start struct {
	// Offset is 0 where nothing can have been dropped before it.
	Offset int64
	At     time.Time
}

// PartitionKey names a partition among the Starts.
func PartitionKey(topic string, partition int32) string {
	return fmt.Sprintf("%s/%d", topic, partition)
}

// Overdue says that a subject's doubts are due.
type Overdue struct{ SubjectID string }

// Subject is the subject with the doubts.
func (o Overdue) Subject() string { return o.SubjectID }

// OnOverdue makes findings of the doubts that have waited for long enough. It first looks at the events themselves: a
// replica of a version that did not check yet may have filed what this row does not know of.
func OnOverdue(w *World, o Overdue, m flow.Meta) []flow.Event {
	c, known := w.Checks.Get(o.SubjectID)
	if !known || w.Rules == nil {
		return nil
	}
	for _, k := range w.Told[o.SubjectID] {
		c = c.resolve(w, k)
		c = c.saw(k.Service, k.Sequence)
	}
	doubts := make([]Doubt, 0, len(c.Doubts))
	for _, d := range c.Doubts {
		if d.Rule == Gap && c.Tracks[d.Service].Seen.Cover(d.From, d.To) {
			settle(w, d, o.SubjectID)
			continue
		}
		if !d.Found && !m.Now.Before(d.Due) {
			d.Found = true
			find(w, d.EventID, o.SubjectID, d.Rule, d.detail())
		}
		doubts = append(doubts, d)
	}
	c.Doubts = doubts
	w.Checks.Put(o.SubjectID, c)
	return nil
}

// conform holds one new event against the rules. Its subject is locked, so the row it changes is nobody else's.
func conform(w *World, e Event, r flow.Record, m flow.Meta) {
	if w.Rules == nil {
		return
	}
	begin(w, r)
	c, known := w.Checks.Get(e.Subject)
	if !known {
		c = Check{Subject: e.Subject}
	}
	if w.Rules.services[e.Service] != nil && r.Source == "/quadrille/"+e.Service {
		c = c.number(w, e, m) // nobody else's numbers mean anything
	}
	if wrong := w.Rules.declared(r); wrong != "" {
		// What nobody declares has no legal cause either: one finding says it all.
		find(w, e.ID, e.Subject, Undeclared, wrong)
	} else {
		c = c.cause(w, e, m)
	}
	c = c.resolve(w, Known{ID: e.ID, Subject: e.Subject, Type: e.Type, Service: e.Service, Sequence: e.Sequence})
	w.Checks.Put(e.Subject, c)
}

// begin notes where the reading of a partition began: what a new gateway finds missing may be older than the topic
// keeps, see dropped.
func begin(w *World, r flow.Record) {
	key := PartitionKey(r.Topic, r.Partition)
	if _, known := w.Starts.Get(key); !known {
		w.Starts.Put(key, Start{Offset: r.Offset, At: r.Time})
	}
}

// clockSlack is how far the clocks of services, and ids and times of one service, may be apart.
const clockSlack = time.Minute

// dropped says whether an event of this id, or of a chain that began with it, may have been dropped by the topics'
// retention before this gateway began to read. A topic drops its beginning only: where the reading of every partition
// began at offset 0 nothing was dropped, and else what was is older than the first record that was there. The id says
// how old, as it is a UUIDv7. What cannot be told is not forgiven.
func dropped(w *World, id string) bool {
	at, ok := idTime(id)
	if !ok {
		return false
	}
	for _, start := range w.Starts.All() {
		if start.Offset > 0 && at.Before(start.At.Add(clockSlack)) {
			return true
		}
	}
	return false
}

// idTime is the time in a UUIDv7 (RFC 9562, section 5.7).
func idTime(id string) (time.Time, bool) {
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(raw) != 16 || raw[6]>>4 != 7 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range raw[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms), true
}

// number holds the event's number against those seen of its source and subject.
func (c Check) number(w *World, e Event, m flow.Meta) Check {
	t := c.Tracks[e.Service]
	switch high := t.High[e.Topic]; {
	case e.Sequence < 1:
		find(w, e.ID, e.Subject, StepBack, fmt.Sprintf("%s begins with number 1, not %d", e.Service, e.Sequence))
		return c
	case t.Seen.Has(e.Sequence):
		find(w, e.ID, e.Subject, StepBack, fmt.Sprintf("number %d of %s came before, under another id", e.Sequence, e.Service))
		return c
	case e.Sequence < high:
		// One source publishes one subject in order, and a repeated event is known by its id: so this one was overtaken.
		find(w, e.ID, e.Subject, StepBack, fmt.Sprintf("number %d of %s came after number %d", e.Sequence, e.Service, high))
	}
	if from := t.Seen.Before(e.Sequence) + 1; from < e.Sequence {
		if len(t.Seen) == 0 && dropped(w, e.Correlation) {
			t.Seen = t.Seen.Add(1, e.Sequence)
		} else {
			c.Doubts = append(slices.Clone(c.Doubts), Doubt{
				Rule: Gap, EventID: e.ID, Service: e.Service, From: from, To: e.Sequence - 1, Due: m.Now.Add(w.Rules.grace),
			})
		}
	}
	high := map[string]int64{e.Topic: e.Sequence}
	for topic, n := range t.High {
		high[topic] = max(n, high[topic])
	}
	return c.with(e.Service, Track{Seen: t.Seen, High: high}).saw(e.Service, e.Sequence)
}

// saw notes a number as seen.
func (c Check) saw(service string, n int64) Check {
	t := c.Tracks[service]
	if n < 1 || t.Seen.Has(n) {
		return c
	}
	t.Seen = t.Seen.Add(n, n)
	return c.with(service, t)
}

// with replaces one track in a map of its own: a row is a value.
func (c Check) with(service string, t Track) Check {
	tracks := make(map[string]Track, len(c.Tracks)+1)
	for name, track := range c.Tracks {
		tracks[name] = track
	}
	tracks[service] = t
	c.Tracks = tracks
	return c
}

// cause holds the event against its cause, or begins to wait for it.
func (c Check) cause(w *World, e Event, m flow.Meta) Check {
	switch e.Causation {
	case "":
		if wrong := w.Rules.causeless(e); wrong != "" {
			find(w, e.ID, e.Subject, Cause, wrong)
		}
		return c
	case e.ID:
		find(w, e.ID, e.Subject, Cause, "names itself as its cause")
		return c
	}
	if cause, known := known(w, e.Causation); known {
		judge(w, e, cause)
		return c
	}
	if dropped(w, e.Causation) {
		return c
	}
	e.Payload = nil
	c.Doubts = append(slices.Clone(c.Doubts), Doubt{
		Rule: Cause, EventID: e.ID, Cause: e.Causation, Event: &e, Due: m.Now.Add(w.Rules.grace),
	})
	return c
}

// known looks for an event among those that came in this batch and those that are there.
func known(w *World, id string) (Known, bool) {
	if e, ok := w.Events.Get(id); ok {
		return Known{ID: e.ID, Subject: e.Subject, Type: e.Type, Service: e.Service, Sequence: e.Sequence}, true
	}
	return w.Causes.Get(id)
}

func judge(w *World, e Event, cause Known) {
	if rule, wrong := w.Rules.because(e, cause); wrong != "" {
		find(w, e.ID, e.Subject, rule, wrong)
	}
}

// resolve ends the doubts that waited for the event, and those whose numbers have all come.
func (c Check) resolve(w *World, k Known) Check {
	if len(c.Doubts) == 0 {
		return c
	}
	doubts := make([]Doubt, 0, len(c.Doubts))
	for _, d := range c.Doubts {
		switch {
		case d.Rule == Cause && d.Cause == k.ID:
			settle(w, d, c.Subject)
			if d.Event != nil {
				judge(w, *d.Event, k)
			}
		case d.Rule == Gap && c.Tracks[d.Service].Seen.Cover(d.From, d.To):
			settle(w, d, c.Subject)
		default:
			doubts = append(doubts, d)
		}
	}
	c.Doubts = doubts
	return c
}

func (d Doubt) detail() string {
	switch {
	case d.Rule == Cause:
		return "its cause " + quoted(d.Cause) + " has not come"
	case d.From == d.To:
		return fmt.Sprintf("number %d of %s has not come", d.From, d.Service)
	}
	return fmt.Sprintf("numbers %d to %d of %s have not come", d.From, d.To, d.Service)
}

// settle takes back what was found of a doubt.
func settle(w *World, d Doubt, subject string) {
	if d.Found {
		f := Finding{EventID: d.EventID, Subject: subject, Rule: d.Rule, Detail: d.detail(), Cleared: true}
		w.Findings.Put(f.Key(), f)
	}
}

// find records a finding; two about one event and rule are one.
func find(w *World, eventID, subject string, rule Rule, detail string) {
	f := Finding{EventID: eventID, Subject: subject, Rule: rule, Detail: detail}
	if before, twice := w.Findings.Get(f.Key()); twice && !before.Cleared {
		f.Detail = before.Detail + "; " + detail
	}
	w.Findings.Put(f.Key(), f)
}
