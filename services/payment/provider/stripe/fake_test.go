package stripe_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/payment/provider"
	"github.com/quadrille-io/quadrille/services/payment/provider/stripe"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

const (
	amount        = 10_050
	webhookSecret = "whsec_test"
)

func request(orderID, token string) provider.ChargeRequest {
	return provider.ChargeRequest{Key: "charge-" + orderID, OrderID: orderID, Token: token, Amount: amount, Currency: "KRW"}
}

// aged is the id of an order that was placed that long ago.
func aged(by time.Duration) string {
	id := uuid.Must(uuid.NewV7())
	ms := uint64(time.Now().Add(-by).UnixMilli())
	for i := range 6 {
		id[5-i] = byte(ms >> (8 * i))
	}
	return id.String()
}

// intent is a PaymentIntent of the fake.
type intent struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	Amount           int64             `json:"amount"`
	AmountReceived   int64             `json:"amount_received"`
	Currency         string            `json:"currency"`
	Status           string            `json:"status"`
	Metadata         map[string]string `json:"metadata"`
	LastPaymentError any               `json:"last_payment_error"`
	Created          int64             `json:"created"`
}

// refund is a Refund of the fake.
type refund struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	Amount        int64             `json:"amount"`
	Currency      string            `json:"currency"`
	Status        string            `json:"status"`
	FailureReason string            `json:"failure_reason"`
	PaymentIntent string            `json:"payment_intent"`
	Metadata      map[string]string `json:"metadata"`
	Created       int64             `json:"created"`
}

// fake says what stripe-mock cannot: it remembers keys and PaymentIntents, declines and is away.
type fake struct {
	faults *outage.Switch
	done   chan struct{}

	mu       sync.Mutex
	intents  []*intent
	refunds  []*refund
	answers  map[string][]byte // by path and Idempotency-Key: status and body
	charged  int
	takes    int64 // amount to take instead of the right one
	refundAs string
}

// shop is the adapter against a fake of its own.
type shop struct {
	*stripe.Client
	t    *testing.T
	fake *fake
}

func open(t *testing.T, timeout time.Duration) *shop {
	t.Helper()
	f := &fake{done: make(chan struct{}), answers: map[string][]byte{}, refundAs: "succeeded"}
	f.faults = outage.New(f.done, outage.Down, outage.Cut, outage.Timeout)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/payment_intents", f.kept(f.create))
	mux.HandleFunc("GET /v1/payment_intents/search", f.search)
	mux.HandleFunc("GET /v1/payment_intents/{id}", f.retrieve)
	mux.HandleFunc("POST /v1/payment_intents/{id}/confirm", f.kept(f.confirm))
	mux.HandleFunc("POST /v1/payment_intents/{id}/cancel", f.cancel)
	mux.HandleFunc("POST /v1/refunds", f.kept(f.refund))
	mux.HandleFunc("GET /v1/refunds", f.listRefunds)
	mux.HandleFunc("GET /v1/charges", f.listCharges)
	server := httptest.NewServer(f.faults.Wrap(mux))
	t.Cleanup(func() {
		close(f.done)
		server.Close()
	})
	c, err := stripe.New(stripe.Config{SecretKey: "sk_test_123", URL: server.URL, Timeout: timeout, WebhookSecrets: []string{"whsec_old", webhookSecret}})
	if err != nil {
		t.Fatal(err)
	}
	return &shop{Client: c, t: t, fake: f}
}

// kept gives the first answer to a key again.
func (f *fake) kept(next func(r *http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		at := r.URL.Path + " " + r.Header.Get("Idempotency-Key")
		first, known := f.answers[at]
		if !known {
			status, body := next(r)
			encoded, err := json.Marshal(body)
			if err != nil {
				panic(err)
			}
			first = append([]byte(strconv.Itoa(status)), encoded...)
			f.answers[at] = first
		}
		status, _ := strconv.Atoi(string(first[:3]))
		w.WriteHeader(status)
		_, _ = w.Write(first[3:])
	}
}

func fault(kind, code, decline string) map[string]any {
	return map[string]any{"error": map[string]any{"type": kind, "code": code, "decline_code": decline, "message": "refused"}}
}

func metadata(r *http.Request) map[string]string {
	m := map[string]string{}
	for _, key := range []string{"order_id", "key"} {
		m[key] = r.PostFormValue("metadata[" + key + "]")
	}
	return m
}

