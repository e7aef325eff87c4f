package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	api "github.com/stripe/stripe-go/v84"

	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// headerSignature has t=seconds and one or more v1=hex.
const headerSignature = "Stripe-Signature"

// tolerance is how far a webhook's timestamp may be from now, either way.
const tolerance = 300 * time.Second

// VerifyWebhook implements provider.Provider, by Stripe's own scheme. Its library
// takes webhooks from the future, so the time is looked at here. Events about
// anything but PaymentIntents of ours are to be acknowledged.
func (c *Client) VerifyWebhook(header http.Header, body []byte, now time.Time) (provider.Notice, error) {
	signatures := header.Values(headerSignature)
	if len(signatures) != 1 {
		return provider.Notice{}, fmt.Errorf("%w: want %s once", provider.ErrSignature, headerSignature)
	}
	if err := fresh(signatures[0], now); err != nil {
		return provider.Notice{}, err
	}
	good := false
	for _, secret := range c.cfg.WebhookSecrets {
		good = good || api.ValidatePayload(body, signatures[0], secret, api.WithIgnoreTolerance()) == nil
	}
	if !good {
		return provider.Notice{}, fmt.Errorf("%w: does not match", provider.ErrSignature)
	}
	var b struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Data struct {
			Object struct {
				Metadata map[string]string `json:"metadata"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return provider.Notice{}, fmt.Errorf("decode webhook: %w", err)
	}
	if b.ID == "" || b.Type == "" {
		return provider.Notice{}, errors.New("decode webhook: id or type is missing")
	}
	if !strings.HasPrefix(b.Type, "payment_intent.") {
		return provider.Notice{ID: b.ID}, nil
	}
	return provider.Notice{ID: b.ID, OrderID: b.Data.Object.Metadata[metaOrder]}, nil
}

// fresh looks at the header's t. The same timestamp is inside the signature.
func fresh(header string, now time.Time) error {
	for part := range strings.SplitSeq(header, ",") {
		value, is := strings.CutPrefix(part, "t=")
		if !is {
			continue
		}
		seconds, err := strconv.ParseUint(value, 10, 63)
		if err != nil || len(value) > 12 {
			break
		}
		if age := now.Sub(time.Unix(int64(seconds), 0)); age > tolerance || age < -tolerance {
			return fmt.Errorf("%w: timestamp is %s away", provider.ErrSignature, age.Abs().Round(time.Second))
		}
		return nil
	}
	return fmt.Errorf("%w: timestamp is no number of seconds", provider.ErrSignature)
}

// pageSize is the most Stripe gives at once.
const pageSize = 100

// List implements provider.Provider: first the charges, then the refunds. A cursor
// says which of the two, and the last id.
func (c *Client) List(ctx context.Context, from, to time.Time, cursor string) (provider.Page, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	within := &api.RangeQueryParams{GreaterThanOrEqual: from.Unix(), LesserThan: to.Unix()}
	after, isRefund := strings.CutPrefix(cursor, "refunds/")
	if isRefund {
		return c.listRefunds(ctx, within, after)
	}
	return c.listCharges(ctx, within, strings.TrimPrefix(cursor, "charges/"))
}

func window(p *api.ListParams, after string) {
	p.Limit, p.Single = api.Int64(pageSize), true
	if after != "" {
		p.StartingAfter = api.String(after)
	}
}

func (c *Client) listCharges(ctx context.Context, within *api.RangeQueryParams, after string) (provider.Page, error) {
	params := &api.ChargeListParams{CreatedRange: within}
	window(&params.ListParams, after)
	page, last, read := provider.Page{Next: "refunds/"}, "", 0
	for one, err := range c.api.V1Charges.List(ctx, params) {
		if err != nil {
			return provider.Page{}, classify("list charges", err)
		}
		last = one.ID
		read++
		if one.Status != api.ChargeStatusSucceeded || !one.Captured || one.PaymentIntent == nil {
			continue
		}
		page.Movements = append(page.Movements, provider.Movement{
			Kind: provider.Charged, ChargeID: one.PaymentIntent.ID, OrderID: one.Metadata[metaOrder],
			Amount: one.AmountCaptured, Currency: strings.ToUpper(string(one.Currency)), At: time.Unix(one.Created, 0).UTC(),
		})
	}
	if read == pageSize {
		page.Next = "charges/" + last
	}
	return page, nil
}

func (c *Client) listRefunds(ctx context.Context, within *api.RangeQueryParams, after string) (provider.Page, error) {
	params := &api.RefundListParams{CreatedRange: within}
	window(&params.ListParams, after)
	page, last, read := provider.Page{}, "", 0
	for one, err := range c.api.V1Refunds.List(ctx, params) {
		if err != nil {
			return provider.Page{}, classify("list refunds", err)
		}
		last = one.ID
		read++
		if one.Status != api.RefundStatusSucceeded || one.PaymentIntent == nil {
			continue
		}
		page.Movements = append(page.Movements, provider.Movement{
			Kind: provider.Returned, ChargeID: one.PaymentIntent.ID,
			Amount: one.Amount, Currency: strings.ToUpper(string(one.Currency)), At: time.Unix(one.Created, 0).UTC(),
		})
	}
	if read == pageSize {
		page.Next = "refunds/" + last
	}
	return page, nil
}
