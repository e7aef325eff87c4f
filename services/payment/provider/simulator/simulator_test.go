package simulator_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
	"github.com/quadrille-io/quadrille/services/payment/provider/simulator"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// start runs a simulator and a client whose time-out is shorter than its hangs
// and longer than its slow charges.
func start(t *testing.T) (*simulator.Client, *payment.Server, *httptest.Server) {
	t.Helper()
	s, err := payment.New(payment.Config{Dir: t.TempDir(), SlowDelay: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		h.Close()
	})
	return client(t, h.URL), s, h
}

func client(t *testing.T, url string) *simulator.Client {
	t.Helper()
	c, err := simulator.New(remote.Config{BaseURL: url, Timeout: 2 * time.Second, OpenAfter: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request(key, token string) provider.ChargeRequest {
	return provider.ChargeRequest{Key: key, OrderID: "order-" + key, Token: token, Amount: 10050, Currency: "KRW"}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	c, _, _ := start(t)
	for _, w := range []struct {
		token  string
		err    []error // of charges with the same key, one after the other
		asked  provider.State
		voided provider.State
		reason string
	}{
		{"tok_ok", []error{nil, nil}, provider.Captured, provider.Captured, ""},
		{"tok_decline", []error{nil}, provider.Declined, provider.Declined, "card_declined"},
		{"tok_unknown", []error{provider.ErrUnknown, nil}, provider.Captured, provider.Captured, ""},
		{"tok_unknown_failed", []error{provider.ErrUnknown}, provider.NotFound, provider.Voided, ""},
		{"tok_slow", []error{nil}, provider.Captured, provider.Captured, ""},
		{"tok_flaky", []error{provider.ErrUnknown, provider.ErrUnknown, nil}, provider.Captured, provider.Captured, ""},
	} {
		t.Run(w.token, func(t *testing.T) {
			t.Parallel()
			for i, want := range w.err {
				out, err := c.Charge(t.Context(), request(w.token, w.token))
				if !errors.Is(err, want) || err == nil && (out.State != w.asked || out.Reason != w.reason) {
					t.Errorf("charge %d: %+v %v, want %v", i, out, err, want)
				}
			}
			out, err := c.AskCharge(t.Context(), provider.ChargeRequest{Key: w.token})
			if err != nil || out.State != w.asked || (out.ChargeID != "") != (out.State == provider.Captured) {
				t.Errorf("asked: %+v %v, want %s", out, err, w.asked)
			}
			if out, err := c.VoidCharge(t.Context(), provider.ChargeRequest{Key: w.token}); err != nil || out.State != w.voided {
				t.Errorf("voided: %+v %v, want %s", out, err, w.voided)
			}
			out, err = c.Charge(t.Context(), request(w.token, w.token))
			if err != nil || out.State != w.voided {
				t.Errorf("late charge: %+v %v, want %s", out, err, w.voided)
			}
		})
	}
}

// One in two calls meets a time-out, half of those with effect. Whoever follows
// the package's protocol charges each order once.
func TestProtocolChargesOnceUnderTimeouts(t *testing.T) {
	t.Parallel()
	_, s, h := start(t)
	c, err := simulator.New(remote.Config{BaseURL: h.URL, OpenAfter: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Faults().Set(outage.Fault{Mode: outage.Timeout, Percent: 50, DelayMS: 1}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			r := request(string(rune('a'+i)), "tok_ok")
			for {
				out, err := c.Charge(t.Context(), r)
				for err != nil && out.State == "" {
					out, err = c.AskCharge(t.Context(), r)
				}
				if out.State == provider.Captured {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := s.Faults().Set(outage.Fault{}); err != nil {
		t.Fatal(err)
	}
	sum, err := s.Summary("")
	if err != nil || len(sum.References) != 20 || sum.Totals[0].Charges != 20 || sum.Totals[0].Charged != 20*10050 {
		t.Errorf("summary %+v %v, want each of 20 orders charged once", sum, err)
	}
}

func TestRefund(t *testing.T) {
	t.Parallel()
	c, _, _ := start(t)
	good, err := c.Charge(t.Context(), request("good", "tok_ok"))
	if err != nil {
		t.Fatal(err)
	}
	bad, err := c.Charge(t.Context(), request("bad", "tok_refund_refused"))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct {
		key, charge string
		state       provider.RefundState
		reason      string
	}{
		{"r1", good.ChargeID, provider.Refunded, ""},
		{"r1", good.ChargeID, provider.Refunded, ""},
		{"r2", bad.ChargeID, provider.Refused, "refund_refused"},
	} {
		out, err := c.Refund(t.Context(), provider.RefundRequest{Key: w.key, ChargeID: w.charge, Amount: 10050, Currency: "KRW"})
		if err != nil || out.State != w.state || out.Reason != w.reason {
			t.Errorf("%s: %+v %v, want %s", w.key, out, err, w.state)
		}
		if asked, err := c.AskRefund(t.Context(), provider.RefundRequest{Key: w.key}); err != nil || asked != out {
			t.Errorf("%s asked: %+v %v, want %+v", w.key, asked, err, out)
		}
	}
	if out, err := c.AskRefund(t.Context(), provider.RefundRequest{Key: "none"}); err != nil || out.State != provider.RefundNotFound {
		t.Errorf("unknown refund: %+v %v", out, err)
	}
}

func TestRejections(t *testing.T) {
	t.Parallel()
	c, _, h := start(t)
	if _, err := c.Charge(t.Context(), request("k", "tok_ok")); err != nil {
		t.Fatal(err)
	}
	other := request("k", "tok_ok")
	other.Amount++
	if _, err := c.Charge(t.Context(), other); !errors.Is(err, provider.ErrRejected) {
		t.Errorf("key reused: %v, want ErrRejected", err)
	}
	// A 404 of someone who is not the provider is no "not found".
	if out, err := client(t, h.URL+"/wrong").AskCharge(t.Context(), provider.ChargeRequest{Key: "k"}); !errors.Is(err, provider.ErrRejected) {
		t.Errorf("wrong base URL: %+v %v, want ErrRejected", out, err)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>welcome</html>"))
	}))
	defer page.Close()
	if _, err := client(t, page.URL).Charge(t.Context(), request("k", "tok_ok")); !errors.Is(err, provider.ErrUnknown) {
		t.Errorf("a web page for an answer: %v, want ErrUnknown", err)
	}
}
