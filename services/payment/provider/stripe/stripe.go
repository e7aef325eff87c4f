// Package stripe is the adapter to Stripe, for cards.
//
// A charge is a PaymentIntent in two requests: one creates it, unconfirmed, under
// our key; one confirms it. Creating moves no money, so it can be sent again under
// its key to find the PaymentIntent that the key stands for, at once and for
// certain (Stripe's search runs up to a minute behind). And a PaymentIntent can be
// cancelled: that is how a key is closed for good, also against a worker that was
// paused before it confirmed.
//
// Stripe remembers a key for a day. Of an older one the PaymentIntent is searched
// for by its metadata.
package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	api "github.com/stripe/stripe-go/v84"

	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// Name is what configuration and webhook paths call it.
const Name = "stripe"

// keyLife is how long a key is taken for remembered: less than the day that Stripe
// promises.
const keyLife = 23 * time.Hour

// The metadata of what we make at Stripe.
const (
	metaOrder = "order_id"
	metaKey   = "key"
)

// Config of a Client.
type Config struct {
	// SecretKey is the shop's, sk_test_… or sk_live_….
	SecretKey string
	// WebhookSecrets are accepted; two while one is changed. Without any, no
	// webhook is.
	WebhookSecrets []string
	// Timeout of a call, of all its requests together; default 4 s.
	Timeout time.Duration
	// URL of the API; default Stripe's own.
	URL string
	// Transport defaults to one of its own with 256 kept connections.
	Transport http.RoundTripper
}

// Client is a provider.Provider.
type Client struct {
	api *api.Client
	cfg Config
}

var _ provider.Provider = (*Client)(nil)

// New makes a client.
func New(cfg Config) (*Client, error) {
	if cfg.SecretKey == "" {
		return nil, errors.New("configure Stripe: a secret key is required")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 4 * time.Second
	}
	if cfg.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 256
		cfg.Transport = t
	}
	backend := &api.BackendConfig{
		HTTPClient: &http.Client{
			Transport: traced{cfg.Transport},
			// A redirect would take credentials elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		LeveledLogger:     &api.LeveledLogger{Level: api.LevelNull},
		MaxNetworkRetries: api.Int64(0), // whoever owns the attempt's row repeats it
		EnableTelemetry:   api.Bool(false),
	}
	if cfg.URL != "" {
		backend.URL = api.String(cfg.URL)
	}
	client := api.NewClient(cfg.SecretKey, api.WithBackends(&api.Backends{API: api.GetBackendWithConfig(api.APIBackend, backend)}))
	return &Client{api: client, cfg: cfg}, nil
}

// Name implements provider.Provider.
func (*Client) Name() string { return Name }

// Charge implements provider.Provider.
func (c *Client) Charge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	if r.Method == provider.Transfer {
		return provider.Outcome{State: provider.Declined, Reason: "unsupported_method"}, nil
	}
	if r.Token == "" {
		return provider.Outcome{State: provider.Declined, Reason: "payment_method_required"}, nil
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	intent, err := c.create(ctx, r)
	if err != nil {
		return declined("create", err)
	}
	params := &api.PaymentIntentConfirmParams{PaymentMethod: api.String(r.Token), ErrorOnRequiresAction: api.Bool(true)}
	params.SetIdempotencyKey(r.Key + "-confirm")
	intent, err = c.api.V1PaymentIntents.Confirm(ctx, intent.ID, params)
	if err == nil {
		return outcome(r, intent)
	}
	// Closed before it was confirmed: the key's word, not this request's.
	if said := new(api.Error); errors.As(err, &said) && said.Code == api.ErrorCodePaymentIntentUnexpectedState {
		return c.current(ctx, r)
	}
	return declined("confirm", err)
}

// bound limits a call, whose requests share its time.
func (c *Client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(withSent(ctx), c.cfg.Timeout)
}

// create makes the key's PaymentIntent, or finds the one that was made.
func (c *Client) create(ctx context.Context, r provider.ChargeRequest) (*api.PaymentIntent, error) {
	params := &api.PaymentIntentCreateParams{
		Amount: api.Int64(r.Amount), Currency: api.String(strings.ToLower(r.Currency)),
		PaymentMethodTypes: []*string{api.String("card")},
	}
	params.AddMetadata(metaOrder, r.OrderID)
	params.AddMetadata(metaKey, r.Key)
	params.SetIdempotencyKey(r.Key)
	return c.api.V1PaymentIntents.Create(ctx, params)
}

