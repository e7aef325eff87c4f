package toss

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// VerifyWebhook implements provider.Provider. Toss signs no webhook about
// payments, so nothing in one is believed: it says which order to ask about, and
// the payment that is then looked up says the rest. Who forges one has a look-up
// made, no more.
//
// DEPOSIT_CALLBACK is about virtual accounts, which are opened under our order
// id. PAYMENT_STATUS_CHANGED comes for every payment; where it is about a window
// opened under an id of the front end's it is nothing to us, as the confirm's own
// answer has told.
func (c *Client) VerifyWebhook(_ http.Header, body []byte, _ time.Time) (provider.Notice, error) {
	var b struct {
		EventType string `json:"eventType"`
		OrderID   string `json:"orderId"` // DEPOSIT_CALLBACK has no envelope
		Status    string `json:"status"`
		Data      struct {
			OrderID string `json:"orderId"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return provider.Notice{}, fmt.Errorf("decode webhook: %w", err)
	}
	orderID := b.OrderID
	if b.EventType == "PAYMENT_STATUS_CHANGED" {
		orderID = b.Data.OrderID
	}
	switch {
	case b.EventType == "" && (b.OrderID == "" || b.Status == ""):
		return provider.Notice{}, errors.New("decode webhook: orderId or status is missing")
	case uuid.Validate(orderID) != nil:
		return provider.Notice{}, nil
	}
	// Sent again (up to 7 times) a webhook has the same bytes.
	sum := sha256.Sum256(body)
	return provider.Notice{ID: hex.EncodeToString(sum[:]), OrderID: orderID}, nil
}

// pageSize is how many transactions are asked for at once; Toss gives up to
// 5,000.
const pageSize = 1000

// List implements provider.Provider, with GET /v1/transactions.
func (c *Client) List(ctx context.Context, from, to time.Time, cursor string) (provider.Page, error) {
	query := url.Values{"startDate": {seoul(from)}, "endDate": {seoul(to)}, "limit": {strconv.Itoa(pageSize)}}
	if cursor != "" {
		query.Set("startingAfter", cursor)
	}
	got, err := c.remote.Do(ctx, remote.Call{Method: http.MethodGet, Path: "/v1/transactions?" + query.Encode()})
	if err != nil {
		return provider.Page{}, fmt.Errorf("list transactions: %w", err)
	}
	var lines []struct {
		TransactionKey string    `json:"transactionKey"`
		PaymentKey     string    `json:"paymentKey"`
		OrderID        string    `json:"orderId"`
		Status         string    `json:"status"`
		Currency       string    `json:"currency"`
		Amount         won       `json:"amount"`
		TransactionAt  time.Time `json:"transactionAt"`
	}
	if err := json.Unmarshal(got.Body, &lines); err != nil || got.Status != http.StatusOK {
		return provider.Page{}, fmt.Errorf("list transactions: %w: answered %d: %w", provider.ErrRejected, got.Status, err)
	}
	var page provider.Page
	for _, l := range lines {
		m := provider.Movement{ChargeID: l.PaymentKey, OrderID: l.OrderID, Amount: int64(l.Amount), Currency: l.Currency, At: l.TransactionAt}
		switch l.Status {
		case statusDone:
			m.Kind = provider.Charged
		case statusCanceled, statusPartly:
			m.Kind = provider.Returned
			m.Amount = max(m.Amount, -m.Amount)
		default:
			continue // an account that was opened: no money moved
		}
		page.Movements = append(page.Movements, m)
	}
	if len(lines) == pageSize {
		page.Next = lines[len(lines)-1].TransactionKey
	}
	return page, nil
}

// korea is the time Toss reads dates in.
var korea = time.FixedZone("KST", 9*60*60)

func seoul(t time.Time) string { return t.In(korea).Format("2006-01-02T15:04:05") }
