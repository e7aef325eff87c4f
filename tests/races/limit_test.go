package races_test

import (
	"net/http"
	"testing"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// 500 members, each with two orders at two replicas at once, of a product of which a member may have one: each gets one.
// They cancel, and then half of all try again: what was given back counts no more, and still nobody gets two.
func memberLimit(t *testing.T, a *arena) {
	product := a.product(t, 1_000, 10_000)
	_, err := a.ops.Call(t.Context(), rest.Request{
		Method: http.MethodPatch, Path: "/ops/v1/products/" + product, Body: fields{"maxPerMember": 1, "reason": "race"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	body := basket(1_000, line(product, 1, 1_000))
	first := a.fire(t, crowd, func(i int) shot { return shot{by: a.crowd[i/2], request: fresh(body)} })
	a.soldTo(t, first, crowd/2)
	a.onceEach(t, product)

	ids := make([]string, crowd)
	for i, answer := range first.answers {
		ids[i] = decode[placed](t, answer.Body).OrderID
	}
	v := a.fire(t, crowd, func(i int) shot { return shot{by: a.crowd[i/2], request: cancel(ids[i])} })
	a.awaitRest(t)
	a.onceEach(t, product)
	if n := a.having(t, ids, "CANCELLED"); n != crowd {
		t.Fatalf("%d orders of %d are cancelled: %s", n, crowd, v)
	}
	second := a.fire(t, crowd, func(i int) shot { return shot{by: a.crowd[i/4], request: fresh(body)} })
	a.soldTo(t, second, crowd/4)
	a.onceEach(t, product)
}

// onceEach checks that no member's orders hold more than one piece, and that as many are counted as are held.
func (a *arena) onceEach(t *testing.T, product string) {
	t.Helper()
	var most, held, counted int64
	err := a.pools["stock"].QueryRow(t.Context(), `
		SELECT coalesce(max(n), 0), coalesce(sum(n), 0)::bigint, (SELECT coalesce(sum(quantity), 0)::bigint FROM purchase WHERE product_id = $1)
		FROM (SELECT user_id, count(*) AS n FROM reservation
		      WHERE state = 'TAKEN' AND items @> jsonb_build_array(jsonb_build_object('productId', $1::text)) GROUP BY user_id) AS u`,
		product).Scan(&most, &held, &counted)
	if err != nil {
		t.Fatal(err)
	}
	if most > 1 || held != counted {
		t.Errorf("%d wins: a member holds %d pieces; %d are held and %d counted", most-1, most, held, counted)
	}
}
