package races_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// notCharged is an order whose card could not be charged in time, on a machine that is overrun: the provider
// was not heard, and the key of the charge was closed unused. That is as it should be, and no attack's doing.
const notCharged = "CANCELLED NOT_CHARGED"

// outcomes waits until all is settled and counts orders by status and reason.
func (a *arena) outcomes(t *testing.T, ids []string) map[string]int {
	t.Helper()
	a.awaitRest(t)
	counts := a.count(t, "order", `SELECT trim(status || ' ' || reason), count(*) FROM orders WHERE order_id = ANY ($1) GROUP BY 1`, ids)
	unheard := a.count(t, "payment", `SELECT fail_reason, count(*) FROM payment
		WHERE order_id = ANY ($1) AND state = 'FAILED' AND fail_reason = 'NOT_CHARGED' GROUP BY 1`, ids)["NOT_CHARGED"]
	if unheard > 0 {
		counts[notCharged] = unheard
		counts["CANCELLED PAYMENT_DECLINED"] -= unheard
	}
	a.saw("orders: %v", counts)
	return counts
}

// count reads names and numbers of orders.
func (a *arena) count(t *testing.T, service, sql string, ids []string) map[string]int {
	t.Helper()
	rows, err := a.pools[service].Query(t.Context(), sql, ids)
	if err != nil {
		t.Fatal(err)
	}
	counts, name, n := map[string]int{}, "", 0
	if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error { counts[name] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return counts
}

// left is how many pieces of a product there are.
func (a *arena) left(t *testing.T, product string) (pieces int64) {
	t.Helper()
	err := a.pools["stock"].QueryRow(t.Context(), `SELECT quantity FROM product WHERE product_id = $1`, product).Scan(&pieces)
	if err != nil {
		t.Fatal(err)
	}
	return pieces
}

// soldTo checks that of all orders so many were completed and the others were too late. It returns how many.
func (a *arena) soldTo(t *testing.T, v volley, most int) int {
	t.Helper()
	ids := v.orders(t)
	if len(ids) != len(v.answers) {
		t.Fatalf("%d orders were accepted, want %d", len(ids), len(v.answers))
	}
	got := a.outcomes(t, ids)
	completed, lost := got["COMPLETED"], got[notCharged]
	if completed > most || completed < most-lost || completed+lost+got["CANCELLED OUT_OF_STOCK"] != len(ids) {
		t.Errorf("%d wins: %v; want %d COMPLETED and the others CANCELLED OUT_OF_STOCK", completed-most, got, most)
	}
	return completed
}

// 1,000 buyers at once on 100 pieces.
func oversellOne(t *testing.T, a *arena) {
	product := a.product(t, 1_000, 100)
	v := a.fire(t, crowd, func(i int) shot {
		return shot{by: a.crowd[i], request: fresh(basket(1_000, line(product, 1, 1_000)))}
	})
	a.soldTo(t, v, 100)
}

// Orders of three products of which one is scarce, named twice in each: an order gets all its lines or
// none, and what stands twice is counted twice.
func oversellLines(t *testing.T, a *arena) {
	plenty, much, scarce := a.product(t, 100, 10_000), a.product(t, 200, 10_000), a.product(t, 300, 101)
	body := basket(100+2*200+3*300, line(scarce, 1, 300), line(plenty, 1, 100), line(scarce, 2, 300), line(much, 2, 200))
	v := a.fire(t, crowd, func(i int) shot { return shot{by: a.crowd[i], request: fresh(body)} })
	n := int64(a.soldTo(t, v, 101/3))
	if p, m, s := a.left(t, plenty), a.left(t, much), a.left(t, scarce); p != 10_000-n || m != 10_000-2*n || s != 101-3*n {
		t.Errorf("%d, %d and %d pieces are left", p, m, s)
	}
}

// Two products that everybody wants, named in opposite order by every other order: no order is lost to a
// deadlock, and the last pair of pieces goes to one order.
func oversellOpposite(t *testing.T, a *arena) {
	x, y := a.product(t, 100, 100), a.product(t, 200, 120)
	v := a.fire(t, crowd, func(i int) shot {
		lines := []fields{line(x, 1, 100), line(y, 1, 200)}
		if i/2%2 == 1 { // at either replica
			lines[0], lines[1] = lines[1], lines[0]
		}
		return shot{by: a.crowd[i], request: fresh(basket(300, lines...))}
	})
	a.soldTo(t, v, 100)
}

// restock is the request for more pieces, under a key.
func restock(product string, quantity int64, key string) rest.Request {
	return rest.Request{
		Method: http.MethodPost, Path: "/ops/v1/products/" + product + "/restock",
		Body: fields{"quantity": quantity, "reason": "race"}, Header: map[string]string{"Idempotency-Key": key},
	}
}

// 900 orders and 100 restocks of one piece: nothing is sold that was not there, and no piece is lost.
func restockAgainstDecrease(t *testing.T, a *arena) {
	product, operator := a.product(t, 1_000, 50), a.operator(t)
	v := a.fire(t, crowd, func(i int) shot {
		if i%10 < 2 && i/10%2 == 0 { // at either replica
			return shot{by: operator, request: restock(product, 1, uuid.NewString())}
		}
		return shot{by: a.crowd[i], request: fresh(basket(1_000, line(product, 1, 1_000)))}
	})
	if v.count(http.StatusOK) != 100 || v.count(http.StatusAccepted) != 900 {
		t.Fatalf("%s; want 100 restocks and 900 orders", v)
	}
	a.put(product, 100)
	var ids []string
	for _, answer := range v.answers {
		if answer.Status == http.StatusAccepted {
			ids = append(ids, decode[placed](t, answer.Body).OrderID)
		}
	}
	got, left := a.outcomes(t, ids), a.left(t, product)
	if got["COMPLETED"]+int(left) != 150 || got["COMPLETED"]+got["CANCELLED OUT_OF_STOCK"]+got[notCharged] != 900 {
		t.Errorf("%v with %d left of 150", got, left)
	}
}

// All pieces are sold; they are given back by cancels, and when the first ones are there 900 others want them.
func buyWhatComesBack(t *testing.T, a *arena) {
	product := a.product(t, 1_000, 100)
	body := basket(1_000, line(product, 1, 1_000))
	sold := a.orders(t, 100, body)
	a.awaitRest(t)
	back := a.reached(t, 5, "stock", `SELECT quantity FROM product WHERE product_id = $1`, product)
	v := a.fire(t, crowd, func(i int) shot {
		if i < len(sold) {
			return shot{by: a.crowd[i], request: cancel(sold[i])}
		}
		return shot{by: a.crowd[i], request: fresh(body), after: back}
	})
	ids := slices.DeleteFunc(v.orders(t), func(id string) bool { return slices.Contains(sold, id) })
	got, left := a.outcomes(t, ids), int(a.left(t, product))
	if got["COMPLETED"]+left != 100 || got["COMPLETED"]+got["CANCELLED OUT_OF_STOCK"]+got[notCharged] != crowd-len(sold) || a.having(t, sold, "CANCELLED") != 100 {
		t.Errorf("%d wins: %v with %d left of 100", got["COMPLETED"]+left-100, got, left)
	}
}

// One product and one policy are created 500 times each, each time with another number: the first one stands.
func createdOnce(t *testing.T, a *arena) {
	product, policy, operator := a.named("PRODUCT"), a.named("POLICY"), a.operator(t)
	v := a.fire(t, crowd, func(i int) shot {
		r := rest.Request{Method: http.MethodPost, Path: "/ops/v1/products", Body: fields{
			"productId": product, "name": "Piece", "price": 1_000, "currency": "KRW", "quantity": i + 1,
		}}
		if i/2%2 == 0 {
			r = rest.Request{Method: http.MethodPost, Path: "/ops/v1/coupon-policies", Body: fields{
				"policyId": policy, "name": "Off", "discount": fields{"amount": 1}, "limit": i + 1,
			}}
		}
		return shot{by: operator, request: r}
	})
	if v.count(http.StatusCreated) != 2 || v.count(http.StatusConflict) != crowd-2 {
		t.Fatalf("%d wins: %s; want one of each", v.count(http.StatusCreated)-2, v)
	}
	for i, answer := range v.answers {
		if answer.Status == http.StatusCreated && i/2%2 == 1 {
			a.put(product, int64(i+1)) // and the books say whether that is what there is
		}
	}
}

// recount is the request to set the pieces left to what the books say.
func recount(product string) rest.Request {
	return rest.Request{
		Method: http.MethodPost, Path: "/ops/v1/products/" + product + "/recount", Body: fields{"reason": "race"},
		Header: map[string]string{"Idempotency-Key": uuid.NewString()},
	}
}

// 800 orders, 100 cancels, 50 restocks and 50 recounts of one product: a recount reads without a lock, and
// must not make or lose a piece that moved meanwhile. It may be answered 409, to count again.
func recountAgainstOrders(t *testing.T, a *arena) {
	product, operator := a.product(t, 1_000, 300), a.operator(t)
	before := a.orders(t, 100, basket(1_000, line(product, 1, 1_000)))
	v := a.fire(t, crowd, func(i int) shot {
		switch k := i / 2; {
		case k%10 == 0 && i%2 == 0:
			return shot{by: operator, request: restock(product, 1, uuid.NewString())}
		case k%10 == 0:
			return shot{by: operator, request: recount(product)}
		case k%10 == 1:
			return shot{by: a.crowd[i/20*2+i%2], request: cancel(before[i/20*2+i%2])}
		}
		return shot{by: a.crowd[i], request: fresh(basket(1_000, line(product, 1, 1_000)))}
	})
	if n := v.count(http.StatusOK) + v.count(http.StatusConflict, "conflict"); n != 100 || v.count(http.StatusAccepted) != 900 {
		t.Errorf("%s; want 100 restocks and recounts, 100 cancels and 800 orders", v)
	}
	a.put(product, 50)
}

// One restock sent 1,000 times adds its pieces once.
func restockOneKey(t *testing.T, a *arena) {
	product, operator, key := a.product(t, 1_000, 5), a.operator(t), uuid.NewString()
	v := a.fire(t, crowd, func(int) shot { return shot{by: operator, request: restock(product, 7, key)} })
	a.put(product, 7)
	if left := a.left(t, product); v.count(http.StatusOK) != crowd || left != 12 {
		t.Errorf("%d wins: %d pieces, want 12; %s", (left-12)/7, left, v)
	}
}

// The prices of five products go up and down, 40 times each, while 800 orders claim one price or the other:
// who is accepted pays what he claimed, and once the last price is known no other is accepted.
func priceChange(t *testing.T, a *arena) {
	operator, prices := a.operator(t), [2]int64{1_000, 1_500}
	products := make([]string, 5)
	for i := range products {
		products[i] = a.product(t, prices[0], 100_000)
	}
	v := a.fire(t, crowd, func(i int) shot {
		price, product := prices[i/2%2], products[i/10%len(products)]
		if i%10 < 2 {
			return shot{by: operator, request: rest.Request{
				Method: http.MethodPatch, Path: "/ops/v1/products/" + product, Body: fields{"price": prices[i/50%2], "reason": "race"},
			}}
		}
		return shot{by: a.crowd[i], request: fresh(basket(3*price, line(product, 3, price)))}
	})
	wins := 0
	for i, answer := range v.answers {
		if answer.Status != http.StatusAccepted {
			continue
		}
		o := decode[struct {
			PaymentAmount int64
			Items         []struct{ ProductPrice int64 }
		}](t, answer.Body)
		if claimed := prices[i/2%2]; o.PaymentAmount != 3*claimed || len(o.Items) != 1 || o.Items[0].ProductPrice != claimed {
			wins++
		}
	}
	if wins > 0 || v.count(http.StatusOK) != crowd/5 {
		t.Errorf("%d wins: orders at another price than claimed; %s", wins, v)
	}
	a.awaitRest(t)
	for _, product := range products {
		a.onePrice(t, product, prices)
	}
}

// onePrice checks that at rest order and stock have the same price, and that the other one is refused.
func (a *arena) onePrice(t *testing.T, product string, prices [2]int64) {
	t.Helper()
	var known, now int64
	for pool, price := range map[string]*int64{"order": &known, "stock": &now} {
		table := map[string]string{"order": "price", "stock": "product"}[pool]
		if err := a.pools[pool].QueryRow(t.Context(), `SELECT price FROM `+table+` WHERE product_id = $1`, product).Scan(price); err != nil {
			t.Fatal(err)
		}
	}
	if known != now {
		t.Errorf("1 win: order knows the price as %d, and it is %d", known, now)
	}
	for _, price := range prices {
		want := "422 price_changed"
		if price == now {
			want = "202"
		}
		res, err := a.crowd[0].at[1].Do(t.Context(), fresh(basket(price, line(product, 1, price))))
		if err != nil {
			t.Fatal(err)
		}
		if got := (volley{answers: []rest.Response{res}}).String(); got != "1 × "+want {
			t.Errorf("at rest an order at %d is answered %s, want %s", price, got, fmt.Sprint(want))
		}
	}
}
