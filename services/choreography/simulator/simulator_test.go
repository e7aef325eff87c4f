package simulator

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/stock"
)

// seeds of one `go test`; `make sim` runs as many as one likes.
const seeds = 300

// TestSeeds runs some hundred seeds and looks whether everything that can happen did: a simulator in which
// nothing happens finds nothing.
func TestSeeds(t *testing.T) {
	t.Parallel()
	const lanes = 4
	var mu sync.Mutex
	sum := Result{Outcomes: map[string]int{}, Emitted: map[string]int{}, Refused: map[string]int{}, Calls: map[string]int{}}
	t.Run("all", func(t *testing.T) {
		for lane := range uint64(lanes) {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for seed := 1 + lane; seed <= seeds; seed += lanes {
					r := Run(seed, Options{})
					if r.Violation != nil {
						t.Fatal(r.Violation)
					}
					mu.Lock()
					sum.add(r)
					mu.Unlock()
				}
			})
		}
	})
	sum.checkCoverage(t)
}

func (r *Result) add(other Result) {
	for f, n := range other.Struck {
		r.Struck[f] += n
	}
	for _, pair := range []struct{ to, from map[string]int }{{r.Outcomes, other.Outcomes}, {r.Emitted, other.Emitted}, {r.Refused, other.Refused}, {r.Calls, other.Calls}} {
		for name, n := range pair.from {
			pair.to[name] += n
		}
	}
}

// checkCoverage: every fault struck, every event that is declared was emitted, every way to end and every way to claim a
// call was gone.
func (r *Result) checkCoverage(t *testing.T) {
	for _, f := range Faults() {
		if r.Struck[f] == 0 {
			t.Errorf("in %d seeds there was no %s", seeds, f)
		}
	}
	for _, topology := range []flow.Topology{
		order.Topology.Topology(), stock.Topology.Topology(), coupon.Topology.Topology(), payment.Topology.Topology(),
		shipping.Topology.Topology(), mailer.Topology.Topology(),
	} {
		for _, edge := range topology.Edges {
			for _, event := range edge.Emits {
				if name := event[strings.LastIndexByte(event, '.')+1:]; r.Emitted[name] == 0 {
					t.Errorf("in %d seeds nobody emitted %s", seeds, name)
				}
			}
		}
	}
	for _, outcome := range []string{
		string(order.Completed), string(order.Shipped), string(order.Delivered), string(order.OutOfStock), string(order.CouponRejected),
		string(order.PaymentDeclined), string(order.TimedOut), string(order.ByCustomer), string(order.ShippingFailed),
	} {
		if r.Outcomes[outcome] == 0 {
			t.Errorf("in %d seeds no order ended as %s", seeds, outcome)
		}
	}
	for _, way := range []string{claimedAsAsked, claimedFromTable, claimedAgain, notSent} {
		if r.Calls[way] == 0 {
			t.Errorf("in %d seeds no call was %s", seeds, way)
		}
	}
}

// TestSameSeedSameTrace: a seed has one course, whatever ran before it.
func TestSameSeedSameTrace(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 20; seed++ {
		first, second := Run(seed, Options{Trace: true}), Run(seed, Options{Trace: true})
		if len(first.Lines) < 100 {
			t.Fatalf("seed %d: only %d lines", seed, len(first.Lines))
		}
		if !slices.Equal(first.Lines, second.Lines) {
			t.Fatalf("seed %d: two courses", seed)
		}
		if silent := Run(seed, Options{}); silent.Steps != first.Steps || silent.Passed != first.Passed {
			t.Fatalf("seed %d: telling it changes its course", seed)
		}
	}
}

// TestViolationIsTold: the report of a broken rule names seed, rule and faults, and tells the lines that
// concern the order, of every service.
func TestViolationIsTold(t *testing.T) {
	t.Parallel()
	r := run(3, true)
	id := ""
	for _, l := range r.Lines {
		if strings.HasPrefix(l.Subject, "order-") {
			id = l.Subject
			break
		}
	}
	v := Violation{Seed: 3, Rule: "the rule", Subject: id, Enabled: "none", Trace: (&trace{r.Lines}).about(id)}
	text := v.Error()
	for _, want := range []string{"seed 3: the rule (" + id + ")", "faults: none", "decides order.Place", "order/", "stock/"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	for _, l := range v.Trace {
		if l.Subject != "" && l.Subject != id {
			t.Errorf("the report of %s tells of %s", id, l.Subject)
		}
	}
}
