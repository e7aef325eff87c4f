package gateway_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/choreography"
	"github.com/quadrille-io/quadrille/services/gateway"
)

const grace = time.Minute

func rules() *gateway.Rules { return gateway.NewRules(choreography.Topologies(), grace) }

// conforming is a story as the engine would have published it: chains and commands filled in.
func conforming(t *testing.T, all []told) []flow.Record {
	t.Helper()
	var records []flow.Record
	for i, e := range story(t, all) {
		r := record(e)
		r.CorrelationID = "OrderCreated"
		switch m := all[i].message.(type) {
		case *orderv1.OrderCreated, *orderv1.OrderCancelRequested:
			r.CommandID = "command"
		case *orderv1.OrderCancelled:
			if m.GetReason() == byCustomer && all[i].cause == "OrderCreated" {
				r.CommandID = "command"
			}
		}
		records = append(records, r)
	}
	return records
}

// file gives records to the gateway, and returns what stands against them once the grace period is over.
func file(w *gateway.World, records ...flow.Record) []string {
	for _, r := range records {
		gateway.OnEvent(w, r, flow.Meta{Now: noon})
	}
	return standing(w, noon.Add(grace))
}

func standing(w *gateway.World, now time.Time) (list []string) {
	for subject := range w.Checks.All() {
		gateway.OnOverdue(w, gateway.Overdue{SubjectID: subject}, flow.Meta{Now: now})
	}
	for _, f := range w.Findings.All() {
		if !f.Cleared {
			list = append(list, fmt.Sprintf("%s %s: %s", f.EventID, f.Rule, f.Detail))
		}
	}
	return list
}

const (
	straight = "straight through" // order 1: OrderCreated, OrderCompleted; stock 1, payment 1, shipping 1
	declined = "waived after coupon had answered"
)

func TestFindings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		story string
		forge func(r map[string]*flow.Record)
		want  []string
	}{
		"a type that nobody declares": {
			straight, func(r map[string]*flow.Record) { r["ShipmentPrepared"].Type = "quadrille.shipping.v1.ShipmentLost" },
			[]string{"ShipmentPrepared undeclared: shipping does not declare to emit quadrille.shipping.v1.ShipmentLost"},
		},
		"another service's event": {
			straight, func(r map[string]*flow.Record) { r["PaymentCompleted"].Source = "/quadrille/coupon" },
			[]string{"PaymentCompleted undeclared: coupon does not declare to emit quadrille.payment.v1.PaymentCompleted"},
		},
		"a source of nowhere, whose numbers count for nobody": {
			straight, func(r map[string]*flow.Record) { r["PaymentCompleted"].Source = "/elsewhere/payment" },
			[]string{"PaymentCompleted undeclared: /elsewhere/payment is no service of this choreography"},
		},
		"another's topic": {
			straight, func(r map[string]*flow.Record) { r["PaymentCompleted"].Topic = "order.v1" },
			[]string{"PaymentCompleted undeclared: quadrille.payment.v1.PaymentCompleted is on order.v1, and belongs on payment.v1"},
		},
		"a cause that nobody declares": {
			straight, func(r map[string]*flow.Record) { r["OrderCompleted"].CausationID = "StockDecreased" },
			[]string{"OrderCompleted undeclared: order does not declare OrderCompleted because of StockDecreased, but of PaymentCompleted"},
		},
		"a command that nobody declares": {
			straight, func(r map[string]*flow.Record) { r["OrderCompleted"].CommandID = "c" },
			[]string{"OrderCompleted undeclared: order does not declare that a command emits OrderCompleted"},
		},
		"a command's event with a cause of its own": {
			"asked to cancel, and too late", func(r map[string]*flow.Record) { r["OrderCancelRequested"].CausationID = "ShipmentPrepared" },
			[]string{"OrderCancelRequested undeclared: order does not declare OrderCancelRequested because of ShipmentPrepared"},
		},
		"a command's event without its command": {
			"asked to cancel, and too late", func(r map[string]*flow.Record) { r["OrderCancelRequested"].CommandID = "" },
			[]string{"OrderCancelRequested cause: OrderCancelRequested comes of a command, and names none"},
		},
		"the first of a chain without its command": {
			straight, func(r map[string]*flow.Record) { r["OrderCreated"].CommandID = "" },
			[]string{"OrderCreated cause: OrderCreated without a cause comes of a command, and names none"},
		},
		"the first of another chain": {
			straight, func(r map[string]*flow.Record) { r["OrderCreated"].CorrelationID = "another" },
			[]string{"OrderCreated cause: names no cause, and is not the first of its chain"},
		},
		"no cause where one is declared": {
			straight, func(r map[string]*flow.Record) { r["StockDecreased"].CausationID = "" },
			[]string{"StockDecreased cause: StockDecreased never comes without a cause, and names none"},
		},
		"its own cause": {
			straight, func(r map[string]*flow.Record) { r["PaymentCompleted"].CausationID = "PaymentCompleted" },
			[]string{"PaymentCompleted cause: names itself as its cause"},
		},
		"a cause that is not there": {
			straight, func(r map[string]*flow.Record) { r["StockDecreased"].CausationID = "lost" },
			[]string{"StockDecreased cause: its cause lost has not come"},
		},
		"a gap": {
			straight, func(r map[string]*flow.Record) { r["OrderCompleted"].Sequence = 4 },
			[]string{"OrderCompleted gap: numbers 2 to 3 of order have not come"},
		},
		"a gap at the beginning": {
			straight, func(r map[string]*flow.Record) { r["StockDecreased"].Sequence = 2 },
			[]string{"StockDecreased gap: number 1 of stock has not come"},
		},
		"a number below the first": {
			straight, func(r map[string]*flow.Record) { r["StockDecreased"].Sequence = 0 },
			[]string{"StockDecreased stepback: stock begins with number 1, not 0"},
		},
		"a number that came before": {
			straight, func(r map[string]*flow.Record) { r["OrderCompleted"].Sequence = 1 },
			[]string{"OrderCompleted stepback: number 1 of order came before, under another id"},
		},
		"two events in the wrong order": {
			declined, func(r map[string]*flow.Record) { r["OrderCouponWaived"].Sequence, r["OrderCancelled"].Sequence = 3, 2 },
			[]string{"OrderCancelled stepback: number 2 of order came after number 3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := conforming(t, stories[tt.story].events)
			byID := map[string]*flow.Record{}
			for i := range records {
				byID[records[i].ID] = &records[i]
			}
			tt.forge(byID)
			w := &gateway.World{Rules: rules()}
			if got := file(w, records...); !slices.Equal(got, tt.want) {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(tt.want, "\n     "))
			}
		})
	}
}

