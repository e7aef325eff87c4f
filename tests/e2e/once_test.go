package e2e_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// together sends the same request from many at once and returns every answer.
func (c customer) together(n int, body fields, header map[string]string) []rest.Response {
	c.t.Helper()
	answers := make([]rest.Response, n)
	errs := make([]error, n)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			<-begin
			answers[i], errs[i] = c.Do(c.t.Context(), rest.Request{Method: http.MethodPost, Path: "/api/v1/orders", Body: body, Header: header})
		})
	}
	close(begin)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return answers
}

// oneOrder checks that all answers are about one order, and returns how many say that they are repeated.
func oneOrder(t *testing.T, answers []rest.Response) (id string, replayed int) {
	t.Helper()
	for _, a := range answers {
		if a.Status != http.StatusAccepted {
			t.Fatal(a.Problem())
		}
		o := decode[order](t, a.Body)
		if id == "" {
			id = o.OrderID
		}
		if o.OrderID != id {
			t.Fatalf("two orders: %s and %s", id, o.OrderID)
		}
		if a.Header.Get("Idempotency-Replayed") == "true" {
			replayed++
		}
	}
	return id, replayed
}

func idempotencyKey(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 600, 100)
	key := map[string]string{"Idempotency-Key": uuid.NewString()}
	id, replayed := oneOrder(t, c.together(60, basket(product, 1, 600), key))
	if replayed != 59 {
		t.Errorf("%d of 60 answers say Idempotency-Replayed, want 59", replayed)
	}
	if o := c.settled(id); o.Status != "COMPLETED" {
		t.Errorf("%s %s", o.Status, o.why())
	}
	again := c.post(basket(product, 1, 600), key)
	if o := decode[order](t, again.Body); again.Status != http.StatusAccepted || o.OrderID != id || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("later, the key is answered %d %s", again.Status, again.Body)
	}
	other := c.post(basket(product, 2, 600), key)
	if p := other.Problem(); other.Status != http.StatusUnprocessableEntity || p.Code != "idempotency_key_reused" {
		t.Errorf("with another body the key is answered %v", p)
	}
	// Keys are the member's own: somebody else's same key is another order.
	if o := decode[order](t, s.customer(t).post(basket(product, 1, 600), key).Body); o.OrderID == id {
		t.Error("another member's key found this member's order")
	}
	if m := s.money(t, id); m.Charges != 1 {
		t.Errorf("the provider's books say %+v", m)
	}
	for _, bad := range []string{"", "key\t1", long(256)} {
		res := c.post(basket(product, 1, 600), map[string]string{"Idempotency-Key": bad})
		if res.Status != http.StatusBadRequest {
			t.Errorf("a key of %d characters is answered %d, want 400", len(bad), res.Status)
		}
	}
}

func long(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = 'k'
	}
	return string(text)
}

// Without a key, the same order of the same member within five seconds is a double click.
func doubleClick(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 650, 100)
	id, _ := oneOrder(t, c.together(60, basket(product, 1, 650), nil))
	if o := c.settled(id); o.Status != "COMPLETED" {
		t.Errorf("%s %s", o.Status, o.why())
	}
	if left := s.left(t, product); left != 99 {
		t.Errorf("%d pieces are left, want 99", left)
	}
	// Another quantity is another order, and so is the same one of another member.
	if o := decode[order](t, c.post(basket(product, 2, 650), nil).Body); o.OrderID == id {
		t.Error("another quantity was taken for a double click")
	}
	if o := decode[order](t, s.customer(t).post(basket(product, 1, 650), nil).Body); o.OrderID == id {
		t.Error("another member's order was taken for a double click")
	}
	// One that was cancelled meanwhile does not match.
	d := s.customer(t)
	declined := basket(product, 1, 650).with(fields{"paymentToken": "tok_decline"})
	first := decode[order](t, d.post(declined, nil).Body)
	if o := d.settled(first.OrderID); o.Status != "CANCELLED" {
		t.Fatalf("%s", o.Status)
	}
	if again := decode[order](t, d.post(declined, nil).Body); again.OrderID == first.OrderID {
		t.Error("a cancelled order was answered instead of a new one")
	}
}
