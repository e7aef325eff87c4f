// Package simulator is the adapter to the carrier simulator (services/simulator
// describes its calls).
package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
)

// Config of a Client.
type Config struct {
	// Remote: BaseURL is required, Name defaults to "carrier simulator".
	Remote remote.Config
	// WebhookSecrets that are accepted, at least one. Two while the carrier
	// changes its secret.
	WebhookSecrets []string
}

// Client is a carrier.Carrier.
type Client struct {
	remote  *remote.Client
	secrets [][]byte
}

var (
	_ carrier.Carrier = (*Client)(nil)
	_ carrier.Tracker = (*Client)(nil)
)

// New makes a client.
func New(cfg Config) (*Client, error) {
	if cfg.Remote.Name == "" {
		cfg.Remote.Name = "carrier simulator"
	}
	r, err := remote.New(cfg.Remote)
	if err != nil {
		return nil, fmt.Errorf("configure carrier: %w", err)
	}
	c := &Client{remote: r}
	for _, s := range cfg.WebhookSecrets {
		if s == "" { // anybody can sign with nothing
			return nil, errors.New("configure carrier: a webhook secret is empty")
		}
		c.secrets = append(c.secrets, []byte(s))
	}
	if len(c.secrets) == 0 {
		return nil, errors.New("configure carrier: a webhook secret is required")
	}
	return c, nil
}

// Name implements carrier.Carrier.
func (c *Client) Name() string { return "simulator" }

// bookBody is the body of POST /v1/bookings.
type bookBody struct {
	Reference string      `json:"reference"`
	Address   addressBody `json:"address"`
	Items     []itemBody  `json:"items"`
}

type addressBody struct {
	Name       string `json:"name"`
	Phone      string `json:"phone"`
	Line1      string `json:"line1"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city"`
	PostalCode string `json:"postalCode"`
	Country    string `json:"country"`
}

type itemBody struct {
	ProductID string `json:"productId"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
}

// Book implements carrier.Carrier.
func (c *Client) Book(ctx context.Context, r carrier.BookRequest) (carrier.Booking, error) {
	body := bookBody{Reference: r.OrderID, Address: addressBody(r.Address)}
	for _, item := range r.Items {
		body.Items = append(body.Items, itemBody(item))
	}
	return c.do(ctx, "book parcel", remote.Call{Method: http.MethodPost, Path: "/v1/bookings", Key: r.Key, Body: body})
}

// AskBooking implements carrier.Carrier.
func (c *Client) AskBooking(ctx context.Context, key string) (carrier.Booking, error) {
	path := "/v1/bookings/by-key/" + url.PathEscape(key)
	return c.do(ctx, "ask booking", remote.Call{Method: http.MethodGet, Path: path})
}

// VoidBooking implements carrier.Carrier.
func (c *Client) VoidBooking(ctx context.Context, key string) (carrier.Booking, error) {
	body := map[string]string{"key": key}
	return c.do(ctx, "void booking", remote.Call{Method: http.MethodPost, Path: "/v1/voids", Body: body})
}

// Cancel implements carrier.Carrier.
func (c *Client) Cancel(ctx context.Context, bookingID string) (carrier.Booking, error) {
	path := "/v1/bookings/" + url.PathEscape(bookingID) + "/cancel"
	return c.parcel(ctx, "cancel parcel", remote.Call{Method: http.MethodPost, Path: path})
}

// Status implements carrier.Carrier.
func (c *Client) Status(ctx context.Context, bookingID string) (carrier.Booking, error) {
	path := "/v1/bookings/" + url.PathEscape(bookingID)
	return c.parcel(ctx, "ask status", remote.Call{Method: http.MethodGet, Path: path})
}

// parcel makes a call about a parcel the carrier has confirmed before: not to
// know it is a rejection and not a state.
func (c *Client) parcel(ctx context.Context, what string, call remote.Call) (carrier.Booking, error) {
	b, err := c.do(ctx, what, call)
	if err == nil && b.State == carrier.NotFound {
		return carrier.Booking{}, fmt.Errorf("%s: %w: no such booking", what, carrier.ErrRejected)
	}
	return b, err
}

// states are the simulator's words.
var states = map[string]carrier.State{
	"voided": carrier.Voided, "refused": carrier.Refused, "booked": carrier.Booked, "cancelled": carrier.Cancelled,
	"dispatched": carrier.Dispatched, "out_for_delivery": carrier.OutForDelivery, "delivered": carrier.Delivered,
	"lost": carrier.Lost, "returned": carrier.Returned,
}

// answer is any body the simulator sends.
type answer struct {
	State          string `json:"state"`
	BookingID      string `json:"bookingId"`
	TrackingNumber string `json:"trackingNumber"`
	Reason         string `json:"reason"`
	History        []struct {
		Status string    `json:"status"`
		At     time.Time `json:"at"`
	} `json:"history"`
	Error struct {
		Code string `json:"code"`
	} `json:"error"`
}

// checkpoints leaves out what it does not know.
func (a answer) checkpoints() []carrier.Checkpoint {
	var all []carrier.Checkpoint
	for _, h := range a.History {
		if state := states[h.Status]; state.OnItsWay() && !h.At.IsZero() {
			all = append(all, carrier.Checkpoint{Status: string(state), At: h.At})
		}
	}
	return all
}

// Track implements carrier.Tracker: this carrier tells itself how its parcels stand.
func (c *Client) Track(ctx context.Context, p carrier.Parcel) (carrier.Booking, error) {
	return c.Status(ctx, p.BookingID)
}

func (c *Client) do(ctx context.Context, what string, call remote.Call) (carrier.Booking, error) {
	got, err := c.remote.Do(ctx, call)
	if err != nil {
		return carrier.Booking{}, fmt.Errorf("%s: %w", what, err)
	}
	var a answer
	if err := json.Unmarshal(got.Body, &a); err != nil && got.Status < 300 {
		return carrier.Booking{}, fmt.Errorf("%s: %w: decode answer: %w", what, carrier.ErrUnknown, err)
	}
	state, known := states[a.State]
	// Whatever is or was a parcel has the carrier's number. Without it nothing could be asked or cancelled later, so an
	// answer that leaves it out says nothing.
	numbered := a.BookingID != "" || state == carrier.Voided || state == carrier.Refused
	switch {
	case known && numbered:
		return carrier.Booking{
			State: state, BookingID: a.BookingID, TrackingNumber: a.TrackingNumber, Reason: a.Reason, Checkpoints: a.checkpoints(),
		}, nil
	// The code and not the status alone: a wrong base URL or a proxy answers 404
	// as well, and knows nothing of any parcel.
	case got.Status == http.StatusNotFound && a.Error.Code == "booking_not_found":
		return carrier.Booking{State: carrier.NotFound}, nil
	case got.Status >= 300:
		return carrier.Booking{}, fmt.Errorf("%s: %w: answered %d %q", what, carrier.ErrRejected, got.Status, a.Error.Code)
	default:
		return carrier.Booking{}, fmt.Errorf("%s: %w: answered %d with state %q", what, carrier.ErrUnknown, got.Status, a.State)
	}
}
