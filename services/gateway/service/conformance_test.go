package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/gateway/service"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// audience is a gateway alone: the test publishes what all others would, and hears what operators hear.
type audience struct {
	*system
	metrics string
	told    chan string
}

// listen starts it with a grace period.
func listen(t *testing.T, grace string) *audience {
	t.Helper()
	a := &audience{
		system: &system{Rig: rig.New(t, "", "order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1")},
		told:   make(chan string, 100),
	}
	order := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"version":0}`) // of every order: the caller may see it
	}))
	t.Cleanup(order.Close)
	operators := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct{ Notices []struct{ Group string } }
		if json.NewDecoder(r.Body).Decode(&body) == nil {
			for _, n := range body.Notices {
				a.told <- n.Group
			}
		}
	}))
	t.Cleanup(operators.Close)
	var own service.Config
	a.Configure(&own, &own.Config, map[string]string{
		"ORDER_URL": order.URL, "STOCK_URL": order.URL, "MAILER_URL": order.URL, "MEMBER_URL": order.URL, "COUPON_URL": order.URL,
		"PAYMENT_URL": order.URL, "SHIPPING_URL": order.URL, "CONFORMANCE_GRACE": grace,
		"OPERATORS_WEBHOOK": operators.URL, "OPERATORS_EVERY": "100ms",
	})
	a.Serve(&own.Config, func(ctx context.Context) error { return service.Run(ctx, own) })
	a.metrics = "http://" + own.AdminListener.Addr().String() + "/metrics"
	return a
}

// metric is a sample of /metrics by its name and rule.
func (a *audience) metric(name, rule string) string {
	a.T.Helper()
	response, err := http.Get(a.metrics)
	if err != nil {
		a.T.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		a.T.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, `rule="`+rule+`"`) {
			return strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])
		}
	}
	return "no such metric"
}

// counts waits until so many were found against a rule, and so many of them stand.
func (a *audience) counts(rule, found, open string) {
	a.T.Helper()
	testkit.Eventually(a.T, rig.Patience, func() error {
		gotFound, gotOpen := a.metric("quadrille_conformance_violations_total", rule), a.metric("quadrille_conformance_violations_open", rule)
		if gotFound != found || gotOpen != open {
			return fmt.Errorf("%s: %s found, %s stand; want %s and %s", rule, gotFound, gotOpen, found, open)
		}
		return nil
	})
}

// hears waits until operators were told of a rule.
func (a *audience) hears(rule string) {
	a.T.Helper()
	heard := map[string]bool{}
	testkit.Eventually(a.T, rig.Patience, func() error {
		for {
			select {
			case group := <-a.told:
				heard[group] = true
			default:
				if !heard["conformance/"+rule] {
					return fmt.Errorf("operators heard %v", heard)
				}
				return nil
			}
		}
	})
}

// badges waits until the order's timeline has n events and returns their badges, as API and console show them.
func (a *audience) badges(order string, n int) map[string]string {
	a.T.Helper()
	found := map[string]string{}
	testkit.Eventually(a.T, rig.Patience, func() error {
		lines := a.expect(http.StatusOK, a.Token("alice"), "GET", "/api/v1/orders/"+order+"/events", "").Data()
		if len(lines) != n {
			return fmt.Errorf("timeline has %v", types(lines))
		}
		clear(found)
		for _, line := range lines {
			list, _ := line["findings"].([]any)
			for _, f := range list {
				found[line["type"].(string)] += f.(map[string]any)["rule"].(string)
			}
		}
		return nil
	})
	page := a.Call("", "GET", "/console/orders/"+order, "", "Cookie", "quadrille_console="+a.Token("olga", web.RoleOperator))
	for _, rule := range found {
		if !strings.Contains(page.Text, `<span class="badge alarm">`+rule+`</span>`) {
			a.T.Errorf("the console does not show %s: %s", rule, page)
		}
	}
	if len(found) == 0 && strings.Contains(page.Text, "alarm") {
		a.T.Errorf("the console shows a badge: %s", page)
	}
	return found
}

func (a *audience) wantBadges(order string, n int, name, rule string) {
	a.T.Helper()
	if got := a.badges(order, n); len(got) != 1 || got[name] != rule {
		a.T.Errorf("badges %v, want %s at %s", got, rule, name)
	}
}

// created is an order's first event, and whatever follows of it in this order's chain.
func (a *audience) created() (order string, first rig.Event) {
	order = rig.NewID()
	first = rig.NewEvent(order, &orderv1.OrderCreated{OrderId: order, UserId: "alice"})
	first.Command = rig.NewID()
	return order, first
}

// Somebody publishes what nobody declares: a forged event, one under a name that is not the topic's owner's.
func TestUndeclaredEventIsFound(t *testing.T) {
	t.Parallel()
	a := listen(t, "10m")
	order, first := a.created()
	forged := rig.NewEvent(order, &paymentv1.PaymentCompleted{OrderId: order, UserId: "alice"})
	forged.Causation, forged.Correlation, forged.Source = first.ID, first.ID, "/quadrille/stock"
	a.Send(first, forged)
	a.counts("undeclared", "1", "1")
	a.wantBadges(order, 2, "PaymentCompleted", "undeclared")
	a.hears("undeclared")
	a.Send(first, forged, forged) // the same again is nothing new
	a.CaughtUp()
	a.counts("undeclared", "1", "1")
	a.counts("stepback", "0", "0")
}

// A lost event shows as a gap and as a missing cause, and both are gone once it is there: nothing but that it was late.
func TestLostEventIsFoundAndClearsWhenItComes(t *testing.T) {
	t.Parallel()
	a := listen(t, "10ms")
	order, first := a.created()
	took := rig.NewEvent(order, &stockv1.StockDecreased{OrderId: order, UserId: "alice"})
	took.Causation, took.Correlation = first.ID, first.ID
	a.Send(took)
	a.counts("cause", "1", "1")
	a.wantBadges(order, 1, "StockDecreased", "cause")
	a.hears("cause")
	a.Send(first)
	a.counts("cause", "1", "0")
	if got := a.badges(order, 2); len(got) > 0 {
		t.Errorf("badges %v", got)
	}

	asked := rig.NewEvent(order, &orderv1.OrderCancelRequested{OrderId: order, UserId: "alice"})
	asked.Causation, asked.Correlation, asked.Command, asked.Sequence = first.ID, first.ID, rig.NewID(), 3
	late := rig.NewEvent(order, &orderv1.OrderCancelled{OrderId: order, UserId: "alice"})
	late.Causation, late.Correlation, late.Command, late.Sequence = first.ID, first.ID, rig.NewID(), 2
	a.Send(asked)
	a.counts("gap", "1", "1")
	a.wantBadges(order, 3, "OrderCancelRequested", "gap")
	a.hears("gap")
	a.Send(late)
	a.counts("gap", "1", "0")
	a.counts("stepback", "1", "1")
	a.wantBadges(order, 4, "OrderCancelled", "stepback")
	a.hears("stepback")
}
