package toss_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
	"github.com/quadrille-io/quadrille/services/payment/provider/toss"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
	fake "github.com/quadrille-io/quadrille/services/simulator/payment/toss"
)

const (
	secretKey = "test_sk_D5GePWvyJnrK0W0k6q8gLzN97Eoq"
	amount    = 15_000
)

// shop is the adapter against a server of its own.
type shop struct {
	*toss.Client
	t    *testing.T
	fake *fake.Server
	url  string
}

func open(t *testing.T, timeout time.Duration) *shop {
	t.Helper()
	s := &shop{t: t, fake: fake.New(secretKey)}
	server := httptest.NewServer(s.fake.Handler())
	t.Cleanup(func() {
		s.fake.Close()
		server.Close()
	})
	s.url = server.URL
	s.Client = client(t, s.url, secretKey, timeout)
	return s
}

func client(t *testing.T, url, key string, timeout time.Duration) *toss.Client {
	t.Helper()
	c, err := toss.New(toss.Config{Remote: remote.Config{BaseURL: url, Timeout: timeout, OpenAfter: 1000}, SecretKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// order is a new order whose buyer has been through the window, which was opened under an id of the front end's.
func (s *shop) order(code string) provider.ChargeRequest {
	window := "window-" + uuid.NewString()
	return s.orderOf(s.fake.Begin(window, amount, code) + ":" + window)
}

func (s *shop) orderOf(token string) provider.ChargeRequest {
	id := uuid.NewString()
	return provider.ChargeRequest{Key: "charge-" + id, OrderID: id, Token: token, Amount: amount, Currency: "KRW"}
}

func (s *shop) transfer() provider.ChargeRequest {
	r := s.orderOf("")
	r.Method = provider.Transfer
	return r
}

func (s *shop) fault(f outage.Fault) {
	s.t.Helper()
	if err := s.fake.Faults().Set(f); err != nil {
		s.t.Fatal(err)
	}
}

// want holds an outcome against a state, and wants a charge's id where it is captured.
func (s *shop) want(what string, got provider.Outcome, err error, state provider.State, reason string) {
	s.t.Helper()
	if err != nil || got.State != state || got.Reason != reason || (got.ChargeID != "") != (state == provider.Captured) {
		s.t.Errorf("%s: %+v, %v; want %s %q", what, got, err, state, reason)
	}
}

func (s *shop) charge(r provider.ChargeRequest, state provider.State, reason string) {
	s.t.Helper()
	got, err := s.Charge(s.t.Context(), r)
	s.want("charge", got, err, state, reason)
}

func (s *shop) ask(r provider.ChargeRequest, state provider.State, reason string) {
	s.t.Helper()
	got, err := s.AskCharge(s.t.Context(), r)
	s.want("ask", got, err, state, reason)
}

func (s *shop) void(r provider.ChargeRequest, state provider.State, reason string) {
	s.t.Helper()
	got, err := s.VoidCharge(s.t.Context(), r)
	s.want("void", got, err, state, reason)
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	s := open(t, 5*time.Second)
	good := s.order("")
	s.charge(good, provider.Captured, "")
	s.charge(good, provider.Captured, "") // the same key again
	s.ask(good, provider.Captured, "")
	s.void(good, provider.Captured, "")

	declined := s.order("REJECT_CARD_PAYMENT")
	s.charge(declined, provider.Declined, "reject_card_payment")
	s.charge(declined, provider.Declined, "reject_card_payment")
	s.ask(declined, provider.Declined, "reject_card_payment")

	expired := s.order("")
	key, _, _ := strings.Cut(expired.Token, ":")
	s.fake.Expire(key)
	s.charge(expired, provider.Declined, "not_found_payment_session")
	s.void(expired, provider.Voided, "")

	for _, token := range []string{"no-such-payment:window", "no-such-payment", ""} {
		never := s.orderOf(token)
		s.ask(never, provider.NotFound, "")
		s.charge(never, provider.Declined, "not_found_payment_session")
		s.void(never, provider.Voided, "")
	}
	dollars := s.order("")
	dollars.Currency = "USD"
	s.charge(dollars, provider.Declined, "unsupported_currency")
	if n := s.fake.Confirms(); n != 1 {
		t.Errorf("money was taken %d times, want once", n)
	}
}

// The amount is the server's word: a buyer who was shown another one pays nothing, and another amount in Toss's answer
// is never a paid order.
func TestWrongAmount(t *testing.T) {
	t.Parallel()
	s := open(t, 5*time.Second)
	r := s.order("")
	cheap := r
	cheap.Amount = 100
	s.charge(cheap, provider.Declined, "invalid_request")
	if s.fake.Confirms() != 0 {
		t.Error("another amount was taken")
	}
	r = s.order("")
	s.charge(r, provider.Captured, "")
	key, _, _ := strings.Cut(r.Token, ":")
	s.fake.Tamper(key, 100)
	r.Token = key + ":" + r.OrderID // asked about as ours
	if got, err := s.AskCharge(t.Context(), r); !errors.Is(err, provider.ErrRejected) {
		t.Errorf("another amount was taken for %+v, %v", got, err)
	}
}

// One payment buys one order, also where the second one's answer was lost and all that can be seen is that the payment
// is DONE.
func TestOnePaymentBuysOneOrder(t *testing.T) {
	t.Parallel()
	s := open(t, 300*time.Millisecond)
	first := s.order("")
	second := s.orderOf(first.Token)
	s.charge(first, provider.Captured, "")
	s.charge(second, provider.Declined, "already_processed_payment")

	lost := s.orderOf(first.Token)
	unsent, sent := false, true
	for _, applied := range []*bool{&unsent, &sent} {
		s.fault(outage.Fault{Mode: outage.Timeout, Applied: applied, DelayMS: 2000})
		if _, err := s.Charge(t.Context(), lost); !errors.Is(err, provider.ErrUnknown) {
			t.Fatalf("a lost answer: %v", err)
		}
		s.fault(outage.Fault{})
		s.ask(lost, provider.Declined, "already_processed_payment")
	}
	s.ask(first, provider.Captured, "")
	if n := s.fake.Confirms(); n != 1 {
		t.Errorf("money was taken %d times, want once", n)
	}
}

// Orders in parallel with one payment: one of them has it.
func TestOnePaymentInParallel(t *testing.T) {
	t.Parallel()
	s := open(t, 5*time.Second)
	token := s.order("").Token
	states := make(chan provider.State, 20)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			got, err := s.Charge(t.Context(), s.orderOf(token))
			if err != nil {
				t.Error(err)
			}
			states <- got.State
		})
	}
	all.Wait()
	close(states)
	captured := 0
	for state := range states {
		if state == provider.Captured {
			captured++
		}
	}
	if captured != 1 || s.fake.Confirms() != 1 {
		t.Errorf("%d orders have the payment, taken %d times", captured, s.fake.Confirms())
	}
}

