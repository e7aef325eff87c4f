package toss_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// A webhook names an order to ask about, and nothing else in it is believed. Sent again it has the same id.
func TestWebhook(t *testing.T) {
	t.Parallel()
	s := open(t, 5*time.Second)
	id := uuid.NewString()
	deposit := `{"createdAt":"2026-01-01T00:00:00.000000","secret":"ps_x","status":"DONE","transactionKey":"tx","orderId":"` + id + `"}`
	first, err := s.VerifyWebhook(http.Header{}, []byte(deposit), time.Now())
	if err != nil || first.OrderID != id || first.ID == "" {
		t.Fatalf("deposit: %+v, %v", first, err)
	}
	for range 7 {
		if again, err := s.VerifyWebhook(http.Header{}, []byte(deposit), time.Now()); err != nil || again != first {
			t.Errorf("sent again: %+v, %v", again, err)
		}
	}
	for body, want := range map[string]string{
		`{"eventType":"PAYMENT_STATUS_CHANGED","data":{"orderId":"` + id + `","status":"DONE"}}`: id,
		`{"eventType":"PAYMENT_STATUS_CHANGED","data":{"orderId":"window-1","status":"DONE"}}`:   "",
		`{"eventType":"METHOD_UPDATED","data":{}}`:                                               "",
	} {
		if got, err := s.VerifyWebhook(http.Header{}, []byte(body), time.Now()); err != nil || got.OrderID != want {
			t.Errorf("%s: %+v, %v; want order %q", body, got, err, want)
		}
	}
	for _, body := range []string{`{}`, `[]`, `{"orderId":"` + id + `"}`, `x`} {
		if got, err := s.VerifyWebhook(http.Header{}, []byte(body), time.Now()); err == nil {
			t.Errorf("%s is understood as %+v", body, got)
		}
	}
}

// The list has what moved, and not the accounts that nobody paid.
func TestList(t *testing.T) {
	t.Parallel()
	s := open(t, 5*time.Second)
	r := s.order("")
	s.charge(r, provider.Captured, "")
	paid, err := s.AskCharge(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	unpaid, transfer := s.transfer(), s.transfer()
	s.charge(unpaid, provider.Pending, "")
	s.charge(transfer, provider.Pending, "")
	s.fake.Deposit(transfer.OrderID)
	if _, err := s.Refund(t.Context(), provider.RefundRequest{Key: "r", ChargeID: paid.ChargeID, Amount: amount, Currency: "KRW"}); err != nil {
		t.Fatal(err)
	}
	page, err := s.List(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "")
	if err != nil || page.Next != "" || len(page.Movements) != 3 {
		t.Fatalf("%+v, %v", page, err)
	}
	for i, want := range []provider.Movement{
		{Kind: provider.Charged, ChargeID: paid.ChargeID},
		{Kind: provider.Charged, ChargeID: s.fake.Of(transfer.OrderID).PaymentKey, OrderID: transfer.OrderID},
		{Kind: provider.Returned, ChargeID: paid.ChargeID},
	} {
		got := page.Movements[i]
		if got.Kind != want.Kind || got.ChargeID != want.ChargeID || got.Amount != amount || want.OrderID != "" && got.OrderID != want.OrderID {
			t.Errorf("line %d: %+v, want %+v", i, got, want)
		}
	}
	if none, err := s.List(t.Context(), time.Now().Add(time.Hour), time.Now().Add(2*time.Hour), ""); err != nil || len(none.Movements) != 0 {
		t.Errorf("of later: %+v, %v", none, err)
	}
}
