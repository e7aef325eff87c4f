package check

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// recorded is the evidence of a short run without faults, taken from a real cluster by `chaos -keep`.
func recorded(t *testing.T) func() *Evidence {
	t.Helper()
	content, err := os.ReadFile("testdata/run.gob.gz")
	if err != nil {
		t.Fatal(err)
	}
	e, err := load(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return func() *Evidence { return copied(e) }
}

// copied is evidence of its own, as far as anybody here changes it: decoding it anew for every case takes
// a minute under the race detector.
func copied(of *Evidence) *Evidence {
	e := *of
	e.Calls, e.Events, e.Commands = slices.Clone(e.Calls), slices.Clone(e.Events), slices.Clone(e.Commands)
	e.Orders, e.Products, e.Reservations = slices.Clone(e.Orders), slices.Clone(e.Products), slices.Clone(e.Reservations)
	e.Policies, e.Coupons, e.Spent, e.Uses = slices.Clone(e.Policies), slices.Clone(e.Coupons), slices.Clone(e.Spent), slices.Clone(e.Uses)
	e.Payments, e.Ledger, e.Shipments = slices.Clone(e.Payments), slices.Clone(e.Ledger), slices.Clone(e.Shipments)
	e.Mails, e.Lines, e.Charges, e.Deaths = slices.Clone(e.Mails), slices.Clone(e.Lines), slices.Clone(e.Charges), slices.Clone(e.Deaths)
	e.Points, e.Timeline, e.Bookings, e.Services = maps.Clone(e.Points), maps.Clone(e.Timeline), maps.Clone(e.Bookings), maps.Clone(e.Services)
	for i := range e.Orders {
		e.Orders[i].Items = slices.Clone(e.Orders[i].Items)
	}
	for i := range e.Reservations {
		e.Reservations[i].Items = slices.Clone(e.Reservations[i].Items)
	}
	for service, left := range e.Services {
		left.Fences, left.Emitted = maps.Clone(left.Fences), maps.Clone(left.Emitted)
		e.Services[service] = left
	}
	return &e
}

func rulesOf(violations []Violation) []string {
	var names []string
	for _, v := range violations {
		names = append(names, v.Rule)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// What was recorded keeps every promise; without that, none of the tampering below says anything.
func TestRecordedRunPasses(t *testing.T) {
	t.Parallel()
	for _, v := range Judge(recorded(t)()) {
		t.Errorf("%s %s: %s", v.Rule, v.Order, v.Sentence)
	}
}

// Every rule sees what was tampered with for it, and names the order.
func TestTamperingIsSeen(t *testing.T) {
	t.Parallel()
	fresh := recorded(t)
	covered := map[string]bool{}
	for _, c := range tamperings {
		covered[c.rule] = true
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			s := &scene{Evidence: fresh(), t: t}
			order := c.do(s)
			var found []Violation
			violations := Judge(s.Evidence)
			for _, v := range violations {
				if v.Rule == c.rule && (order == "" || v.Order == order) {
					found = append(found, v)
				}
			}
			if len(found) == 0 {
				t.Fatalf("not seen for %q; violated are %v", order, rulesOf(violations))
			}
			if order != "" && found[0].Sentence == "" {
				t.Errorf("without a sentence: %+v", found[0])
			}
			if s.order(order) != nil && len(found[0].Evidence) == 0 {
				t.Errorf("without evidence: %+v", found[0])
			}
		})
	}
	for _, rule := range Rules() {
		if !covered[rule.Name] {
			t.Errorf("nobody tampers for the rule %s", rule.Name)
		}
	}
}

// scene is evidence to be tampered with.
type scene struct {
	*Evidence
	t *testing.T
}

func find[T any](s *scene, what string, rows []T, is func(*T) bool) *T {
	s.t.Helper()
	for i := range rows {
		if is(&rows[i]) {
			return &rows[i]
		}
	}
	s.t.Fatalf("nothing in the recorded run is %s", what)
	return nil
}

func (s *scene) order(id string) *Order {
	for i := range s.Orders {
		if s.Orders[i].ID == id {
			return &s.Orders[i]
		}
	}
	return nil
}

// is finds an order of that status that has all of the events, and was placed with a key.
func (s *scene) is(status string, events ...string) *Order {
	s.t.Helper()
	j := newJudge(s.Evidence)
	return find(s, status+" with its events", s.Orders, func(o *Order) bool {
		for _, name := range events {
			if !j.has(o.ID, name) {
				return false
			}
		}
		return o.Status == status && slices.ContainsFunc(s.Calls, func(c history.Call) bool { return c.Key != "" && c.Accepted() && c.End.Order == o.ID })
	})
}

func (s *scene) call(what string, is func(*history.Call) bool) *history.Call {
	s.t.Helper()
	return find(s, what, s.Calls, is)
}

func (s *scene) placed(order string) *history.Call {
	s.t.Helper()
	return s.call("the call that placed it", func(c *history.Call) bool { return c.Accepted() && c.End.Order == order })
}

func (s *scene) event(order, name string) *Event {
	s.t.Helper()
	return find(s, name, s.Events, func(e *Event) bool { return e.Subject == order && e.Type == name })
}

// emit adds an event behind those of the same place and subject.
func (s *scene) emit(like *Event, name, id string) {
	added := *like
	added.Type, added.ID = name, id
	at := 0
	for i := range s.Events {
		e := &s.Events[i]
		if e.Place == like.Place && e.Subject == like.Subject {
			added.Sequence, at = e.Sequence+1, i+1
		}
	}
	s.Events = slices.Insert(s.Events, at, added)
}

func (s *scene) answer(c history.Call) {
	c.N = int64(len(s.Calls) + 1)
	if c.At.IsZero() {
		c.At, c.End.At = s.LastFault.Add(time.Second), s.LastFault.Add(2*time.Second)
	}
	s.Calls = append(s.Calls, c)
}

func dropped[T any](rows []T, is func(*T) bool) []T {
	return slices.DeleteFunc(rows, func(row T) bool { return is(&row) })
}
