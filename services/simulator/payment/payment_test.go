package payment_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// provider is a running server the tests can kill.
type provider struct {
	t      *testing.T
	server *payment.Server
	http   *httptest.Server
}

func start(t *testing.T, dir string) *provider {
	t.Helper()
	s, err := payment.New(payment.Config{Dir: dir, SlowDelay: 50 * time.Millisecond, HangTime: 50 * time.Millisecond})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	p := &provider{t: t, server: s, http: httptest.NewServer(s.Handler())}
	t.Cleanup(p.stop)
	return p
}

func (p *provider) stop() {
	if err := p.server.Close(); err != nil {
		p.t.Errorf("close: %v", err)
	}
	p.http.Close()
}

// do returns status 0 when the connection ends without an answer.
func (p *provider) do(method, path, key, body string, into any) int {
	p.t.Helper()
	return rig.Try(p.t, method, p.http.URL+path, key, body, into)
}

func (p *provider) charge(key, token string, amount int64) (int, payment.Charge) {
	p.t.Helper()
	var c payment.Charge
	body := fmt.Sprintf(`{"amount":%d,"currency":"KRW","token":%q,"reference":"order-%s"}`, amount, token, key)
	return p.do("POST", "/v1/charges", key, body, &c), c
}

func (p *provider) ask(key string) (int, payment.Charge) {
	p.t.Helper()
	var c payment.Charge
	return p.do("GET", "/v1/charges/by-key/"+key, "", "", &c), c
}

func (p *provider) void(key string) payment.Charge {
	p.t.Helper()
	var c payment.Charge
	if status := p.do("POST", "/v1/voids", "", `{"key":"`+key+`"}`, &c); status != 200 {
		p.t.Errorf("void %s: status %d", key, status)
	}
	return c
}

func (p *provider) summary() payment.Summary {
	p.t.Helper()
	var s payment.Summary
	if status := p.do("GET", "/v1/summary", "", "", &s); status != 200 {
		p.t.Errorf("summary: status %d", status)
	}
	return s
}

func TestTokens(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	for _, c := range []struct {
		token  string
		status []int // of requests with the same key, one after the other
		asked  int
		state  string
		reason string
	}{
		{"tok_ok", []int{200, 200}, 200, payment.Captured, ""},
		{"tok_decline", []int{402, 402}, 200, payment.Declined, "card_declined"},
		{"tok_unknown", []int{0, 200}, 200, payment.Captured, ""},
		{"tok_unknown_failed", []int{0, 0}, 404, "", ""},
		{"tok_slow", []int{200, 200}, 200, payment.Captured, ""},
		{"tok_flaky", []int{503, 503, 200, 200}, 200, payment.Captured, ""},
		{"tok_refund_refused", []int{200}, 200, payment.Captured, ""},
		{"tok_nonsense", []int{402}, 200, payment.Declined, "invalid_token"},
	} {
		t.Run(c.token, func(t *testing.T) {
			t.Parallel()
			p := &provider{t: t, server: p.server, http: p.http}
			var first string
			for i, want := range c.status {
				status, charge := p.charge(c.token, c.token, 100)
				if status != want {
					t.Errorf("request %d: status %d, want %d", i, status, want)
				}
				if status == 200 && first != "" && charge.ChargeID != first {
					t.Errorf("request %d: charge %s, before %s", i, charge.ChargeID, first)
				}
				if status == 200 {
					first = charge.ChargeID
				}
			}
			if status, asked := p.ask(c.token); status != c.asked || asked.State != c.state || asked.Reason != c.reason {
				t.Errorf("asked: %d %s %s, want %d %s %s", status, asked.State, asked.Reason, c.asked, c.state, c.reason)
			}
		})
	}
}

func TestSameKeyInParallelIsOneCharge(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"tok_ok", "tok_slow"} {
		p := start(t, t.TempDir())
		ids := make([]string, 50)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				status, c := p.charge("k", token, 10050)
				if status != 200 {
					t.Errorf("%s: status %d", token, status)
				}
				ids[i] = c.ChargeID
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id == "" || id != ids[0] {
				t.Fatalf("%s: charges %q and %q", token, id, ids[0])
			}
		}
		if s := p.summary(); len(s.Totals) != 1 || s.Totals[0].Charged != 10050 || s.Totals[0].Charges != 1 {
			t.Fatalf("%s: summary %+v", token, s)
		}
	}
}

