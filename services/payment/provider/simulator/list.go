package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// List implements provider.Provider.
func (c *Client) List(ctx context.Context, from, to time.Time, cursor string) (provider.Page, error) {
	query := url.Values{"from": {from.Format(time.RFC3339Nano)}, "to": {to.Format(time.RFC3339Nano)}, "after": {cursor}, "limit": {"1000"}}
	got, err := c.remote.Do(ctx, remote.Call{Method: http.MethodGet, Path: "/v1/movements?" + query.Encode()})
	if err != nil {
		return provider.Page{}, fmt.Errorf("list movements: %w", err)
	}
	var page struct {
		Data []struct {
			Kind      string    `json:"kind"`
			ChargeID  string    `json:"chargeId"`
			Reference string    `json:"reference"`
			Amount    int64     `json:"amount"`
			Currency  string    `json:"currency"`
			At        time.Time `json:"at"`
		} `json:"data"`
		Next string `json:"next"`
	}
	if err := json.Unmarshal(got.Body, &page); err != nil || got.Status != http.StatusOK {
		return provider.Page{}, fmt.Errorf("list movements: %w: answered %d: %w", provider.ErrRejected, got.Status, err)
	}
	kinds := map[string]provider.Kind{"charge": provider.Charged, "refund": provider.Returned}
	out := provider.Page{Next: page.Next}
	for _, m := range page.Data {
		kind, known := kinds[m.Kind]
		if !known || m.ChargeID == "" || m.Amount <= 0 {
			return provider.Page{}, fmt.Errorf("list movements: %w: a line of kind %q is not understood", provider.ErrRejected, m.Kind)
		}
		out.Movements = append(out.Movements, provider.Movement{
			Kind: kind, ChargeID: m.ChargeID, OrderID: m.Reference, Amount: m.Amount, Currency: m.Currency, At: m.At,
		})
	}
	return out, nil
}
