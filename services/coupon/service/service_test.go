package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/web"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

func policyBody(id string, limit int) string {
	return fmt.Sprintf(`{"policyId":%q,"name":"Welcome","discount":{"amount":3000},"minimumAmount":5000,"limit":%d,
		"validFrom":"2020-01-01T00:00:00Z","validUntil":"2999-01-01T00:00:00+09:00"}`, id, limit)
}

func (s *system) createPolicy(id string, limit int) {
	s.T.Helper()
	if a := s.Call(s.Token("op", web.RoleOperator), http.MethodPost, "/ops/v1/coupon-policies", policyBody(id, limit)); a.Status != http.StatusCreated {
		s.T.Fatalf("create a policy: %d %v", a.Status, a.Body)
	}
}

func decreased(orderID, userID string, ref string) proto.Message {
	return &stockv1.StockDecreased{OrderId: orderID, UserId: userID, Checkout: &orderv1.Checkout{
		ItemsAmount: 10_050, DiscountAmount: 3000, Currency: "KRW", CouponRefs: []string{ref},
		CouponFailurePolicy: orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_CANCEL_ORDER,
	}}
}

// 40 members click twice each, all at once, for 10 coupons: 10 members get one each, and the same again
// for the second click.
func TestIssueFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	s := start(t)
	const limit, members, clicks = 10, 40, 2
	s.createPolicy("WELCOME", limit)
	answers := make([][]rig.Answer, members)
	var wg sync.WaitGroup
	for m := range members {
		answers[m] = make([]rig.Answer, clicks)
		token := s.Token(fmt.Sprintf("member-%02d", m))
		for c := range clicks {
			wg.Go(func() {
				answers[m][c] = s.Call(token, http.MethodPost, "/api/v1/coupon-policies/WELCOME/issue", "")
			})
		}
	}
	wg.Wait()
	statuses := map[int]int{}
	for m, pair := range answers {
		for _, a := range pair {
			statuses[a.Status]++
			if a.Status == http.StatusConflict && a.Code() != "coupon_limit_reached" {
				t.Errorf("member %d: %v", m, a.Body)
			}
		}
		if pair[0].Body["couponId"] != pair[1].Body["couponId"] {
			t.Errorf("member %d got two coupons: %v", m, pair)
		}
	}
	if statuses[201] != limit || statuses[200] != limit || statuses[409] != clicks*(members-limit) {
		t.Errorf("answers by status: %v", statuses)
	}
	var coupons, issued int
	if err := s.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM coupon), (SELECT issued FROM coupon_policy)`).Scan(&coupons, &issued); err != nil {
		t.Fatal(err)
	}
	if coupons != limit || issued != limit {
		t.Errorf("%d coupons, %d counted, want %d", coupons, issued, limit)
	}
}

// One coupon in 8 orders at once is used by one of them; after that one's undo it is good for another.
func TestCouponIsUsedOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createPolicy("WELCOME", 1)
	kim := s.Token("kim")
	issued := s.Call(kim, http.MethodPost, "/api/v1/coupon-policies/WELCOME/issue", "{}")
	couponID, _ := issued.Body["couponId"].(string)
	if issued.Status != http.StatusCreated || issued.Body["status"] != "AVAILABLE" || couponID == "" {
		t.Fatalf("issue: %d %v", issued.Status, issued.Body)
	}
	const orders = 8
	var wg sync.WaitGroup
	for i := range orders {
		order := fmt.Sprintf("order-%d", i)
		wg.Go(func() { s.Publish(order, decreased(order, "kim", []string{"WELCOME", couponID}[i%2])) })
	}
	wg.Wait()
	winner := ""
	for i := range orders {
		order := fmt.Sprintf("order-%d", i)
		switch e := s.published(order, 1).(type) {
		case *couponv1.CouponUsed:
			if winner != "" {
				t.Errorf("%s and %s used the same coupon", winner, order)
			}
			if winner = order; e.GetDiscountAmount() != 3000 || len(e.GetCouponIds()) != 1 || e.GetCouponIds()[0] != couponID {
				t.Errorf("used: %v", e)
			}
		case *couponv1.CouponUseFailed:
			if e.GetReason() != couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_ALREADY_USED {
				t.Errorf("%s: %v", order, e)
			}
		default:
			t.Errorf("%s: %T", order, e)
		}
	}
	if winner == "" {
		t.Fatal("nobody used the coupon")
	}
	if got := s.Call(kim, http.MethodGet, "/api/v1/coupons", "").Data(); len(got) != 1 || got[0]["status"] != "USED" || got[0]["orderId"] != winner {
		t.Errorf("the wallet: %v", got)
	}
	if again := s.Call(kim, http.MethodPost, "/api/v1/coupon-policies/WELCOME/issue", ""); again.Status != http.StatusOK || again.Body["couponId"] != couponID {
		t.Errorf("asked for a second one: %d %v", again.Status, again.Body)
	}

	s.Publish(winner, &paymentv1.PaymentCancelled{OrderId: winner, UserId: "kim", HasCoupons: true})
	if back, ok := s.published(winner, 2).(*couponv1.CouponUseCancelled); !ok || len(back.GetCouponIds()) != 1 {
		t.Fatalf("the undo: %v", back)
	}
	if got := s.Call(kim, http.MethodGet, "/api/v1/coupons", "").Data(); len(got) != 1 || got[0]["status"] != "AVAILABLE" || got[0]["orderId"] != nil {
		t.Errorf("the wallet after the undo: %v", got)
	}
	s.Publish("order-next", decreased("order-next", "kim", couponID))
	if _, ok := s.published("order-next", 1).(*couponv1.CouponUsed); !ok {
		t.Error("the coupon was given back and cannot be used")
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createPolicy("WELCOME", 10)
	operator, kim := s.Token("op", web.RoleOperator), s.Token("kim")
	if a := s.Call(operator, http.MethodPost, "/ops/v1/coupon-policies",
		`{"policyId":"TENTH","name":"A tenth","discount":{"percent":10,"maxAmount":700},"limit":5,"currency":"KRW","reason":"spring"}`); a.Status != http.StatusCreated {
		t.Fatalf("create: %d %v", a.Status, a.Body)
	}
	for _, p := range []string{"WELCOME", "TENTH"} {
		if a := s.Call(kim, http.MethodPost, "/api/v1/coupon-policies/"+p+"/issue", ""); a.Status != http.StatusCreated {
			t.Fatalf("issue %s: %d %v", p, a.Status, a.Body)
		}
	}
	for _, c := range []struct {
		member, body, problem string
		discount              float64
	}{
		{kim, `{"couponRefs":["WELCOME","TENTH"],"itemsAmount":10050,"currency":"KRW"}`, "", 3700},
		{kim, `{"userId":"kim","couponRefs":["TENTH"],"itemsAmount":5019,"currency":"KRW"}`, "", 501},
		{kim, `{"couponRefs":[],"itemsAmount":5019,"currency":"KRW"}`, "", 0},
		{kim, `{"couponRefs":["WELCOME"],"itemsAmount":4999,"currency":"KRW"}`, "coupon_not_valid", 0},
		{kim, `{"couponRefs":["WELCOME"],"itemsAmount":9999,"currency":"EUR"}`, "coupon_not_valid", 0},
		{kim, `{"couponRefs":["SUMMER"],"itemsAmount":9999,"currency":"KRW"}`, "unknown_coupon", 0},
		{s.Token("lee"), `{"couponRefs":["WELCOME"],"itemsAmount":9999,"currency":"KRW"}`, "unknown_coupon", 0},
	} {
		a := s.Call(c.member, http.MethodPost, "/api/v1/coupons/quote", c.body)
		problem, _ := a.Body["problem"].(map[string]any)
		code, _ := problem["code"].(string)
		if a.Status != http.StatusOK || a.Body["discountAmount"] != c.discount || code != c.problem {
			t.Errorf("%s: %d %v", c.body, a.Status, a.Body)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createPolicy("WELCOME", 10)
	operator, kim := s.Token("op", web.RoleOperator), s.Token("kim")
	const policies, issue, quote = "/ops/v1/coupon-policies", "/api/v1/coupon-policies/WELCOME/issue", "/api/v1/coupons/quote"
	for _, c := range []struct {
		token, method, path, body string
		status                    int
		code, pointer             string
	}{
		{"", "GET", "/api/v1/coupons", "", 401, "unauthenticated", ""},
		{"", "POST", issue, "", 401, "unauthenticated", ""},
		{kim, "GET", policies, "", 403, "forbidden", ""},
		{kim, "POST", policies, policyBody("X", 1), 403, "forbidden", ""},
		{kim, "GET", "/api/v1/coupons?limit=0", "", 400, "invalid_parameter", "?limit"},
		{kim, "GET", "/api/v1/coupons?startingAfter=%00", "", 400, "invalid_parameter", "?startingAfter"},
		{kim, "POST", "/api/v1/coupon-policies/SUMMER/issue", "", 404, "not_found", ""},
		{kim, "POST", "/api/v1/coupon-policies/a%2Fb/issue", "", 404, "not_found", ""},
		{kim, "POST", issue, `{"userId":"lee"}`, 400, "unknown_field", "/userId"},
		{kim, "GET", issue, "", 405, "method_not_allowed", ""},
		{operator, "POST", policies, policyBody("WELCOME", 1), 409, "policy_exists", ""},
		{operator, "POST", policies, policyBody("a/b", 1), 400, "invalid_field", "/policyId"},
		{operator, "POST", policies, policyBody("X", 0), 400, "invalid_field", "/limit"},
		{operator, "POST", policies, `{"policyId":"X","name":"x","limit":1}`, 400, "missing_field", "/discount"},
		{operator, "POST", policies, `{"policyId":"X","name":"x","limit":1,"discount":{"amount":1,"percent":1}}`, 400, "invalid_field", "/discount"},
		{operator, "POST", policies, `{"policyId":"X","name":"x","limit":1,"discount":{"percent":101}}`, 400, "invalid_field", "/discount/percent"},
		{operator, "POST", policies, `{"policyId":"X","name":"x","limit":1,"discount":{"amount":1},"validFrom":"2026-01-02T00:00:00Z","validUntil":"2026-01-01T00:00:00Z"}`, 400, "invalid_field", "/validUntil"},
		{operator, "POST", policies, `{"policyId":"X","name":"x","limit":1,"discount":{"amount":1},"issued":5}`, 400, "unknown_field", "/issued"},
		{kim, "POST", quote, `{"userId":"lee","itemsAmount":1,"currency":"KRW"}`, 403, "forbidden", ""},
		{kim, "POST", quote, `{"couponRefs":["WELCOME"]}`, 400, "missing_field", "/itemsAmount"},
		{kim, "POST", quote, `{"itemsAmount":-1,"currency":"KRW"}`, 400, "invalid_field", "/itemsAmount"},
	} {
		a := s.Call(c.token, c.method, c.path, c.body)
		if a.Status != c.status || a.Code() != c.code || a.Pointer() != c.pointer {
			t.Errorf("%s %s %s: %d %v, want %d %s at %q", c.method, c.path, c.body, a.Status, a.Body, c.status, c.code, c.pointer)
		}
	}
}

// The same key is answered the same; lists have pages, and nobody sees another's coupons.
func TestKeysAndLists(t *testing.T) {
	t.Parallel()
	s := start(t)
	operator, kim := s.Token("op", web.RoleOperator), s.Token("kim")
	for _, p := range []string{"A", "B", "C"} {
		s.createPolicy(p, 1)
		first := s.Call(kim, http.MethodPost, "/api/v1/coupon-policies/"+p+"/issue", "", "Idempotency-Key", "key-"+p)
		again := s.Call(kim, http.MethodPost, "/api/v1/coupon-policies/"+p+"/issue", "{}", "Idempotency-Key", "key-"+p)
		if first.Status != 201 || again.Status != 201 || first.Body["couponId"] != again.Body["couponId"] || again.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("the same key: %v then %v", first, again)
		}
	}
	for _, c := range []struct {
		key    string
		status int
		code   string
	}{
		{"key-A", 422, "idempotency_key_reused"},
		{strings.Repeat("k", 256), 400, "invalid_parameter"},
		{"", 400, "invalid_parameter"},
		{"tab\there", 400, "invalid_parameter"},
	} {
		if a := s.Call(kim, http.MethodPost, "/api/v1/coupon-policies/B/issue", "", "Idempotency-Key", c.key); a.Status != c.status || a.Code() != c.code {
			t.Errorf("key %.10q: %d %v", c.key, a.Status, a.Body)
		}
	}
	page := s.Call(kim, http.MethodGet, "/api/v1/coupons?limit=2", "")
	if list := page.Data(); len(list) != 2 || list[0]["policyId"] != "C" || !page.More() {
		t.Fatalf("newest first: %v", page.Body)
	}
	rest := s.Call(kim, http.MethodGet, fmt.Sprint("/api/v1/coupons?startingAfter=", page.Data()[1]["couponId"]), "")
	if list := rest.Data(); len(list) != 1 || list[0]["policyId"] != "A" || rest.More() {
		t.Errorf("the rest: %v", rest.Body)
	}
	if lee := s.Call(s.Token("lee"), http.MethodGet, "/api/v1/coupons", ""); len(lee.Data()) != 0 || lee.More() {
		t.Errorf("somebody else sees: %v", lee.Body)
	}
	policies := s.Call(operator, http.MethodGet, "/ops/v1/coupon-policies?startingAfter=A&limit=1", "")
	if list := policies.Data(); len(list) != 1 || list[0]["policyId"] != "B" || list[0]["issued"] != 1.0 || !policies.More() {
		t.Errorf("policies: %v", policies.Body)
	}
}
