package tracker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/quadrille-io/quadrille/services/shipping/carrier"
)

const (
	// WatchFor is how long a callback is registered for: what the aggregator advises.
	WatchFor = 48 * time.Hour
	// tolerance is for a clock of ours that runs ahead of another one of ours.
	tolerance = 300 * time.Second
)

// The parameters of a callback's URL.
const (
	paramOrder     = "order"
	paramExpires   = "expires" // seconds since 1970
	paramSignature = "signature"
)

// Callbacks makes the URLs that callbacks are sent to, and knows its own again.
//
// The aggregator signs nothing: whoever knows a plain URL could say that any parcel has news. So each parcel's callback has
// a URL of its own with an end, an order and a signature over both and over the ids that the body will carry. Who has it
// can at most make us ask about this one parcel until that end; nothing in a callback is believed.
type Callbacks struct {
	base      url.URL
	secrets   [][]byte
	carrierID string
}

// minSecret is the least length of a secret, in bytes.
const minSecret = 16

// NewCallbacks takes the public URL of the route that callbacks come to, the secrets (the first one signs, all are
// accepted), and the aggregator's id of the carrier.
func NewCallbacks(publicURL string, secrets []string, carrierID string) (*Callbacks, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("configure callbacks: the URL must be http(s)://host/path, without a query")
	}
	c := &Callbacks{base: *u, carrierID: carrierID}
	for _, s := range secrets {
		if len(s) < minSecret {
			return nil, fmt.Errorf("configure callbacks: a secret is shorter than %d characters", minSecret)
		}
		c.secrets = append(c.secrets, []byte(s))
	}
	if len(c.secrets) == 0 {
		return nil, errors.New("configure callbacks: a secret is required")
	}
	return c, nil
}

// URL is where callbacks about a parcel are to be sent until a time.
func (c *Callbacks) URL(p carrier.Parcel, until time.Time) string {
	u := c.base
	expires := strconv.FormatInt(until.Unix(), 10)
	u.RawQuery = url.Values{
		paramOrder: {p.OrderID}, paramExpires: {expires},
		paramSignature: {hex.EncodeToString(sign(c.secrets[0], expires, p.OrderID, c.carrierID, p.TrackingNumber))},
	}.Encode()
	return u.String()
}

// sign is over the parts with their lengths, so that no two parcels' parts can be cut to give the same text.
func sign(secret []byte, parts ...string) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, part := range parts {
		_, _ = fmt.Fprintf(mac, "%d:%s.", len(part), part) // never fails
	}
	return mac.Sum(nil)
}

// Verify returns the parcel that a callback is about, without its BookingID. Its error wraps carrier.ErrSignature, unless
// the body is none of the aggregator's at all.
func (c *Callbacks) Verify(query url.Values, body []byte, now time.Time) (carrier.Parcel, error) {
	var ids struct {
		CarrierID      string `json:"carrierId"`
		TrackingNumber string `json:"trackingNumber"`
	}
	for _, name := range []string{paramOrder, paramExpires, paramSignature} {
		if len(query[name]) != 1 {
			return carrier.Parcel{}, fmt.Errorf("%w: want %s once", carrier.ErrSignature, name)
		}
	}
	expires := query.Get(paramExpires)
	seconds, err := strconv.ParseUint(expires, 10, 63)
	if err != nil || len(expires) > 12 {
		return carrier.Parcel{}, fmt.Errorf("%w: its end is no number of seconds", carrier.ErrSignature)
	}
	if left := time.Unix(int64(seconds), 0).Sub(now); left < -tolerance || left > WatchFor+tolerance {
		return carrier.Parcel{}, fmt.Errorf("%w: it ended, or ends too late", carrier.ErrSignature)
	}
	if err := json.Unmarshal(body, &ids); err != nil || ids.TrackingNumber == "" {
		return carrier.Parcel{}, errors.New("decode callback: want carrierId and trackingNumber")
	}
	got, err := hex.DecodeString(query.Get(paramSignature))
	good := false
	for _, secret := range c.secrets { // all of them, in constant time
		if hmac.Equal(got, sign(secret, expires, query.Get(paramOrder), ids.CarrierID, ids.TrackingNumber)) {
			good = true
		}
	}
	if err != nil || !good || ids.CarrierID != c.carrierID {
		return carrier.Parcel{}, fmt.Errorf("%w: does not match", carrier.ErrSignature)
	}
	return carrier.Parcel{OrderID: query.Get(paramOrder), TrackingNumber: ids.TrackingNumber}, nil
}
