// Package tracker follows parcels at a tracking aggregator that knows the carriers' numbers, by the API that Delivery
// Tracker publishes (https://tracker.delivery/docs): GraphQL over HTTP, carriers by ids like kr.cjlogistics, client
// credentials, and callbacks that carry a parcel's ids only. It books nothing.
//
// What is not obvious:
//   - A failure is in the body's errors, also under status 200 (docs/error-handling).
//   - NOT_FOUND is no final word: a carrier may tell of a parcel hours after it was booked.
//   - A callback is registered per parcel and ends at a time that we choose; registering again moves that time. It is not
//     signed by the aggregator, so we sign its URL (callback.go).
//   - The project has a quota of calls per second. Beyond it the answer is FORBIDDEN with words, or 429.
package tracker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"golang.org/x/time/rate"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
)

// Name is the aggregator's word in webhook paths and in the tracking history.
const Name = "tracker"

// ErrLimited says that the quota of calls is used up; it wraps carrier.ErrNotSent.
var ErrLimited = fmt.Errorf("%w: too many calls", carrier.ErrNotSent)

// Config of a Client.
type Config struct {
	// Remote: BaseURL is the API's, without /graphql. Timeout should be long: the aggregator may ask the carrier first.
	Remote remote.Config
	// TokenURL gives access tokens for ClientID and ClientSecret (OAuth 2.0 client credentials, RFC 6749 section 4.4).
	TokenURL     string
	ClientID     string
	ClientSecret string
	// CarrierID is under which id the aggregator knows who carries the parcels: kr.cjlogistics.
	CarrierID string
	// CallsPerSecond at most; 0 is 8, under the aggregator's default quota of 10.
	CallsPerSecond float64
}

// carrierID is the form of the aggregator's ids: a country or "un", and names, by dots.
var carrierID = regexp.MustCompile(`^[a-z0-9]+(\.[a-z0-9_-]+)+$`)

// IsCarrierID says whether a text has the form of an aggregator's carrier id.
func IsCarrierID(id string) bool { return len(id) <= 100 && carrierID.MatchString(id) }

// Client is a carrier.Tracker.
type Client struct {
	remote    *remote.Client
	carrierID string
	limit     *rate.Limiter
}

var _ carrier.Tracker = (*Client)(nil)

// New makes a client. It calls nobody yet.
func New(cfg Config) (*Client, error) {
	if cfg.ClientID == "" || cfg.ClientSecret == "" || cfg.TokenURL == "" {
		return nil, errors.New("configure tracker: client id, client secret and token URL are required")
	}
	if !IsCarrierID(cfg.CarrierID) {
		return nil, fmt.Errorf("configure tracker: %q is no carrier id", cfg.CarrierID)
	}
	if cfg.CallsPerSecond == 0 {
		cfg.CallsPerSecond = 8
	}
	if cfg.Remote.Name == "" {
		cfg.Remote.Name = Name
	}
	if cfg.Remote.Timeout == 0 {
		cfg.Remote.Timeout = 15 * time.Second
	}
	cfg.Remote.Transport = newAuthorizer(cfg)
	r, err := remote.New(cfg.Remote)
	if err != nil {
		return nil, fmt.Errorf("configure tracker: %w", err)
	}
	return &Client{remote: r, carrierID: cfg.CarrierID, limit: rate.NewLimiter(rate.Limit(cfg.CallsPerSecond), 1)}, nil
}

// Name implements carrier.Tracker.
func (c *Client) Name() string { return Name }

// maxEvents of a parcel are asked for. Few parcels have more than twenty.
const maxEvents = 50

const trackQuery = `query Track($carrierId: ID!, $trackingNumber: String!, $last: Int!) {
  track(carrierId: $carrierId, trackingNumber: $trackingNumber) {
    lastEvent { status { code } }
    events(last: $last) { edges { node { time status { code } location { name } } } }
  }
}`

// trackAnswer is the data of trackQuery. All of it may be null.
type trackAnswer struct {
	Track *struct {
		LastEvent *trackEvent `json:"lastEvent"`
		Events    *struct {
			Edges []struct {
				Node *trackEvent `json:"node"`
			} `json:"edges"`
		} `json:"events"`
	} `json:"track"`
}

type trackEvent struct {
	Time   string `json:"time"` // RFC 3339, with the place's own offset
	Status struct {
		Code string `json:"code"`
	} `json:"status"`
	Location *struct {
		Name string `json:"name"`
	} `json:"location"`
}

// Track implements carrier.Tracker: NotFound where the aggregator does not know the number (yet), Booked where nothing
// shows that the parcel has left.
func (c *Client) Track(ctx context.Context, p carrier.Parcel) (carrier.Booking, error) {
	var answer trackAnswer
	err := c.do(ctx, "track parcel", trackQuery, map[string]any{
		"carrierId": c.carrierID, "trackingNumber": p.TrackingNumber, "last": maxEvents,
	}, &answer)
	var refused *refusal
	if errors.As(err, &refused) && refused.code == codeNotFound {
		return carrier.Booking{State: carrier.NotFound, BookingID: p.BookingID, TrackingNumber: p.TrackingNumber}, nil
	}
	if err != nil {
		return carrier.Booking{}, err
	}
	b := carrier.Booking{State: carrier.Booked, BookingID: p.BookingID, TrackingNumber: p.TrackingNumber}
	if answer.Track == nil {
		return b, nil
	}
	var events []trackEvent
	if list := answer.Track.Events; list != nil {
		for _, edge := range list.Edges {
			if edge.Node != nil {
				events = append(events, *edge.Node)
			}
		}
	}
	b.State, b.Checkpoints = read(answer.Track.LastEvent, events)
	return b, nil
}

const watchMutation = `mutation Watch($input: RegisterTrackWebhookInput!) { registerTrackWebhook(input: $input) }`

// Watch has callbacks about a parcel sent to a URL until a time; again, it moves that time. The aggregator advises 48 h.
func (c *Client) Watch(ctx context.Context, p carrier.Parcel, callbackURL string, until time.Time) error {
	var answer struct {
		RegisterTrackWebhook *bool `json:"registerTrackWebhook"`
	}
	err := c.do(ctx, "register callback", watchMutation, map[string]any{"input": map[string]string{
		"carrierId": c.carrierID, "trackingNumber": p.TrackingNumber, "callbackUrl": callbackURL,
		"expirationTime": until.UTC().Format(time.RFC3339),
	}}, &answer)
	if err != nil {
		return err
	}
	if taken := answer.RegisterTrackWebhook; taken != nil && !*taken {
		return fmt.Errorf("register callback: %w: answered false", carrier.ErrRejected)
	}
	return nil
}
