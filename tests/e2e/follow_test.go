package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

func preferWait(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 400, 10)
	header := map[string]string{"Prefer": "wait=30", "Idempotency-Key": uuid.NewString()}
	res := c.post(basket(product, 1, 400), header)
	if o := decode[order](t, res.Body); res.Status != http.StatusOK || o.Status != "COMPLETED" {
		t.Errorf("answered %d with an order that is %s, want 200 COMPLETED", res.Status, o.Status)
	}
	refused := basket(product, 1, 400).with(fields{"paymentToken": "tok_decline"})
	header["Idempotency-Key"] = uuid.NewString()
	res = c.post(refused, header)
	if o := decode[order](t, res.Body); res.Status != http.StatusOK || o.Status != "CANCELLED" || o.Undo == nil || o.Undo.Stock != "DONE" {
		t.Errorf("answered %d with %+v, want 200 CANCELLED and undone", res.Status, o)
	}
	// A second is not enough for a provider that hangs: 202 with the order as it is.
	hangs := basket(product, 1, 400).with(fields{"paymentToken": "tok_unknown"})
	begin := time.Now()
	res = c.post(hangs, map[string]string{"Prefer": "wait=1", "Idempotency-Key": uuid.NewString()})
	o := decode[order](t, res.Body)
	if res.Status != http.StatusAccepted && time.Since(begin) > time.Second {
		t.Errorf("answered %d after %s", res.Status, time.Since(begin))
	}
	if o := c.settled(o.OrderID); o.Status != "COMPLETED" {
		t.Errorf("%s %s", o.Status, o.why())
	}
}

// The stream shows what the list shows, ends when the order is settled, and goes on where it was.
func liveTimeline(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 450, 10)
	id := c.place(basket(product, 1, 450).with(fields{"paymentToken": "tok_slow"})).OrderID
	path := "/api/v1/orders/" + id + "/events"
	var streamed []event
	err := c.Stream(t.Context(), path, "", func(e rest.StreamEvent) error {
		var line event
		if err := json.Unmarshal(e.Data, &line); err != nil {
			return err
		}
		if e.ID != line.ID {
			return fmt.Errorf("the stream's id %s is not the event's, %s", e.ID, line.ID)
		}
		streamed = append(streamed, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"OrderCreated", "StockDecreased<-OrderCreated", "PaymentCompleted<-StockDecreased", "OrderCompleted<-PaymentCompleted",
	}
	got := story(streamed)
	if len(got) < len(want) || !cmp.Equal(want, got[:len(want)]) {
		t.Fatalf("the stream ended with %v", got)
	}
	var resumed []string
	err = c.Stream(t.Context(), path, streamed[1].ID, func(e rest.StreamEvent) error {
		resumed = append(resumed, decode[event](t, e.Data).Type)
		return nil
	})
	if err != nil || len(resumed) < 2 || resumed[0] != "PaymentCompleted" {
		t.Errorf("taken up after %s the stream has %v: %v", streamed[1].Type, resumed, err)
	}
}

// One mail per fact, to the member's address.
func mails(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 550, 1)
	id := c.buy(basket(product, 1, 550)).OrderID
	c.until(id, func(o order) bool { return o.Shipment != nil })
	s.ship(t, id, "dispatched")
	c.until(id, func(o order) bool { return o.Status == "SHIPPED" })
	inbox := rest.Client{BaseURL: s.Simulators.InboxURL}
	testkit.Eventually(t, patience, func() error {
		var list struct {
			Data []struct{ Subject, Text string } `json:"data"`
		}
		if err := inbox.Get(t.Context(), "/messages?to="+c.id+"@example.com", &list); err != nil {
			return err
		}
		for _, m := range list.Data {
			if !strings.Contains(m.Subject, id) {
				return fmt.Errorf("a mail's subject is %q", m.Subject)
			}
		}
		if len(list.Data) != 2 {
			return fmt.Errorf("%d mails, want 2: completed, dispatched", len(list.Data))
		}
		return nil
	})
}

// A preview says what an order would be, and reserves nothing.
func preview(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 2_000, 1)
	s.grant(t, c.id, 700)
	var p struct {
		ItemsAmount   int64 `json:"itemsAmount"`
		PaymentAmount int64 `json:"paymentAmount"`
		Availability  []struct {
			Available int64 `json:"available"`
			Enough    bool  `json:"enough"`
		} `json:"availability"`
		Points *struct {
			Balance int64 `json:"balance"`
			Enough  bool  `json:"enough"`
		} `json:"points"`
		Problems []struct{ Pointer, Code string } `json:"problems"`
	}
	body := basket(product, 2, 2_000).with(fields{"pointAmount": 500, "paymentAmount": 3_500})
	if err := c.Post(t.Context(), "/api/v1/orders/preview", body, &p); err != nil {
		t.Fatal(err)
	}
	if p.ItemsAmount != 4_000 || p.PaymentAmount != 3_500 || len(p.Problems) != 0 {
		t.Errorf("%+v", p)
	}
	if len(p.Availability) != 1 || p.Availability[0].Available != 1 || p.Availability[0].Enough {
		t.Errorf("availability %+v, want 1 piece, which is not enough", p.Availability)
	}
	if p.Points == nil || p.Points.Balance != 700 || !p.Points.Enough {
		t.Errorf("points %+v", p.Points)
	}
	if left := s.left(t, product); left != 1 {
		t.Errorf("a preview took a piece: %d are left", left)
	}
}