func TestKeyWithAnotherBody(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	p.charge("k", "tok_ok", 100)
	if status, _ := p.charge("k", "tok_ok", 200); status != 422 {
		t.Fatalf("status %d, want 422", status)
	}
	_, c := p.charge("c", "tok_ok", 100)
	p.do("POST", "/v1/refunds", "r", `{"chargeId":"`+c.ChargeID+`","amount":1}`, nil)
	if status := p.do("POST", "/v1/refunds", "r", `{"chargeId":"`+c.ChargeID+`","amount":2}`, nil); status != 422 {
		t.Fatalf("refund: status %d, want 422", status)
	}
}

// A void and a charge of the same key at once: whichever wins, both hear of the
// same end, and so does everybody later.
func TestVoidAgainstLateCharge(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	wins := map[string]int{}
	for i := range 60 {
		key := fmt.Sprintf("k%d", i)
		token := []string{"tok_ok", "tok_slow"}[i%2]
		var status int
		var charged, voided payment.Charge
		var wg sync.WaitGroup
		wg.Go(func() { status, charged = p.charge(key, token, 100) })
		wg.Go(func() { voided = p.void(key) })
		wg.Wait()
		if charged.State != voided.State || (status == 200) != (charged.State == payment.Captured) {
			t.Fatalf("charge heard %d %s, void heard %s", status, charged.State, voided.State)
		}
		if late, c := p.charge(key, token, 100); late != status || c.State != charged.State {
			t.Fatalf("late charge heard %d %s, before %d %s", late, c.State, status, charged.State)
		}
		wins[charged.State]++
	}
	captured := 0
	if s := p.summary(); len(s.Totals) == 1 {
		captured = s.Totals[0].Charges
	}
	if wins[payment.Voided] < 30 || wins[payment.Captured] != captured {
		t.Fatalf("wins %v, captured in the books %d", wins, captured)
	}
}

func TestRefunds(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	_, c := p.charge("k", "tok_ok", 1000)
	_, stubborn := p.charge("s", "tok_refund_refused", 1000)
	for _, r := range []struct {
		key, charge, rest string
		status            int
		state, reason     string
	}{
		{"r1", c.ChargeID, `"amount":400,"currency":"KRW"`, 200, payment.Refunded, ""},
		{"r1", c.ChargeID, `"amount":400,"currency":"KRW"`, 200, payment.Refunded, ""},
		{"r2", c.ChargeID, `"amount":601`, 402, payment.Refused, "amount_exceeds_charge"},
		{"r3", c.ChargeID, `"amount":600,"currency":"USD"`, 402, payment.Refused, "currency_mismatch"},
		{"r4", c.ChargeID, `"amount":600`, 200, payment.Refunded, ""},
		{"r5", "ch_none", `"amount":1`, 402, payment.Refused, "charge_not_found"},
		{"r6", stubborn.ChargeID, `"amount":1`, 402, payment.Refused, "refund_refused"},
	} {
		var got, asked payment.Refund
		status := p.do("POST", "/v1/refunds", r.key, `{"chargeId":"`+r.charge+`",`+r.rest+`}`, &got)
		if status != r.status || got.State != r.state || got.Reason != r.reason {
			t.Errorf("%s: %d %s %s, want %d %s %s", r.key, status, got.State, got.Reason, r.status, r.state, r.reason)
		}
		if status := p.do("GET", "/v1/refunds/by-key/"+r.key, "", "", &asked); status != 200 || asked != got {
			t.Errorf("%s: asked %d %+v, want %+v", r.key, status, asked, got)
		}
	}
	if status := p.do("GET", "/v1/refunds/by-key/none", "", "", nil); status != 404 {
		t.Errorf("unknown refund: status %d", status)
	}
	if s := p.summary(); s.Totals[0].Charged != 2000 || s.Totals[0].Refunded != 1000 {
		t.Errorf("summary %+v", s)
	}
}

