package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/services/shipping/carrier"
)

// The headers of a webhook.
const (
	headerTimestamp = "X-Quadrille-Timestamp" // seconds since 1970
	headerSignature = "X-Quadrille-Signature" // v1=hex, several by commas while a secret changes
)

// tolerance is how far a webhook's timestamp may be from now, either way.
// Within it a captured webhook can be sent again; its id stops that.
const tolerance = 300 * time.Second

// VerifyWebhook implements carrier.Carrier. The signature is an HMAC-SHA256 over
// timestamp, a dot and the body as it came; it is checked before the body is
// looked at.
func (c *Client) VerifyWebhook(header http.Header, body []byte, now time.Time) (carrier.Event, error) {
	timestamp, err := single(header, headerTimestamp)
	if err != nil {
		return carrier.Event{}, err
	}
	signature, err := single(header, headerSignature)
	if err != nil {
		return carrier.Event{}, err
	}
	if err := fresh(timestamp, now); err != nil {
		return carrier.Event{}, err
	}
	if !c.signed(timestamp, signature, body) {
		return carrier.Event{}, fmt.Errorf("%w: does not match", carrier.ErrSignature)
	}
	return event(body)
}

// single refuses a header that comes twice: a proxy in between might have
// looked at the other one.
func single(header http.Header, name string) (string, error) {
	if values := header.Values(name); len(values) == 1 {
		return values[0], nil
	}
	return "", fmt.Errorf("%w: want %s once", carrier.ErrSignature, name)
}

// fresh accepts plain digits only (no sign, no spaces) and bounds their number,
// so that the difference cannot overflow.
func fresh(timestamp string, now time.Time) error {
	seconds, err := strconv.ParseUint(timestamp, 10, 63)
	if err != nil || len(timestamp) > 12 {
		return fmt.Errorf("%w: timestamp is no number of seconds", carrier.ErrSignature)
	}
	if age := now.Sub(time.Unix(int64(seconds), 0)); age > tolerance || age < -tolerance {
		return fmt.Errorf("%w: timestamp is %s away", carrier.ErrSignature, age.Abs().Round(time.Second))
	}
	return nil
}

// signed compares in constant time, and all secrets with all signatures.
func (c *Client) signed(timestamp, signatures string, body []byte) bool {
	good := false
	for signature := range strings.SplitSeq(signatures, ",") {
		digest, ok := strings.CutPrefix(strings.TrimSpace(signature), "v1=")
		got, err := hex.DecodeString(digest)
		if !ok || err != nil {
			continue // another version's signature beside ours
		}
		for _, secret := range c.secrets {
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(timestamp))
			mac.Write([]byte{'.'})
			mac.Write(body)
			if hmac.Equal(got, mac.Sum(nil)) {
				good = true
			}
		}
	}
	return good
}

// event reads a signed body. What it does not understand is an error too: to
// acknowledge it would lose it.
func event(body []byte) (carrier.Event, error) {
	var b struct {
		ID         string    `json:"id"`
		BookingID  string    `json:"bookingId"`
		Reference  string    `json:"reference"`
		Status     string    `json:"status"`
		OccurredAt time.Time `json:"occurredAt"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return carrier.Event{}, fmt.Errorf("decode webhook: %w", err)
	}
	state := states[b.Status]
	if b.ID == "" || b.BookingID == "" || !state.OnItsWay() {
		return carrier.Event{}, fmt.Errorf("decode webhook: id, bookingId or status %q is not understood", b.Status)
	}
	return carrier.Event{ID: b.ID, BookingID: b.BookingID, OrderID: b.Reference, State: state, OccurredAt: b.OccurredAt}, nil
}
