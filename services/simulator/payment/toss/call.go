package toss

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "INVALID_REQUEST")
		return false
	}
	return true
}

func (s *Server) confirm(w http.ResponseWriter, r *http.Request) {
	var body struct {
		PaymentKey string `json:"paymentKey"`
		OrderID    string `json:"orderId"`
		Amount     int64  `json:"amount"`
	}
	if !read(w, r, &body) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.payments[body.PaymentKey]
	switch {
	case p == nil || p.OrderID != body.OrderID || p.Status == Expired:
		refuse(w, http.StatusNotFound, "NOT_FOUND_PAYMENT_SESSION")
	case p.Status != InProgress:
		refuse(w, http.StatusBadRequest, "ALREADY_PROCESSED_PAYMENT")
	case p.TotalAmount != body.Amount:
		refuse(w, http.StatusBadRequest, "INVALID_REQUEST")
	case p.refuse != "":
		p.Status, p.Failure = Aborted, &Failure{Code: p.refuse}
		refuse(w, http.StatusBadRequest, p.refuse)
	default:
		s.take(p)
		s.confirms++
		answer(w, p)
	}
}

// take has the money in; mu is held.
func (s *Server) take(p *Payment) {
	now := time.Now()
	p.Status, p.ApprovedAt = Done, &now
	s.moved(p, Done, p.TotalAmount)
}

func (s *Server) openAccount(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Amount       int64  `json:"amount"`
		OrderID      string `json:"orderId"`
		OrderName    string `json:"orderName"`
		CustomerName string `json:"customerName"`
		Bank         string `json:"bank"`
		ValidHours   int    `json:"validHours"`
	}
	if !read(w, r, &body) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case body.Amount <= 0 || len(body.OrderID) < 6 || len(body.OrderID) > 64 || body.OrderName == "" || body.CustomerName == "" ||
		body.Bank == "" || body.ValidHours < 1 || body.ValidHours > 720:
		refuse(w, http.StatusBadRequest, "INVALID_REQUEST")
	case s.byOrder(body.OrderID) != nil:
		refuse(w, http.StatusBadRequest, "DUPLICATED_ORDER_ID")
	default:
		p := &Payment{
			PaymentKey: s.newKey("va"), OrderID: body.OrderID, Status: Waiting, Currency: "KRW", TotalAmount: body.Amount, BalanceAmount: body.Amount,
			VirtualAccount: &Account{
				BankCode: body.Bank, AccountNumber: s.newKey("X"), CustomerName: body.CustomerName,
				DueDate: time.Now().Add(time.Duration(body.ValidHours) * time.Hour),
			},
		}
		s.payments[p.PaymentKey] = p
		s.moved(p, Waiting, p.TotalAmount)
		answer(w, p)
	}
}

// Deposit is the buyer's bank paying into an order's virtual account; false where
// it is closed.
func (s *Server) Deposit(orderID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byOrder(orderID)
	if p == nil || p.Status != Waiting {
		return false
	}
	s.take(p)
	return true
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	var body struct {
		CancelReason  string          `json:"cancelReason"`
		CancelAmount  int64           `json:"cancelAmount"`
		RefundAccount json.RawMessage `json:"refundReceiveAccount"`
	}
	if !read(w, r, &body) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.payments[r.PathValue("paymentKey")]
	if body.CancelAmount == 0 && p != nil {
		body.CancelAmount = p.BalanceAmount
	}
	switch {
	case p == nil:
		refuse(w, http.StatusNotFound, "NOT_FOUND_PAYMENT")
	case body.CancelReason == "" || len(body.CancelReason) > 200:
		refuse(w, http.StatusBadRequest, "INVALID_REQUEST")
	case p.Status == Canceled:
		refuse(w, http.StatusBadRequest, "ALREADY_CANCELED_PAYMENT")
	case p.Status != Done && p.Status != Waiting, p.refuse == "NOT_CANCELABLE_PAYMENT":
		refuse(w, http.StatusForbidden, "NOT_CANCELABLE_PAYMENT")
	case p.Status == Done && p.VirtualAccount != nil && body.RefundAccount == nil:
		refuse(w, http.StatusBadRequest, "INVALID_REFUND_ACCOUNT_INFO")
	case body.CancelAmount > p.BalanceAmount:
		refuse(w, http.StatusForbidden, "NOT_CANCELABLE_AMOUNT")
	default:
		key := ""
		if p.Status == Done {
			key = s.moved(p, Canceled, body.CancelAmount)
		}
		p.BalanceAmount -= body.CancelAmount
		p.Status = Canceled
		if p.BalanceAmount > 0 {
			p.Status = "PARTIAL_CANCELED"
		}
		p.Cancels = append(p.Cancels, Cancel{TransactionKey: key, CancelReason: body.CancelReason, CancelAmount: body.CancelAmount, CancelStatus: Done})
		answer(w, p)
	}
}

func (s *Server) look(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show(w, s.payments[r.PathValue("paymentKey")])
}

func (s *Server) lookOrder(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show(w, s.byOrder(r.PathValue("orderId")))
}

func (s *Server) show(w http.ResponseWriter, p *Payment) {
	if p == nil {
		refuse(w, http.StatusNotFound, "NOT_FOUND_PAYMENT")
		return
	}
	answer(w, p)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	seoul := time.FixedZone("KST", 9*60*60)
	from, err1 := time.ParseInLocation("2006-01-02T15:04:05", q.Get("startDate"), seoul)
	to, err2 := time.ParseInLocation("2006-01-02T15:04:05", q.Get("endDate"), seoul)
	limit, err3 := strconv.Atoi(q.Get("limit"))
	if err1 != nil || err2 != nil || err3 != nil || limit < 1 || limit > 5000 {
		refuse(w, http.StatusBadRequest, "INVALID_REQUEST")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	start := 0
	if after := q.Get("startingAfter"); after != "" {
		start = 1 + slices.IndexFunc(s.transactions, func(t Transaction) bool { return t.TransactionKey == after })
	}
	page := []Transaction{}
	for _, t := range s.transactions[start:] {
		if len(page) < limit && !t.TransactionAt.Before(from) && t.TransactionAt.Before(to) {
			page = append(page, t)
		}
	}
	answer(w, page)
}