// A time-out after the charge: it is asked for and found; one before it is not found, and is closed by Toss when its
// window's time is over.
func TestTimeoutIsAskedFor(t *testing.T) {
	t.Parallel()
	s := open(t, 300*time.Millisecond)
	after, before := true, false
	r := s.order("")
	s.fault(outage.Fault{Mode: outage.Timeout, Applied: &after, DelayMS: 2000})
	if _, err := s.Charge(t.Context(), r); !errors.Is(err, provider.ErrUnknown) {
		t.Fatalf("after the charge: %v", err)
	}
	s.fault(outage.Fault{})
	s.ask(r, provider.Captured, "")

	r = s.order("")
	s.fault(outage.Fault{Mode: outage.Timeout, Applied: &before, DelayMS: 2000})
	if _, err := s.Charge(t.Context(), r); !errors.Is(err, provider.ErrUnknown) {
		t.Fatalf("before the charge: %v", err)
	}
	s.fault(outage.Fault{})
	s.ask(r, provider.NotFound, "")
	if got, err := s.VoidCharge(t.Context(), r); !errors.Is(err, provider.ErrUnknown) {
		t.Fatalf("closed while a worker may still confirm it: %+v, %v", got, err)
	}
	key, _, _ := strings.Cut(r.Token, ":")
	s.fake.Expire(key)
	s.void(r, provider.Voided, "")
	s.charge(r, provider.Declined, "not_found_payment_session") // the paused worker
	if n := s.fake.Confirms(); n != 1 {
		t.Errorf("money was taken %d times, want once", n)
	}
}

// What Toss no longer remembers is not asked by its key again: a person looks.
func TestForgottenKey(t *testing.T) {
	t.Parallel()
	s := open(t, 5*time.Second)
	r := s.order("")
	s.charge(r, provider.Captured, "")
	key, _, _ := strings.Cut(r.Token, ":")
	s.fake.Age(key, 14*24*time.Hour+time.Minute)
	if got, err := s.AskCharge(t.Context(), r); !errors.Is(err, provider.ErrRejected) {
		t.Errorf("%+v, %v; want ErrRejected", got, err)
	}
}

