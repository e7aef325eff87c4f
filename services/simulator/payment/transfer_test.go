package payment_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// transfer opens an account for an order.
func (p *provider) transfer(key string) (int, payment.Charge) {
	p.t.Helper()
	var c payment.Charge
	return p.do("POST", "/v1/charges", key, `{"amount":500,"currency":"KRW","reference":"order-`+key+`","transfer":true}`, &c), c
}

func (p *provider) deposit(key string) (int, payment.Charge) {
	p.t.Helper()
	var c payment.Charge
	return p.do("POST", "/v1/charges/by-key/"+key+"/deposit", "", "", &c), c
}

// A transfer is pending with an account until somebody pays, and is paid once; the money moves then.
func TestTransferIsPaidOnce(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	status, opened := p.transfer("k")
	if status != 200 || opened.State != payment.Pending || opened.Account == nil || opened.Account.Number == "" || opened.ChargeID != "" {
		t.Fatalf("opened: %d %+v", status, opened)
	}
	if _, again := p.transfer("k"); *again.Account != *opened.Account {
		t.Errorf("asked for again: %+v, before %+v", again, opened)
	}
	if len(p.summary().Totals) != 0 {
		t.Error("money moved before anybody paid")
	}
	_, paid := p.deposit("k")
	if _, twice := p.deposit("k"); paid.State != payment.Captured || twice.ChargeID != paid.ChargeID {
		t.Errorf("paid: %+v, then %+v", paid, twice)
	}
	if c := p.void("k"); c.State != payment.Captured {
		t.Errorf("a paid transfer was closed: %+v", c)
	}
	if status, _ := p.deposit("nobody"); status != http.StatusNotFound {
		t.Errorf("a deposit for nobody: %d", status)
	}
	if s := p.summary(); s.Totals[0].Charged != 500 || s.Totals[0].Charges != 1 {
		t.Errorf("summary %+v", s)
	}
}

// Closing and paying at the same time: whoever comes first wins, and both hear of the same end.
func TestVoidAgainstDeposit(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	for range 30 {
		key := time.Now().Format("150405.000000000")
		p.transfer(key)
		var status int
		var voided payment.Charge
		var both sync.WaitGroup
		both.Go(func() { status, _ = p.deposit(key) })
		both.Go(func() { voided = p.void(key) })
		both.Wait()
		if (status == http.StatusOK) != (voided.State == payment.Captured) || status != http.StatusOK && status != http.StatusConflict {
			t.Fatalf("the deposit was answered %d, the void %s", status, voided.State)
		}
		if _, late := p.transfer(key); late.State != voided.State {
			t.Fatalf("later it is %s, the void said %s", late.State, voided.State)
		}
	}
}

// The list has every charge and refund once, in pages, and of the time asked for.
func TestMovements(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	_, c := p.charge("a", "tok_ok", 100)
	p.charge("d", "tok_decline", 100)
	p.transfer("t")
	p.deposit("t")
	p.do("POST", "/v1/refunds", "r", `{"chargeId":"`+c.ChargeID+`","amount":40}`, nil)
	var told []string
	list := func(from time.Time, after string) (next string) {
		var page struct {
			Data []payment.Movement
			Next string
		}
		query := url.Values{"from": {from.Format(time.RFC3339Nano)}, "to": {from.Add(2 * time.Hour).Format(time.RFC3339Nano)}, "after": {after}, "limit": {"2"}}
		if status := p.do("GET", "/v1/movements?"+query.Encode(), "", "", &page); status != 200 {
			t.Fatalf("listed: %d", status)
		}
		for _, m := range page.Data {
			told = append(told, m.Kind+" "+m.Reference)
		}
		return page.Next
	}
	now := time.Now().UTC()
	if next := list(now.Add(-time.Hour), list(now.Add(-time.Hour), "")); next != "" || len(told) != 3 ||
		told[0] != "charge order-a" || told[1] != "charge order-t" || told[2] != "refund order-a" {
		t.Errorf("listed %q, and then %q", told, next)
	}
	told = nil
	if list(now.Add(time.Hour), ""); len(told) != 0 {
		t.Errorf("of tomorrow: %q", told)
	}
}

// merchant takes webhooks, refusing the first few.
func merchant(t *testing.T, refuse int) (url string, taken <-chan payment.Webhook) {
	t.Helper()
	heard := make(chan payment.Webhook, 100)
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if refuse--; refuse >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var hook payment.Webhook
		if err := json.Unmarshal(body, &hook); err != nil {
			t.Errorf("webhook %q: %v", body, err)
		}
		heard <- hook
	}))
	t.Cleanup(s.Close)
	return s.URL, heard
}

func open(t *testing.T, dir, webhooks string) *provider {
	t.Helper()
	s, err := payment.New(payment.Config{
		Dir: dir, WebhookURL: webhooks, WebhookSecret: "secret", RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &provider{t: t, server: s, http: httptest.NewServer(s.Handler())}
}

// A deposit is told until it is heard, also by a server that was started again meanwhile.
func TestDepositIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := open(t, dir, "http://127.0.0.1:1") // nobody listens there
	p.transfer("k")
	_, paid := p.deposit("k")
	p.stop()
	webhooks, taken := merchant(t, 2)
	q := open(t, dir, webhooks)
	defer q.stop()
	if hook := <-taken; hook.ChargeID != paid.ChargeID || hook.Reference != "order-k" {
		t.Errorf("told %+v, paid %+v", hook, paid)
	}
}