func (f *fake) create(r *http.Request) (int, any) {
	sum, _ := strconv.ParseInt(r.PostFormValue("amount"), 10, 64)
	i := &intent{
		ID: fmt.Sprintf("pi_%d", len(f.intents)+1), Object: "payment_intent", Amount: sum, Currency: r.PostFormValue("currency"),
		Status: "requires_payment_method", Metadata: metadata(r), Created: time.Now().Unix(),
	}
	f.intents = append(f.intents, i)
	return http.StatusOK, *i
}

func (f *fake) byID(r *http.Request) *intent {
	for _, i := range f.intents {
		if i.ID == r.PathValue("id") {
			return i
		}
	}
	return nil
}

func (f *fake) confirm(r *http.Request) (int, any) {
	i := f.byID(r)
	token := r.PostFormValue("payment_method")
	switch {
	case i.Status != "requires_payment_method":
		return http.StatusBadRequest, fault("invalid_request_error", "payment_intent_unexpected_state", "")
	case token == "pm_missing":
		return http.StatusBadRequest, fault("invalid_request_error", "resource_missing", "")
	case token == "pm_declined":
		refused := fault("card_error", "card_declined", "insufficient_funds")
		i.LastPaymentError = refused["error"]
		return http.StatusPaymentRequired, refused
	}
	i.Status, i.AmountReceived = "succeeded", i.Amount
	if f.takes > 0 {
		i.AmountReceived = f.takes
	}
	f.charged++
	return http.StatusOK, *i
}

func (f *fake) cancel(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.byID(r)
	if i.Status == "succeeded" || i.Status == "canceled" {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(fault("invalid_request_error", "payment_intent_unexpected_state", ""))
		return
	}
	i.Status = "canceled"
	_ = json.NewEncoder(w).Encode(i)
}

func (f *fake) retrieve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = json.NewEncoder(w).Encode(f.byID(r))
}

func list[T any](w http.ResponseWriter, all []T) {
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": all, "has_more": false})
}

func (f *fake) search(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []*intent{}
	for _, i := range f.intents {
		if strings.Contains(r.URL.Query().Get("query"), "'"+i.Metadata["key"]+"'") {
			found = append(found, i)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "search_result", "data": found, "has_more": false})
}

func (f *fake) refund(r *http.Request) (int, any) {
	sum, _ := strconv.ParseInt(r.PostFormValue("amount"), 10, 64)
	for _, old := range f.refunds {
		if old.PaymentIntent == r.PostFormValue("payment_intent") && old.Status == "succeeded" {
			return http.StatusBadRequest, fault("invalid_request_error", "charge_already_refunded", "")
		}
	}
	if sum > amount {
		return http.StatusBadRequest, fault("invalid_request_error", "amount_too_large", "")
	}
	one := &refund{
		ID: fmt.Sprintf("re_%d", len(f.refunds)+1), Object: "refund", Amount: sum, Currency: "krw", Status: f.refundAs,
		PaymentIntent: r.PostFormValue("payment_intent"), Metadata: metadata(r), Created: time.Now().Unix(),
	}
	if one.Status == "failed" {
		one.FailureReason = "lost_or_stolen_card"
	}
	f.refunds = append(f.refunds, one)
	return http.StatusOK, *one
}

func (f *fake) listRefunds(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []*refund{}
	for _, one := range f.refunds {
		if of := r.URL.Query().Get("payment_intent"); of == "" || of == one.PaymentIntent {
			found = append(found, one)
		}
	}
	list(w, found)
}

func (f *fake) listCharges(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, _ := strconv.ParseInt(r.URL.Query().Get("created[gte]"), 10, 64)
	all := []map[string]any{}
	after := r.URL.Query().Get("starting_after")
	for n, i := range f.intents {
		id := fmt.Sprintf("ch_%04d", n)
		if i.Created < from || id <= after || len(all) == 100 {
			continue
		}
		status := "succeeded"
		if i.Status != "succeeded" {
			status = "failed"
		}
		all = append(all, map[string]any{
			"id": id, "object": "charge", "status": status, "captured": status == "succeeded", "amount_captured": i.AmountReceived,
			"currency": i.Currency, "payment_intent": i.ID, "metadata": i.Metadata, "created": i.Created,
		})
	}
	list(w, all)
}
