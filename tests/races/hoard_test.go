package races_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// TestHoarding sends more than one member, or one address, may: what goes beyond the limit is refused, and
// others are served meanwhile.
func TestHoarding(t *testing.T) {
	t.Parallel()
	const rate, burst = 20, 50
	a := openWith(t, 1, map[string]string{
		"RATE_PER_MEMBER": fmt.Sprint(rate), "RATE_PER_MEMBER_BURST": fmt.Sprint(burst), "MAX_QUANTITY": "5", "MAX_ITEMS": "3",
	})
	defer a.tell(t)
	product := a.product(t, 100, 100_000)
	t.Run("many orders of one member", func(t *testing.T) { hoardOrders(t, a, product, rate, burst) })
	t.Run("many pieces in one order", func(t *testing.T) { hoardPieces(t, a, product) })
	a.audit(t)
}

// One member sends 1,000 orders at once, and every tenth request is another's.
func hoardOrders(t *testing.T, a *arena, product string, rate, burst int) {
	hoarder := a.buyer(t)
	body := basket(100, line(product, 1, 100))
	v := a.fire(t, crowd, func(i int) shot {
		if i%10 == 0 {
			return shot{by: a.crowd[i], request: fresh(body)}
		}
		return shot{by: hoarder, request: fresh(body)}
	})
	own := volley{}
	for i, answer := range v.answers {
		switch {
		case i%10 != 0:
			own.answers = append(own.answers, answer)
		case answer.Status != http.StatusAccepted:
			t.Fatalf("another member is answered %v", answer.Problem())
		}
		if answer.Status == http.StatusTooManyRequests && answer.Header.Get("Retry-After") == "" {
			t.Fatalf("refused without Retry-After: %s", answer.Body)
		}
	}
	// What a bucket holds, and what ran into it meanwhile: a bound that needs no luck.
	most := burst + int(v.took.Seconds()*float64(rate)) + 1
	if got := own.count(http.StatusAccepted); got < burst || got > most || own.count(http.StatusTooManyRequests, "rate_limited") != len(own.answers)-got {
		t.Errorf("%d wins: %s; want %d to %d orders of one member", got-most, own, burst, most)
	}
}

// More pieces or lines than one order may have, however they are written.
func hoardPieces(t *testing.T, a *arena, product string) {
	piece := line(product, 1, 100)
	for name, body := range map[string]fields{
		"pieces":        basket(600, line(product, 6, 100)),
		"lines summed":  basket(600, line(product, 3, 100), line(product, 3, 100)),
		"lines":         basket(400, piece, piece, piece, piece),
		"beyond 32 bit": basket(100, line(product, 1<<32+1, 100)),
		"beyond 63 bit": basket(100, line(product, 1<<62, 100), line(product, 1<<62, 100), line(product, 1, 100)),
	} {
		res, err := a.crowd[1].at[0].Do(t.Context(), fresh(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := (volley{answers: []rest.Response{res}}).String(); got != "1 × 422 quantity_limit" {
			t.Errorf("%s: answered %s, want 422 quantity_limit", name, got)
		}
	}
}
