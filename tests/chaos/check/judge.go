package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// Violation is one promise that was broken.
type Violation struct {
	// Rule by its short name; Rules explains them.
	Rule string `json:"rule"`
	// Order it is about, "" where it is about none.
	Order    string `json:"order,omitempty"`
	Sentence string `json:"sentence"`
	// Evidence is what there is about the order: calls, events, rows. The first of each rule have it.
	Evidence []string `json:"evidence,omitempty"`
}

// Rule is one promise.
type Rule struct {
	Name string `json:"name"`
	// Promise in a sentence.
	Promise string `json:"promise"`
	judge   func(*judge)
}

// Rules lists them all, in the order in which they are looked at.
func Rules() []Rule {
	return slices.Concat(historyRules, topicRules, agreementRules, sumRules, leftRules)
}

// evidenceFor is how many violations of one rule come with their evidence.
const evidenceFor = 10

// FinalWithin is how long after the last fault an order may take to become final.
const FinalWithin = 5 * time.Minute

// Judge holds the evidence against every rule. The violations are in the order of the rules, and within
// one always the same.
func Judge(e *Evidence) []Violation {
	j := newJudge(e)
	for _, rule := range Rules() {
		j.rule, j.told = rule.Name, 0
		begin := len(j.violations)
		rule.judge(j)
		found := j.violations[begin:]
		slices.SortStableFunc(found, func(a, b Violation) int {
			return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Sentence, b.Sentence))
		})
		for i := range found[:min(len(found), evidenceFor)] {
			found[i].Evidence = j.trail(found[i].Order)
		}
	}
	return j.violations
}

// judge is the evidence with its indexes.
type judge struct {
	*Evidence
	rule       string
	told       int
	violations []Violation

	order       map[string]*Order
	reservation map[string]*Reservation
	use         map[string]*Use
	payment     map[string]*Payment
	shipment    map[string]*Shipment
	line        map[string]*Line
	charges     map[string][]*Charge
	// event holds the first copy of each event, by id; of those of each subject in the order of the log.
	event map[string]*Event
	about map[string][]*Event
	// placed are the calls that placed orders, by key; those without a key by order.
	byKey map[memberKey][]*history.Call
	bare  []*history.Call
}

type memberKey struct{ member, key string }

func index[T any](rows []T, id func(*T) string) map[string]*T {
	m := make(map[string]*T, len(rows))
	for i := range rows {
		m[id(&rows[i])] = &rows[i]
	}
	return m
}

func newJudge(e *Evidence) *judge {
	j := &judge{
		Evidence:    e,
		order:       index(e.Orders, func(o *Order) string { return o.ID }),
		reservation: index(e.Reservations, func(r *Reservation) string { return r.Order }),
		use:         index(e.Uses, func(u *Use) string { return u.Order }),
		payment:     index(e.Payments, func(p *Payment) string { return p.Order }),
		shipment:    index(e.Shipments, func(s *Shipment) string { return s.Order }),
		line:        index(e.Lines, func(l *Line) string { return l.Order }),
		charges:     map[string][]*Charge{},
		event:       make(map[string]*Event, len(e.Events)),
		about:       make(map[string][]*Event, len(e.Orders)),
		byKey:       map[memberKey][]*history.Call{},
	}
	for i := range e.Charges {
		c := &e.Charges[i]
		j.charges[c.Order] = append(j.charges[c.Order], c)
	}
	for i := range e.Events {
		v := &e.Events[i]
		if _, again := j.event[v.ID]; !again {
			j.event[v.ID] = v
			j.about[v.Subject] = append(j.about[v.Subject], v)
		}
	}
	for i := range e.Calls {
		c := &e.Calls[i]
		switch {
		case c.Op != history.Place:
		case c.Key == "":
			j.bare = append(j.bare, c)
		default:
			k := memberKey{c.Member, c.Key}
			j.byKey[k] = append(j.byKey[k], c)
		}
	}
	return j
}

// most is how many violations of one rule are told: a run that broke as a whole needs no more.
const most = 500

func (j *judge) violated(order, format string, values ...any) {
	if j.told++; j.told > most {
		return
	}
	j.violations = append(j.violations, Violation{Rule: j.rule, Order: order, Sentence: fmt.Sprintf(format, values...)})
}

// first is the order's event of a type, nil if there is none.
func (j *judge) first(order, name string) *Event {
	for _, e := range j.about[order] {
		if e.Type == name {
			return e
		}
	}
	return nil
}

func (j *judge) has(order, name string) bool { return j.first(order, name) != nil }

// live says that an order stands: it takes pieces, money, points and coupons.
func (o *Order) live() bool {
	return o.Status == "COMPLETED" || o.Status == "SHIPPED" || o.Status == "DELIVERED"
}

func (o *Order) final() bool {
	return o.Status == "CANCELLED" || o.live() && (o.Status != "COMPLETED" || o.CancelRequest != "REQUESTED")
}

// trail is all that is known of an order, oldest first.
func (j *judge) trail(order string) []string {
	if order == "" {
		return nil
	}
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.Target == order || c.End.Order == order {
			lines = append(lines, line{c.At, fmt.Sprintf("%s call %d: %s %s %s at gateway %d, key %q, try %d → %s %d %s %s (%s)",
				c.At.Format(clock), c.N, c.Op, c.Member, c.Word, c.Gateway, c.Key, c.Attempt,
				c.End.Outcome, c.End.Status, c.End.Code, c.End.State, c.End.At.Sub(c.At).Round(time.Millisecond))})
		}
	}
	for i := range j.Events {
		e := &j.Events[i]
		if e.Subject == order {
			lines = append(lines, line{e.At, fmt.Sprintf("%s event %s %d: %s on %s/%d at %d, id %s, cause %s %s%s",
				e.At.Format(clock), e.Source, e.Sequence, e.Type, e.Topic, e.Partition, e.Offset, e.ID, e.Cause, e.Reason, e.Undo)})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	var out []string
	for _, l := range lines {
		out = append(out, l.text)
	}
	return append(out, j.rows(order)...)
}

const clock = "15:04:05.000"

func (j *judge) rows(order string) []string {
	var out []string
	add := func(there bool, name string, row any) {
		if there {
			out = append(out, fmt.Sprintf("%s: %+v", name, row))
		}
	}
	if o := j.order[order]; o != nil {
		add(true, "order", *o)
	}
	if r := j.reservation[order]; r != nil {
		add(true, "stock", *r)
	}
	if u := j.use[order]; u != nil {
		add(true, "coupon", *u)
	}
	if p := j.payment[order]; p != nil {
		add(true, "payment", *p)
	}
	for _, c := range j.charges[order] {
		add(true, "provider", *c)
	}
	if s := j.shipment[order]; s != nil {
		add(true, "shipping", *s)
	}
	add(j.Bookings[order] != "", "carrier", j.Bookings[order])
	if l := j.line[order]; l != nil {
		add(true, "gateway", *l)
	}
	return out
}