// What was acknowledged survives a process that dies in the middle of a write.
func TestKillForgetsNothing(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	p := start(t, dir)
	_, c := p.charge("k", "tok_ok", 1000)
	p.charge("d", "tok_decline", 1000)
	p.charge("u", "tok_unknown", 7)
	p.void("v")
	p.do("POST", "/v1/refunds", "r", `{"chargeId":"`+c.ChargeID+`","amount":300}`, nil)

	// The file as a killed process leaves it: taken while the server runs, with
	// half a line behind it.
	content, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(copied, "journal"), append(content, content[:40]...), 0o600); err != nil {
		t.Fatal(err)
	}

	q := start(t, copied)
	if _, got := q.ask("k"); got.ChargeID != c.ChargeID || got.Refunded != 300 {
		t.Errorf("charge after the kill: %+v", got)
	}
	if status, got := q.charge("k", "tok_ok", 1000); status != 200 || got.ChargeID != c.ChargeID {
		t.Errorf("same key after the kill: %d %+v", status, got)
	}
	if _, got := q.ask("d"); got.State != payment.Declined {
		t.Errorf("decline after the kill: %+v", got)
	}
	if status, got := q.charge("v", "tok_ok", 1); status != 409 || got.State != payment.Voided {
		t.Errorf("voided key after the kill: %d %+v", status, got)
	}
	if s := q.summary(); s.Totals[0].Charged != 1007 || s.Totals[0].Refunded != 300 || len(s.References) != 2 {
		t.Errorf("summary after the kill: %+v", s)
	}
}

func TestListForReconciliation(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	for i := range 5 {
		p.charge(fmt.Sprint(i), "tok_ok", int64(i+1))
	}
	p.charge("d", "tok_decline", 9)
	var page struct {
		Data    []payment.Charge
		HasMore bool
	}
	var amounts []int64
	for after := ""; ; after = page.Data[len(page.Data)-1].ChargeID {
		page.Data = nil
		if status := p.do("GET", "/v1/charges?limit=2&after="+after, "", "", &page); status != 200 {
			t.Fatalf("status %d", status)
		}
		for _, c := range page.Data {
			amounts = append(amounts, c.Amount)
		}
		if !page.HasMore {
			break
		}
	}
	if fmt.Sprint(amounts) != "[1 2 3 4 5]" {
		t.Fatalf("listed %v", amounts)
	}
	since := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	page.Data = nil
	if p.do("GET", "/v1/charges?since="+since, "", "", &page); len(page.Data) != 0 {
		t.Fatalf("listed %d charges of the future", len(page.Data))
	}
	if status := p.do("GET", "/v1/charges?limit=0", "", "", nil); status != 400 {
		t.Fatalf("limit 0: status %d", status)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	good := `{"amount":1,"currency":"KRW","token":"tok_ok"}`
	for _, c := range []struct{ path, key, body string }{
		{"/v1/charges", "", good},
		{"/v1/charges", "k", `{"amount":0,"currency":"KRW","token":"tok_ok"}`},
		{"/v1/charges", "k", `{"amount":1.5,"currency":"KRW","token":"tok_ok"}`},
		{"/v1/charges", "k", `{"amount":1,"currency":"KRW"}`},
		{"/v1/charges", "k", `{"amount":1,"currency":"KRW","token":"tok_ok","amuont":2}`},
		{"/v1/charges", "k", good + good},
		{"/v1/voids", "", `{}`},
		{"/v1/refunds", "r", `{"amount":1}`},
		{"/v1/refunds", "", `{"chargeId":"c","amount":1}`},
	} {
		if status := p.do("POST", c.path, c.key, c.body, nil); status != 400 {
			t.Errorf("%s %q %s: status %d, want 400", c.path, c.key, c.body, status)
		}
	}
	if s := p.summary(); len(s.Totals) != 0 {
		t.Errorf("a refused request was charged: %+v", s)
	}
}