func TestRefund(t *testing.T) {
	t.Parallel()
	s := open(t, 300*time.Millisecond)
	paid := func(code string) provider.RefundRequest {
		r := s.order(code)
		got, err := s.Charge(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return provider.RefundRequest{Key: "refund-" + r.OrderID, ChargeID: got.ChargeID, Amount: amount, Currency: "KRW"}
	}
	r := paid("")
	if got, err := s.AskRefund(t.Context(), r); err != nil || got.State != provider.RefundNotFound {
		t.Errorf("before: %+v, %v", got, err)
	}
	for range 2 {
		if got, err := s.Refund(t.Context(), r); err != nil || got.State != provider.Refunded || got.RefundID == "" {
			t.Errorf("refund: %+v, %v", got, err)
		}
	}
	other := r
	other.Key = "somebody-else" // in the dashboard: the money is back all the same
	if got, err := s.Refund(t.Context(), other); err != nil || got.State != provider.Refunded {
		t.Errorf("already refunded: %+v, %v", got, err)
	}

	r = paid("")
	applied := true
	s.fault(outage.Fault{Mode: outage.Timeout, Applied: &applied, DelayMS: 2000})
	if _, err := s.Refund(t.Context(), r); !errors.Is(err, provider.ErrUnknown) {
		t.Fatalf("a lost answer: %v", err)
	}
	s.fault(outage.Fault{})
	if got, err := s.AskRefund(t.Context(), r); err != nil || got.State != provider.Refunded {
		t.Errorf("asked: %+v, %v", got, err)
	}

	r = paid("")
	r.Amount++
	if got, err := s.Refund(t.Context(), r); err != nil || got.State != provider.Refused || got.Reason != "not_cancelable_amount" {
		t.Errorf("too much: %+v, %v", got, err)
	}
}

// A transfer is pending, with an account, until it is paid; closed first, it is never paid.
func TestTransfer(t *testing.T) {
	t.Parallel()
	s := open(t, 5*time.Second)
	r := s.transfer()
	s.ask(r, provider.NotFound, "")
	opened, err := s.Charge(t.Context(), r)
	if err != nil || opened.State != provider.Pending || opened.Account.Number == "" || opened.Account.Until.Before(time.Now()) {
		t.Fatalf("opened: %+v, %v", opened, err)
	}
	if again, err := s.Charge(t.Context(), r); err != nil || again.Account.Number != opened.Account.Number {
		t.Errorf("opened again: %+v, %v", again, err)
	}
	if asked, err := s.AskCharge(t.Context(), r); err != nil || asked.State != provider.Pending || asked.Account.Number != opened.Account.Number {
		t.Errorf("asked: %+v, %v", asked, err)
	}
	s.fake.Deposit(r.OrderID)
	s.ask(r, provider.Captured, "")
	s.void(r, provider.Captured, "")
	paid := s.fake.Of(r.OrderID)
	refund, err := s.Refund(t.Context(), provider.RefundRequest{Key: "refund-" + r.OrderID, ChargeID: paid.PaymentKey, Amount: amount, Currency: "KRW"})
	if err != nil || refund.State != provider.Refused || refund.Reason != "invalid_refund_account_info" {
		t.Errorf("a transfer's refund: %+v, %v; want it to be a person's", refund, err)
	}

	r = s.transfer()
	s.charge(r, provider.Pending, "")
	s.void(r, provider.Voided, "")
	if s.fake.Deposit(r.OrderID) {
		t.Error("a closed account was paid into")
	}
	s.void(r, provider.Voided, "")

	never := s.transfer() // the request did not arrive, and may yet
	s.void(never, provider.Voided, "")
	s.charge(never, provider.Pending, "") // as it was answered when it was opened
	if s.fake.Deposit(never.OrderID) {
		t.Error("a paused worker opened an account for a closed key")
	}
}

// Closing and paying at once: Toss says which came first, and the adapter says the same.
func TestVoidAgainstDeposit(t *testing.T) {
	t.Parallel()
	s := open(t, 5*time.Second)
	for range 30 {
		r := s.transfer()
		s.charge(r, provider.Pending, "")
		var paid bool
		var voided provider.Outcome
		var err error
		var both sync.WaitGroup
		both.Go(func() { paid = s.fake.Deposit(r.OrderID) })
		both.Go(func() { voided, err = s.VoidCharge(t.Context(), r) })
		both.Wait()
		if err != nil || paid != (voided.State == provider.Captured) {
			t.Fatalf("paid: %v, closed: %+v, %v", paid, voided, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	s := open(t, 5*time.Second)
	wrong := client(t, s.url, "test_sk_wrong", 5*time.Second)
	if _, err := wrong.Charge(t.Context(), s.order("")); !errors.Is(err, provider.ErrRejected) {
		t.Errorf("a wrong key: %v, want ErrRejected", err)
	}
	if _, err := wrong.AskCharge(t.Context(), s.order("")); !errors.Is(err, provider.ErrRejected) {
		t.Errorf("a wrong key: %v, want ErrRejected", err)
	}
	if _, err := toss.New(toss.Config{}); err == nil {
		t.Error("a client without a key")
	}
}
