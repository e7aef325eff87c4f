// Package payment is a card payment provider to develop and test against: a
// real HTTP server with idempotency keys, declines, lost answers and a memory
// that outlives a kill.
//
// Calls (JSON; amounts in minor units; errors as {"error":{"code","message"}}):
//
//	POST /v1/charges {amount,currency,token,reference} + Idempotency-Key
//	     200 captured · 402 declined · 409 voided · 422 key reused with another body
//	GET  /v1/charges/by-key/{key}   200 in any state · 404 charge_not_found
//	GET  /v1/charges?since&after&limit  captured ones, oldest first, for reconciliation
//	POST /v1/voids {key}            200 voided, or the captured or declined charge
//	POST /v1/refunds {chargeId,amount,currency} + Idempotency-Key   200 refunded · 402 refused · 422
//	GET  /v1/refunds/by-key/{key}   200 · 404 refund_not_found
//	POST /v1/charges {...,transfer:true}   200 pending, with the account to pay into
//	POST /v1/charges/by-key/{key}/deposit  the customer pays: 200 captured · 409 closed before
//	GET  /v1/movements?from&to&after&limit charges and refunds, oldest first, for reconciliation
//	GET  /v1/summary?reference      totals per currency and per reference
//	GET|POST /faults                see package outage (none, down, cut, slow, timeout)
//
// The answer to a key never changes. A charge whose caller hangs up is carried
// on: that is how charges of unknown outcome come about.
package payment

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/answer"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// The payment tokens and what they do.
const (
	TokenOK            = "tok_ok"             // captured
	TokenDecline       = "tok_decline"        // declined: card_declined
	TokenUnknown       = "tok_unknown"        // captured, but the first answer never comes
	TokenUnknownFailed = "tok_unknown_failed" // not captured, and no answer comes
	TokenSlow          = "tok_slow"           // captured after Config.SlowDelay
	TokenFlaky         = "tok_flaky"          // 503 twice for a key, then captured
	TokenRefundRefused = "tok_refund_refused" // captured; its refunds are refused for good
)

// flakyFailures is how often tok_flaky fails before it is captured.
const flakyFailures = 2

// Config of a Server.
type Config struct {
	// Dir holds the journal; one server at a time.
	Dir string
	// SlowDelay is what tok_slow takes; default 2 s.
	SlowDelay time.Duration
	// HangTime is how long a caller of tok_unknown is kept before the connection
	// is cut, unless it gives up before; default 30 s.
	HangTime time.Duration
	// WebhookURL hears of every deposit, and with WebhookCards of every card that is
	// charged too; "" for no webhooks. They are signed with WebhookSecret and sent
	// again after RetryMin (default 1 s), doubling up to RetryMax (default 1 min),
	// until they are taken.
	WebhookURL         string
	WebhookSecret      string
	WebhookCards       bool
	RetryMin, RetryMax time.Duration
}

// Server is the provider. Serve its Handler, Close it after the HTTP server.
type Server struct {
	cfg    Config
	ledger *ledger
	faults *outage.Switch
	herald *herald // nil without webhooks
	done   chan struct{}
	once   sync.Once

	mu    sync.Mutex
	flaky map[string]int // failures already given, by key; not kept over a restart
}

// New opens the ledger in cfg.Dir and replays it.
func New(cfg Config) (*Server, error) {
	if cfg.SlowDelay == 0 {
		cfg.SlowDelay = 2 * time.Second
	}
	if cfg.HangTime == 0 {
		cfg.HangTime = 30 * time.Second
	}
	l, err := openLedger(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, ledger: l, done: make(chan struct{}), flaky: map[string]int{}}
	if cfg.WebhookURL != "" {
		s.herald = newHerald(cfg, l)
		s.herald.resume()
	}
	s.faults = outage.New(s.done, outage.Down, outage.Cut, outage.Slow, outage.Timeout)
	return s, nil
}

// Close lets waiting callers go (their connections are cut) and closes the
// ledger. Requests that come later are answered 500.
func (s *Server) Close() error {
	s.once.Do(func() {
		close(s.done)
		if s.herald != nil {
			s.herald.stop()
		}
	})
	return s.ledger.journal.Close()
}

// Faults is the switch behind /faults.
func (s *Server) Faults() *outage.Switch { return s.faults }

// Summary adds the captured and refunded money up, for all references or (if
// not "") for one.
func (s *Server) Summary(reference string) (Summary, error) { return s.ledger.summary(reference) }

// Handler serves the calls of the package's description.
func (s *Server) Handler() http.Handler {
	v1 := http.NewServeMux()
	v1.HandleFunc("POST /v1/charges", s.postCharge)
	v1.HandleFunc("GET /v1/charges", s.listCharges)
	v1.HandleFunc("GET /v1/charges/by-key/{key}", s.getCharge)
	v1.HandleFunc("GET /v1/movements", s.listMovements)
	v1.HandleFunc("POST /v1/voids", s.postVoid)
	v1.HandleFunc("POST /v1/refunds", s.postRefund)
	v1.HandleFunc("GET /v1/refunds/by-key/{key}", s.getRefund)

	mux := http.NewServeMux()
	mux.Handle("/v1/", s.faults.Wrap(v1))
	mux.HandleFunc("GET /v1/summary", s.getSummary) // counts also while the provider is down
	// The customer's bank does not care whether the provider answers.
	mux.HandleFunc("POST /v1/charges/by-key/{key}/deposit", s.postDeposit)
	mux.Handle("/faults", s.faults)
	return mux
}

