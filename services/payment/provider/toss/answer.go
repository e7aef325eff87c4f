package toss

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// The states of a payment that are looked at by name.
const (
	statusDone     = "DONE"
	statusWaiting  = "WAITING_FOR_DEPOSIT"
	statusCanceled = "CANCELED"
	statusPartly   = "PARTIAL_CANCELED"
)

// codeNotFound: Toss knows no such payment.
const codeNotFound = "NOT_FOUND_PAYMENT"

// payment is what is read of Toss's Payment object, or of the error object that
// comes instead of it.
type payment struct {
	apiError
	PaymentKey     string    `json:"paymentKey"`
	OrderID        string    `json:"orderId"`
	Status         string    `json:"status"`
	Currency       string    `json:"currency"`
	TotalAmount    won       `json:"totalAmount"`
	BalanceAmount  won       `json:"balanceAmount"`
	ApprovedAt     time.Time `json:"approvedAt"`
	Failure        *apiError `json:"failure"`
	VirtualAccount *struct {
		BankCode      string    `json:"bankCode"`
		AccountNumber string    `json:"accountNumber"`
		CustomerName  string    `json:"customerName"`
		DueDate       time.Time `json:"dueDate"`
	} `json:"virtualAccount"`
	Cancels []struct {
		TransactionKey string `json:"transactionKey"`
		CancelReason   string `json:"cancelReason"`
		CancelAmount   won    `json:"cancelAmount"`
		CancelStatus   string `json:"cancelStatus"`
	} `json:"cancels"`
}

// apiError is Toss's error object.
type apiError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// won is an amount in whole won. Toss writes amounts as JSON numbers, also as
// 15000.0.
type won int64

// UnmarshalJSON refuses a fraction: there is none of a won.
func (w *won) UnmarshalJSON(data []byte) error {
	text := string(data)
	if text == "null" {
		return nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.Trim(fraction, "0") != "" {
		return fmt.Errorf("%q is no amount in won", text)
	}
	*w = won(n)
	return nil
}

// remembered says whether Toss still knows the key a payment was confirmed with;
// a day is left for clocks and for the moment between the two.
func (p payment) remembered(now time.Time) bool {
	return now.Sub(p.ApprovedAt) < keyLife-24*time.Hour
}

// do makes a call that is answered with a payment or an error object.
func (c *Client) do(ctx context.Context, what string, call remote.Call) (int, payment, error) {
	got, err := c.remote.Do(ctx, call)
	if err != nil {
		return 0, payment{}, fmt.Errorf("%s: %w", what, err)
	}
	var p payment
	if err := json.Unmarshal(got.Body, &p); err != nil {
		return 0, payment{}, fmt.Errorf("%s: %w: answered %d: decode answer: %w", what, provider.ErrUnknown, got.Status, err)
	}
	return got.Status, p, nil
}

// outcome reads a payment's state. What was taken has to be what was asked for,
// or a person looks: nothing here may turn another amount into a paid order.
func (c *Client) outcome(r provider.ChargeRequest, p payment) (provider.Outcome, error) {
	switch p.Status {
	case statusDone:
		if int64(p.TotalAmount) != r.Amount || p.Currency != r.Currency || p.PaymentKey == "" {
			return provider.Outcome{}, fmt.Errorf("%w: %d %s were taken and %d %s asked for",
				provider.ErrRejected, p.TotalAmount, p.Currency, r.Amount, r.Currency)
		}
		return provider.Outcome{State: provider.Captured, ChargeID: p.PaymentKey}, nil
	case statusWaiting:
		if p.VirtualAccount == nil || p.VirtualAccount.AccountNumber == "" {
			return provider.Outcome{}, fmt.Errorf("%w: a virtual account without a number", provider.ErrUnknown)
		}
		a := p.VirtualAccount
		return provider.Outcome{State: provider.Pending, Account: provider.Account{
			Bank: a.BankCode, Number: a.AccountNumber, Holder: a.CustomerName, Until: a.DueDate,
		}}, nil
	case "READY", "IN_PROGRESS":
		return provider.Outcome{State: provider.NotFound}, nil
	case statusCanceled, "EXPIRED":
		// What had been taken is back; nothing can be taken any more.
		return provider.Outcome{State: provider.Voided}, nil
	case "ABORTED":
		reason := "aborted"
		if p.Failure != nil && p.Failure.Code != "" {
			reason = strings.ToLower(p.Failure.Code)
		}
		return provider.Outcome{State: provider.Declined, Reason: reason}, nil
	case statusPartly:
		return provider.Outcome{}, fmt.Errorf("%w: a part of the payment was given back by somebody else", provider.ErrRejected)
	default:
		return provider.Outcome{}, fmt.Errorf("%w: status %q is not known", provider.ErrUnknown, p.Status)
	}
}

// ours are the errors that say the shop's credentials or requests are wrong; no
// buyer can help it.
var ours = map[string]bool{
	"UNAUTHORIZED_KEY": true, "INVALID_API_KEY": true, "FORBIDDEN_REQUEST": true, "INCORRECT_BASIC_AUTH_FORMAT": true,
	"INVALID_IDEMPOTENCY_KEY": true,
}

// unclear are the errors behind which the request may have had its effect, or
// still have it.
var unclear = map[string]bool{
	"IDEMPOTENT_REQUEST_PROCESSING": true, "PROVIDER_ERROR": true, "DUPLICATED_ORDER_ID": true,
	"ALREADY_CANCELED_PAYMENT": true, "": true,
}

// refused reads an error object that answers a charge. ALREADY_PROCESSED_PAYMENT
// under our own key is a refusal: it was taken under another's.
func refused(what string, status int, p payment) (provider.Outcome, error) {
	switch {
	case unclear[p.Code] || status < 400:
		return provider.Outcome{}, fmt.Errorf("%s: %w: answered %d %q", what, provider.ErrUnknown, status, p.Code)
	case ours[p.Code]:
		return provider.Outcome{}, rejected(what, status, p.Code)
	}
	return provider.Outcome{State: provider.Declined, Reason: strings.ToLower(p.Code)}, nil
}

func rejected(what string, status int, code string) error {
	return fmt.Errorf("%s: %w: answered %d %q", what, provider.ErrRejected, status, code)
}
