package verify_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// metric reads one series of a service's metrics, "" if it is not there.
func (s *shop) metric(t *testing.T, service, series string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.AdminURL(service)+"/metrics", http.NoBody)
	check(t, err)
	res, err := http.DefaultClient.Do(req)
	check(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	name, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), " "); found && strings.HasPrefix(key, name+"{") && strings.Contains(key, labels) {
			return value
		}
	}
	return ""
}

// becomes waits until a series has a value.
func (s *shop) becomes(t *testing.T, service, series string, is func(string) bool) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		if value := s.metric(t, service, series); !is(value) {
			return fmt.Errorf("%s is %q", series, value)
		}
		return nil
	})
}

func equals(want string) func(string) bool { return func(got string) bool { return got == want } }

// The gateway compares by itself: first everything, then what changed; what it finds is a metric and a
// notice, and goes when it is mended.
func TestReconciler(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]string{
		"RECONCILE_EVERY": "300ms", "RECONCILE_SWEEP_EVERY": "24h", "RECONCILE_WAIT": "300ms", "RECONCILE_PAUSE": "1ms", "OPERATORS_EVERY": "300ms",
	})
	product := s.product(t, 10)
	first := s.buy(t, memberID(1), basket(product, 2, nil), "COMPLETED PREPARED")
	s.becomes(t, "gateway", "quadrille_reconcile_last_success_timestamp_seconds", func(v string) bool { return v != "" && v != "0" })
	s.becomes(t, "gateway", "quadrille_reconcile_orders_checked_total", func(v string) bool { return v != "" && v != "0" })
	differs := func(rule string) string { return `quadrille_reconcile_differences{rule="` + rule + `"}` }
	if got := s.metric(t, "gateway", differs("stock_reservation")); got != "0" {
		t.Errorf("before anything is wrong %s is %q", differs("stock_reservation"), got)
	}

	// An order that changes is looked at; only the sweep would find the other one, and it is a day away.
	put := s.keep(t, "stock", "reservation", "order_id = '"+first+"'")
	second := s.buy(t, memberID(2), basket(product, 1, nil), "COMPLETED PREPARED")
	s.exec(t, "stock", `UPDATE reservation SET state = 'RETURNED' WHERE order_id = $1`, first)
	s.ship(t, first, "dispatched")
	s.await(t, first, "SHIPPED")
	s.becomes(t, "gateway", differs("stock_reservation"), equals("1"))
	testkit.Eventually(t, patience, func() error {
		var mails struct{ Data []struct{ Text string } }
		if err := (rest.Client{BaseURL: s.Simulators.InboxURL}).Get(t.Context(), "/messages?to=operators@example.com", &mails); err != nil {
			return err
		}
		for _, m := range mails.Data {
			if strings.Contains(m.Text, "reconcile/stock_reservation") && strings.Contains(m.Text, first) {
				return nil
			}
		}
		return errors.New("no mail to the operators")
	})
	put()
	s.becomes(t, "gateway", differs("stock_reservation"), equals("0"))
	s.ship(t, second, "dispatched")
	s.await(t, second, "SHIPPED")
	s.clean(t)
}

// A repair is no violation of the choreography, and no sequence has a gap after it.
func (s *shop) conforms(t *testing.T) {
	t.Helper()
	for _, rule := range []string{"undeclared", "gap", "stepback", "cause"} {
		s.becomes(t, "gateway", `quadrille_conformance_violations_open{rule="`+rule+`"}`, equals("0"))
	}
}
