package races_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// shot is one request of one caller. Every other shot of a volley goes to the other replica.
type shot struct {
	by      buyer
	request rest.Request
	// after, unless nil, holds the shot back until it is closed: see reached.
	after <-chan struct{}
}

// volley is what n shots were answered, in their order.
type volley struct {
	answers []rest.Response
	took    time.Duration
}

// atOnce lets n goroutines go at the same moment, and returns how long it took until all were done.
func atOnce(n int, act func(i int)) time.Duration {
	barrier := make(chan struct{})
	var ready, all sync.WaitGroup
	ready.Add(n)
	for i := range n {
		all.Go(func() {
			ready.Done()
			<-barrier
			act(i)
		})
	}
	ready.Wait()
	begin := time.Now()
	close(barrier)
	all.Wait()
	return time.Since(begin)
}

// send sends a request, and again while it is answered 503, as its sender would: that a service, or the
// carrier behind it, is overrun for a moment is no win. It returns how often it was sent again.
func send(ctx context.Context, client rest.Client, r rest.Request) (answer rest.Response, again int, err error) {
	until := time.Now().Add(patience)
	for {
		answer, err = client.Do(ctx, r)
		if err != nil || answer.Status != http.StatusServiceUnavailable || !answer.Problem().Retryable || time.Now().After(until) {
			return answer, again, err
		}
		again++
	}
}

// fire prepares n shots and lets them go at the same moment. A request that no server answered ends the test:
// whether it was done is not known then, and nothing could be counted.
func (a *arena) fire(t *testing.T, n int, aim func(i int) shot) volley {
	t.Helper()
	shots := make([]shot, n)
	for i := range shots {
		shots[i] = aim(i)
		if body, ok := shots[i].request.Body.(fields); ok {
			shots[i].request.Body = encode(t, body) // before the barrier: it is the server that shall be busy
		}
	}
	v := volley{answers: make([]rest.Response, n)}
	errs := make([]error, n)
	var again atomic.Int64
	v.took = atOnce(n, func(i int) {
		s := shots[i]
		if s.after != nil {
			<-s.after
		}
		var more int
		v.answers[i], more, errs[i] = send(t.Context(), s.by.at[i%2], s.request)
		again.Add(int64(more))
	})
	if n := again.Load(); n > 0 {
		a.saw("%d sent again after a 503", n)
	}
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	a.saw("%d at once in %s: %s", n, v.took.Round(time.Millisecond), v)
	for _, answer := range v.answers {
		if answer.Status >= http.StatusInternalServerError {
			t.Errorf("answered %v", answer.Problem())
			break
		}
	}
	return v
}

// reached is closed once a number that the query reads is least or more: some requests of a volley can wait
// for what the others have brought about. It looks without a pause, as the race is for milliseconds.
func (a *arena) reached(t *testing.T, least int, service, sql string, args ...any) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	there := make(chan struct{})
	go func() {
		defer close(there)
		for n := 0; n < least && ctx.Err() == nil; {
			if err := a.pools[service].QueryRow(ctx, sql, args...).Scan(&n); err != nil && ctx.Err() == nil {
				t.Errorf("wait for %d: %v", least, err)
				return
			}
		}
	}()
	return there
}

// count is how many answers have the status, and the code if one is given.
func (v volley) count(status int, code ...string) (n int) {
	for _, answer := range v.answers {
		if answer.Status == status && (len(code) == 0 || answer.Problem().Code == code[0]) {
			n++
		}
	}
	return n
}

// String counts the answers by status and code.
func (v volley) String() string {
	counts := map[string]int{}
	for _, answer := range v.answers {
		name := fmt.Sprint(answer.Status)
		if answer.Status > 299 {
			name += " " + answer.Problem().Code
		} else if answer.Header.Get("Idempotency-Replayed") != "" {
			name += " replayed"
		}
		counts[name]++
	}
	lines := []string{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%d × %s", counts[name], name))
	}
	return strings.Join(lines, ", ")
}

// fields is a JSON object.
type fields map[string]any

// with is a copy with other values.
func (f fields) with(changes fields) fields {
	c := maps.Clone(f)
	maps.Copy(c, changes)
	return c
}

func encode(t *testing.T, body fields) []byte {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func decode[T any](t *testing.T, body []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("decode %s: %v", body, err)
	}
	return v
}

// line is one line of a basket.
func line(product string, quantity, price int64) fields {
	return fields{"productId": product, "quantity": quantity, "productPrice": price}
}

// basket is the body of an order paid by card.
func basket(sum int64, lines ...fields) fields {
	return fields{"items": lines, "paymentAmount": sum, "paymentType": "CREDIT"}
}

// place is the request for an order under a key; "" sends none.
func place(body fields, key string) rest.Request {
	r := rest.Request{Method: http.MethodPost, Path: "/api/v1/orders", Body: body, Header: map[string]string{}}
	if key != "" {
		r.Header["Idempotency-Key"] = key
	}
	return r
}

// fresh is place under a key of its own.
func fresh(body fields) rest.Request { return place(body, uuid.NewString()) }

// placed is how an order was answered.
type placed struct {
	OrderID string `json:"orderId"`
	Status  string `json:"status"`
}

// orders are the ids of the orders that were accepted, each once.
func (v volley) orders(t *testing.T) []string {
	t.Helper()
	ids := map[string]bool{}
	for _, answer := range v.answers {
		if answer.Status == http.StatusAccepted || answer.Status == http.StatusOK {
			ids[decode[placed](t, answer.Body).OrderID] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}