// A cause about another subject is none, whatever its type.
func TestCauseOfAnotherSubject(t *testing.T) {
	t.Parallel()
	records := conforming(t, stories[straight].events)
	other := records[0]
	other.ID, other.CorrelationID, other.SubjectID = "elsewhere", "elsewhere", "another order"
	records[1].CausationID = "elsewhere"
	w := &gateway.World{Rules: rules()}
	got := file(w, append([]flow.Record{other}, records...)...)
	if want := []string{"StockDecreased cause: its cause elsewhere is about another subject"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// shuffled mixes the topics of a story, and repeats events: each topic keeps its order, there is none between them.
func shuffled(random *rand.Rand, records []flow.Record) []flow.Record {
	topics := map[string][]flow.Record{}
	for _, r := range records {
		topics[r.Topic] = append(topics[r.Topic], r)
	}
	names := slices.Sorted(maps.Keys(topics))
	var mixed []flow.Record
	for len(mixed) < len(records) {
		name := names[random.IntN(len(names))]
		if queue := topics[name]; len(queue) > 0 {
			mixed, topics[name] = append(mixed, queue[0]), queue[1:]
		}
	}
	var all []flow.Record
	for i, r := range mixed {
		all = append(all, r)
		if random.IntN(2) == 0 { // a zombie publishes again, in order, from somewhere before
			all = append(all, mixed[random.IntN(i+1):i+1]...)
		}
	}
	return all
}

// Whatever the disorder between topics and whatever comes again, nothing stands against an order that went by the
// rules, and nothing is found meanwhile: no doubt outlives the last event.
func TestNothingIsFoundInDisorder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	for name, tt := range stories {
		records := conforming(t, tt.events)
		for range 200 {
			w := &gateway.World{Rules: rules()}
			mixed := shuffled(random, records)
			if got := file(w, mixed...); len(got) > 0 || w.Findings.Len() > 0 {
				t.Fatalf("%s: %v\narrived: %v", name, got, mixed)
			}
		}
	}
}

// A lost event is found by what comes after it, or by what it caused; it is only not found where nothing does either.
// When it comes after all, the gap and the missing cause are gone.
func TestLostEventIsFoundAndClears(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(stories))).Draw(t, "story")
		records := conformingOf[name]
		lost := records[rapid.IntRange(0, len(records)-1).Draw(t, "lost")]
		seen := false
		var rest []flow.Record
		for _, r := range records {
			if r.ID != lost.ID {
				rest = append(rest, r)
				seen = seen || r.CausationID == lost.ID || r.Source == lost.Source && r.Sequence > lost.Sequence
			}
		}
		seed := rapid.Uint64().Draw(t, "order")
		w := &gateway.World{Rules: rules()}
		if got := file(w, shuffled(rand.New(rand.NewPCG(seed, seed)), rest)...); len(got) > 0 != seen {
			t.Fatalf("%s without %s: %v", name, lost.ID, got)
		}
		gateway.OnEvent(w, lost, flow.Meta{Now: noon.Add(2 * grace)})
		for _, f := range standing(w, noon.Add(4*grace)) {
			if !strings.Contains(f, " stepback: ") {
				t.Fatalf("%s, %s came late: %s", name, lost.ID, f)
			}
		}
	})
}