func (s *Server) postCharge(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
		Token     string `json:"token"`
		Reference string `json:"reference"`
		Transfer  bool   `json:"transfer"`
	}
	key := answer.Key(w, r)
	if key == "" || !answer.Read(w, r, &body) {
		return
	}
	if body.Amount <= 0 || len(body.Currency) != 3 || (body.Token == "") != body.Transfer {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "amount (above 0), currency (ISO 4217) and, unless it is a transfer, token are required")
		return
	}
	ask := Charge{
		Key: key, Amount: body.Amount, Currency: body.Currency, Token: body.Token, Reference: body.Reference, Transfer: body.Transfer,
	}
	decline, ok := s.act(w, r, ask)
	if !ok {
		return
	}
	charge, fresh, err := s.ledger.charge(ask, decline)
	if err == nil && fresh && s.cfg.WebhookCards && charge.State == Captured {
		s.tell(charge)
	}
	if err == nil && fresh && body.Token == TokenUnknown {
		s.faults.Hang(r, s.cfg.HangTime)
	}
	writeCharge(w, charge, err)
}

// act does what the token asks for before the decision: wait, hang, fail. It
// returns the reason for a decline, or "", and false if the request has ended.
//
// Nothing is reserved while tok_slow waits. So a void that comes in between
// wins, and the charge then finds its key voided, as with a worker that was
// paused before it sent.
func (s *Server) act(w http.ResponseWriter, r *http.Request, ask Charge) (string, bool) {
	if s.ledger.decided(ask.Key) {
		return "", true // the ledger has the answer
	}
	switch ask.Token {
	case "": // a transfer
		return "", true
	case TokenOK, TokenUnknown, TokenRefundRefused:
		return "", true
	case TokenDecline:
		return "card_declined", true
	case TokenSlow:
		return "", s.faults.Pause(s.cfg.SlowDelay)
	case TokenUnknownFailed:
		s.faults.Hang(r, s.cfg.HangTime)
		return "", false
	case TokenFlaky:
		if s.fails(ask.Key) {
			answer.Refuse(w, http.StatusServiceUnavailable, "unavailable", "try again")
			return "", false
		}
		return "", true
	default:
		return "invalid_token", true
	}
}

// fails counts a failure of tok_flaky, until the key has had its share.
func (s *Server) fails(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flaky[key] == flakyFailures {
		return false
	}
	s.flaky[key]++
	return true
}

func writeCharge(w http.ResponseWriter, c Charge, err error) {
	switch {
	case errors.Is(err, errKeyReused):
		answer.Refuse(w, http.StatusUnprocessableEntity, "idempotency_key_reused", err.Error())
	case err != nil:
		answer.Refuse(w, http.StatusInternalServerError, "internal", "the ledger cannot be written")
	case c.State == Declined:
		answer.JSON(w, http.StatusPaymentRequired, c)
	case c.State == Voided:
		answer.JSON(w, http.StatusConflict, c)
	default:
		answer.JSON(w, http.StatusOK, c)
	}
}

func (s *Server) getCharge(w http.ResponseWriter, r *http.Request) {
	charge, err := s.ledger.chargeByKey(r.PathValue("key"))
	write(w, charge, err, "charge_not_found")
}

func (s *Server) getRefund(w http.ResponseWriter, r *http.Request) {
	refund, err := s.ledger.refundByKey(r.PathValue("key"))
	write(w, refund, err, "refund_not_found")
}

func (s *Server) getSummary(w http.ResponseWriter, r *http.Request) {
	sum, err := s.Summary(r.URL.Query().Get("reference"))
	write(w, sum, err, "")
}

func (s *Server) postVoid(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Key string `json:"key"`
	}
	if !answer.Read(w, r, &body) {
		return
	}
	if body.Key == "" || len(body.Key) > 300 {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "key is required")
		return
	}
	charge, err := s.ledger.void(body.Key)
	write(w, charge, err, "")
}

func (s *Server) postRefund(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ChargeID string `json:"chargeId"`
		Amount   int64  `json:"amount"`
		Currency string `json:"currency"`
	}
	key := answer.Key(w, r)
	if key == "" || !answer.Read(w, r, &body) {
		return
	}
	if body.ChargeID == "" || body.Amount <= 0 {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "chargeId and amount (above 0) are required")
		return
	}
	refund, err := s.ledger.refund(Refund{Key: key, ChargeID: body.ChargeID, Amount: body.Amount, Currency: body.Currency})
	switch {
	case errors.Is(err, errKeyReused):
		answer.Refuse(w, http.StatusUnprocessableEntity, "idempotency_key_reused", err.Error())
	case err == nil && refund.State == Refused:
		answer.JSON(w, http.StatusPaymentRequired, refund)
	default:
		write(w, refund, err, "")
	}
}

func (s *Server) listCharges(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var since time.Time
	limit := 100
	var err error
	if v := q.Get("since"); v != "" {
		since, err = time.Parse(time.RFC3339, v)
	}
	if v := q.Get("limit"); v != "" && err == nil {
		limit, err = strconv.Atoi(v)
	}
	if err != nil || limit < 1 || limit > 1000 {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "since must be an RFC 3339 time, limit 1 to 1000")
		return
	}
	list, more, err := s.ledger.captured(since, q.Get("after"), limit)
	if list == nil {
		list = []Charge{}
	}
	write(w, answer.List[Charge]{Data: list, HasMore: more}, err, "")
}

// write answers a question: the value, 404 with the given code, or 500.
func write(w http.ResponseWriter, v any, err error, notFound string) {
	switch {
	case errors.Is(err, errUnknown):
		answer.Refuse(w, http.StatusNotFound, notFound, "nothing is known under that key")
	case err != nil:
		answer.Refuse(w, http.StatusInternalServerError, "internal", "the ledger cannot be written")
	default:
		answer.JSON(w, http.StatusOK, v)
	}
}