// find returns the PaymentIntent that a key stands for as it is now, nil where
// Stripe knows none.
func (c *Client) find(ctx context.Context, r provider.ChargeRequest) (*api.PaymentIntent, error) {
	if remembered(r.OrderID) {
		made, err := c.create(ctx, r)
		if err != nil {
			return nil, err
		}
		// What create answers is the PaymentIntent as it was made.
		return c.api.V1PaymentIntents.Retrieve(ctx, made.ID, nil)
	}
	params := &api.PaymentIntentSearchParams{}
	params.Query = fmt.Sprintf("metadata['%s']:'%s'", metaKey, quote(r.Key))
	params.Limit, params.Single = api.Int64(1), true
	for found, err := range c.api.V1PaymentIntents.Search(ctx, params) {
		if err != nil {
			return nil, err
		}
		return c.api.V1PaymentIntents.Retrieve(ctx, found.ID, nil)
	}
	return nil, nil
}

// quote escapes a value of Stripe's query language.
func quote(value string) string { return strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) }

// remembered says whether Stripe still knows the keys of an order, whose id says
// when it was placed. One that does not say is taken for old: a search finds what
// there is, and creating anew might make a second one.
func remembered(orderID string) bool {
	id, err := uuid.Parse(orderID)
	if err != nil || id.Version() != 7 {
		return false
	}
	seconds, nanoseconds := id.Time().UnixTime()
	return time.Since(time.Unix(seconds, nanoseconds)) < keyLife
}

// AskCharge implements provider.Provider.
func (c *Client) AskCharge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	return c.current(ctx, r)
}

func (c *Client) current(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	intent, err := c.find(ctx, r)
	switch {
	case err != nil:
		return provider.Outcome{}, classify("ask charge", err)
	case intent == nil:
		return provider.Outcome{State: provider.NotFound}, nil
	}
	return outcome(r, intent)
}

// VoidCharge implements provider.Provider. A key that nobody has used is closed by
// making its PaymentIntent and cancelling it. Against a confirm at the same moment
// Stripe decides: one that has succeeded refuses to be cancelled.
func (c *Client) VoidCharge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	intent, err := c.find(ctx, r)
	if err == nil && intent == nil {
		intent, err = c.create(ctx, r)
	}
	if err != nil {
		return provider.Outcome{}, classify("void charge", err)
	}
	if intent.Status != api.PaymentIntentStatusSucceeded && intent.Status != api.PaymentIntentStatusCanceled {
		// No key: a second cancel finds it cancelled.
		cancelled, err := c.api.V1PaymentIntents.Cancel(ctx, intent.ID, nil)
		if said := new(api.Error); errors.As(err, &said) && said.Code == api.ErrorCodePaymentIntentUnexpectedState {
			cancelled, err = c.api.V1PaymentIntents.Retrieve(ctx, intent.ID, nil)
		}
		if err != nil {
			return provider.Outcome{}, classify("void charge", err)
		}
		intent = cancelled
	}
	now, err := outcome(r, intent)
	if err == nil && now.State == provider.NotFound {
		return provider.Outcome{}, fmt.Errorf("void charge: %w: the PaymentIntent is still %s", provider.ErrUnknown, intent.Status)
	}
	return now, err
}

// outcome reads a PaymentIntent. What was taken has to be what was asked for, or a
// person looks.
func outcome(r provider.ChargeRequest, intent *api.PaymentIntent) (provider.Outcome, error) {
	if intent.ID == "" {
		return provider.Outcome{}, fmt.Errorf("%w: an answer without a PaymentIntent", provider.ErrUnknown)
	}
	switch intent.Status {
	case api.PaymentIntentStatusSucceeded:
		if intent.AmountReceived != r.Amount || !strings.EqualFold(string(intent.Currency), r.Currency) {
			return provider.Outcome{}, fmt.Errorf("%w: %d %s were taken and %d %s asked for",
				provider.ErrRejected, intent.AmountReceived, intent.Currency, r.Amount, r.Currency)
		}
		return provider.Outcome{State: provider.Captured, ChargeID: intent.ID}, nil
	case api.PaymentIntentStatusCanceled:
		return provider.Outcome{State: provider.Voided}, nil
	case api.PaymentIntentStatusRequiresPaymentMethod, api.PaymentIntentStatusRequiresConfirmation, api.PaymentIntentStatusRequiresAction:
		if intent.LastPaymentError != nil {
			return provider.Outcome{State: provider.Declined, Reason: word(intent.LastPaymentError)}, nil
		}
		return provider.Outcome{State: provider.NotFound}, nil
	default: // processing, and what Stripe may add
		return provider.Outcome{}, fmt.Errorf("%w: the PaymentIntent is %s", provider.ErrUnknown, intent.Status)
	}
}