// conformingOf is every story as records, made once.
var conformingOf = func() map[string][]flow.Record {
	all := map[string][]flow.Record{}
	for name, tt := range stories {
		all[name] = conforming(&testing.T{}, tt.events)
	}
	return all
}()

// What a gateway that begins today finds missing may be older than the topics keep. It is told apart by the ids' own
// times, and only where something was dropped at all.
func TestRetentionIsNoLoss(t *testing.T) {
	t.Parallel()
	old := uuidAt(noon.Add(-30 * 24 * time.Hour))
	recent := uuidAt(noon.Add(-time.Second))
	for name, tt := range map[string]struct {
		firstOffset  int64
		chain, cause string
		want         int
	}{
		"read from the beginning: lost":       {0, old, old, 2},
		"dropped before the reading began":    {4711, old, old, 0},
		"younger than what the topics have":   {4711, recentAfter(), recentAfter(), 2},
		"the cause is younger, the chain not": {4711, old, recentAfter(), 1},
		"not an id that tells its time":       {4711, "o", "c", 2},
		"within what clocks differ":           {4711, recent, recent, 0},
	} {
		w := &gateway.World{Rules: rules()}
		r := record(story(t, stories[straight].events)[3]) // OrderCompleted
		r.Sequence, r.Offset, r.Time = 2, tt.firstOffset, noon
		r.CorrelationID, r.CausationID = tt.chain, tt.cause
		if got := file(w, r); len(got) != tt.want {
			t.Errorf("%s: %v, want %d findings", name, got, tt.want)
		}
	}
}

// recentAfter is an id of after the first record that the topics still have.
func recentAfter() string { return uuidAt(noon.Add(time.Hour)) }

func uuidAt(at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	ms := at.UnixMilli()
	for i := range 6 {
		id[5-i] = byte(ms >> (8 * i))
	}
	return id.String()
}

// A replica of the version before files events without noting them. They are looked up before anything is found.
func TestWhatAnOlderReplicaFiled(t *testing.T) {
	t.Parallel()
	records := conforming(t, stories[straight].events)
	w := &gateway.World{Rules: rules()}
	gateway.OnEvent(w, records[3], flow.Meta{Now: noon}) // OrderCompleted, number 2, because of PaymentCompleted
	w.Told = map[string][]gateway.Known{"o": {
		{ID: "OrderCreated", Subject: "o", Type: records[0].Type, Service: "order", Sequence: 1},
		{ID: "PaymentCompleted", Subject: "o", Type: records[2].Type, Service: "payment", Sequence: 1},
	}}
	if got := standing(w, noon.Add(grace)); len(got) > 0 || w.Findings.Len() > 0 {
		t.Errorf("found %v", got)
	}
	if c, _ := w.Checks.Get("o"); len(c.Doubts) > 0 {
		t.Errorf("still doubted: %+v", c.Doubts)
	}
}

// A repair publishes an event again under a new id: a command's, with the first one as its cause.
func TestPublishedAgainAsARepair(t *testing.T) {
	t.Parallel()
	records := conforming(t, stories[straight].events)
	again := records[1]
	again.ID, again.CausationID, again.CommandID, again.Sequence = "again", records[1].ID, "repair", 2
	w := &gateway.World{Rules: rules()}
	if got := file(w, append(records, again)...); len(got) > 0 {
		t.Errorf("found %v", got)
	}
}
