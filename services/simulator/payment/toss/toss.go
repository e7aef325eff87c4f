// Package toss is a server that answers as Toss Payments' published core API says,
// to test the adapter against: confirm, virtual accounts, cancel, look-ups, the
// list of transactions, Idempotency-Keys and webhooks. It keeps nothing over a
// restart and knows no cards: a payment's window is opened by Begin.
package toss

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// The states of a payment.
const (
	InProgress = "IN_PROGRESS"
	Waiting    = "WAITING_FOR_DEPOSIT"
	Done       = "DONE"
	Canceled   = "CANCELED"
	Aborted    = "ABORTED"
	Expired    = "EXPIRED"
)

// Failure is Toss's error object.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Cancel is money that went back.
type Cancel struct {
	TransactionKey string `json:"transactionKey"`
	CancelReason   string `json:"cancelReason"`
	CancelAmount   int64  `json:"cancelAmount"`
	CancelStatus   string `json:"cancelStatus"`
}

// Account is a virtual account.
type Account struct {
	BankCode      string    `json:"bankCode"`
	AccountNumber string    `json:"accountNumber"`
	CustomerName  string    `json:"customerName"`
	DueDate       time.Time `json:"dueDate"`
}

// Payment is the Payment object, what of it is used.
type Payment struct {
	PaymentKey     string     `json:"paymentKey"`
	OrderID        string     `json:"orderId"`
	Status         string     `json:"status"`
	Currency       string     `json:"currency"`
	TotalAmount    int64      `json:"totalAmount"`
	BalanceAmount  int64      `json:"balanceAmount"`
	ApprovedAt     *time.Time `json:"approvedAt"`
	Failure        *Failure   `json:"failure"`
	VirtualAccount *Account   `json:"virtualAccount"`
	Cancels        []Cancel   `json:"cancels"`
	// refuse is the code that a confirm is answered with.
	refuse string
}

// Transaction is a line of the list.
type Transaction struct {
	TransactionKey string    `json:"transactionKey"`
	PaymentKey     string    `json:"paymentKey"`
	OrderID        string    `json:"orderId"`
	Status         string    `json:"status"`
	Currency       string    `json:"currency"`
	Amount         int64     `json:"amount"`
	TransactionAt  time.Time `json:"transactionAt"`
}

// Server is the fake. Serve its Handler; Close lets waiting callers go.
type Server struct {
	authorization string
	faults        *outage.Switch
	done          chan struct{}
	once          sync.Once

	mu           sync.Mutex
	payments     map[string]*Payment // by payment key
	answers      map[string]*kept    // by method, path and Idempotency-Key
	transactions []Transaction
	confirms     int
	next         int
}

// kept is the first answer to an Idempotency-Key; nil body while it is being made.
type kept struct {
	status int
	body   []byte
}

// New makes a server for a shop's secret key.
func New(secretKey string) *Server {
	s := &Server{
		authorization: "Basic " + base64.StdEncoding.EncodeToString([]byte(secretKey+":")),
		done:          make(chan struct{}), payments: map[string]*Payment{}, answers: map[string]*kept{},
	}
	s.faults = outage.New(s.done, outage.Down, outage.Cut, outage.Slow, outage.Timeout)
	return s
}

// Close lets waiting callers go.
func (s *Server) Close() { s.once.Do(func() { close(s.done) }) }

// Faults is the switch for outages.
func (s *Server) Faults() *outage.Switch { return s.faults }

// Handler serves the API.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/payments/confirm", s.idempotent(s.confirm))
	mux.HandleFunc("POST /v1/virtual-accounts", s.idempotent(s.openAccount))
	mux.HandleFunc("POST /v1/payments/{paymentKey}/cancel", s.idempotent(s.cancel))
	mux.HandleFunc("GET /v1/payments/{paymentKey}", s.look)
	mux.HandleFunc("GET /v1/payments/orders/{orderId}", s.lookOrder)
	mux.HandleFunc("GET /v1/transactions", s.list)
	return s.faults.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != s.authorization {
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED_KEY")
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// idempotent gives the first answer to an Idempotency-Key again, whatever the body; the
// same key while the first request runs is answered 409.
func (s *Server) idempotent(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		if len(key) > 300 {
			refuse(w, http.StatusBadRequest, "INVALID_IDEMPOTENCY_KEY")
			return
		}
		if key == "" {
			next(w, r)
			return
		}
		at := r.Method + " " + r.URL.Path + " " + key
		s.mu.Lock()
		first := s.answers[at]
		if first == nil {
			s.answers[at] = &kept{}
		}
		s.mu.Unlock()
		if first == nil {
			record := httptest.NewRecorder()
			next(record, r)
			s.mu.Lock()
			first = &kept{record.Code, record.Body.Bytes()}
			s.answers[at] = first
			s.mu.Unlock()
		}
		if first.body == nil {
			refuse(w, http.StatusConflict, "IDEMPOTENT_REQUEST_PROCESSING")
			return
		}
		write(w, first.status, first.body)
	}
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that hung up asked for nothing more
}

func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs
	}
	write(w, http.StatusOK, bytes.TrimSpace(body))
}

func refuse(w http.ResponseWriter, status int, code string) {
	write(w, status, fmt.Appendf(nil, `{"code":%q,"message":"refused by the test server"}`, code))
}

// Begin is a buyer who has proved in the window who they are: the front end has
// its payment key. A code makes the confirm be refused with it.
func (s *Server) Begin(orderID string, amount int64, code string) (paymentKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Payment{PaymentKey: s.newKey("pay"), OrderID: orderID, Status: InProgress, Currency: "KRW", TotalAmount: amount, BalanceAmount: amount, refuse: code}
	s.payments[p.PaymentKey] = p
	return p.PaymentKey
}

// Expire lets the time for a confirm, or for a deposit, pass.
func (s *Server) Expire(paymentKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.payments[paymentKey]; p.Status == InProgress || p.Status == Waiting {
		p.Status = Expired
	}
}

// Age moves a payment's approval into the past, and forgets its keys, as time does.
func (s *Server) Age(paymentKey string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	past := s.payments[paymentKey].ApprovedAt.Add(-by)
	s.payments[paymentKey].ApprovedAt = &past
	clear(s.answers)
}

// Tamper changes what was taken, as no provider should.
func (s *Server) Tamper(paymentKey string, amount int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payments[paymentKey].TotalAmount = amount
}

// Confirms counts confirms that took money.
func (s *Server) Confirms() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.confirms
}

// Of returns the payment of an order; its PaymentKey is "" if there is none.
func (s *Server) Of(orderID string) Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.byOrder(orderID); p != nil {
		return *p
	}
	return Payment{}
}

func (s *Server) byOrder(orderID string) *Payment {
	for _, p := range s.payments {
		if p.OrderID == orderID {
			return p
		}
	}
	return nil
}

// newKey is called under mu.
func (s *Server) newKey(kind string) string {
	s.next++
	return fmt.Sprintf("%s%08d", kind, s.next)
}

// moved notes a transaction; mu is held.
func (s *Server) moved(p *Payment, status string, amount int64) string {
	key := s.newKey("tx")
	s.transactions = append(s.transactions, Transaction{
		TransactionKey: key, PaymentKey: p.PaymentKey, OrderID: p.OrderID, Status: status, Currency: p.Currency, Amount: amount, TransactionAt: time.Now(),
	})
	return key
}
