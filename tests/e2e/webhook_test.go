package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// merchant receives webhooks.
type merchant struct {
	url string

	mu sync.Mutex
	// events are the types of what was received, by event id, by order id.
	events map[string]map[string]string
	wrong  error
	secret string
}

func newMerchant(t *testing.T) *merchant {
	t.Helper()
	m := &merchant{events: map[string]map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := m.take(r); err != nil {
			m.mu.Lock()
			m.wrong = errors.Join(m.wrong, err)
			m.mu.Unlock()
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

func (m *merchant) take(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	checker, err := standardwebhooks.NewWebhook(m.secret)
	if err != nil {
		return err
	}
	if err := checker.Verify(body, r.Header); err != nil {
		return err
	}
	var event struct {
		Type string
		Data struct{ OrderID string }
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return err
	}
	if m.events[event.Data.OrderID] == nil {
		m.events[event.Data.OrderID] = map[string]string{}
	}
	m.events[event.Data.OrderID][r.Header.Get("webhook-id")] = event.Type
	return nil
}

// has waits until everything of an order's timeline was received.
func (m *merchant) has(t *testing.T, orderID string, timeline []event) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, e := range timeline {
			if m.events[orderID][e.ID] != "quadrille."+e.Service+".v1."+e.Type {
				return fmt.Errorf("%s of order %s was not received: %v", e.Type, orderID, m.events[orderID])
			}
		}
		return m.wrong
	})
}

// A merchant is told everything of every order by signed webhooks. One that hangs, and the webhook service being away,
// hold up neither the orders nor, when it is back, the other merchant.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]map[string]string{"webhook": {"WEBHOOK_TIMEOUT": "2s", "WEBHOOK_EVERY": "50ms"}})
	works := newMerchant(t)
	hang := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(hang) }) // first: Close waits for what is under way
	for _, url := range []string{hangs.URL, works.url} {
		var made struct{ Secret string }
		if err := s.ops.Post(t.Context(), "/ops/v1/webhooks", fields{"url": url, "events": []string{"*"}}, &made); err != nil {
			t.Fatal(err)
		}
		works.mu.Lock()
		works.secret = made.Secret // of the last one
		works.mu.Unlock()
	}
	product := s.product(t, 1000, 1000)
	buyAll := func(n int) (placed []order, buyers []customer) {
		for range n {
			c := s.customer(t)
			placed, buyers = append(placed, c.place(basket(product, 1, 1000))), append(buyers, c)
		}
		return placed, buyers
	}
	check := func(placed []order, buyers []customer) {
		for i, o := range placed {
			if o = buyers[i].settled(o.OrderID); o.Status != "COMPLETED" {
				t.Errorf("order %s is %s", o.OrderID, o.Status)
			}
		}
	}
	first, firstBuyers := buyAll(30)
	check(first, firstBuyers)
	if err := s.StopService(t.Context(), "webhook"); err != nil {
		t.Fatal(err)
	}
	second, secondBuyers := buyAll(30)
	check(second, secondBuyers)
	if err := s.StartService(t.Context(), "webhook"); err != nil {
		t.Fatal(err)
	}
	for i, o := range append(first, second...) {
		c := append(firstBuyers, secondBuyers...)[i]
		works.has(t, o.OrderID, c.timeline(o.OrderID))
	}
}
