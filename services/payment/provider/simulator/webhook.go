package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// The headers of a webhook.
const (
	headerTimestamp = "X-Quadrille-Timestamp" // seconds since 1970
	headerSignature = "X-Quadrille-Signature" // v1=hex, several by commas while a secret changes
)

// tolerance is how far a webhook's timestamp may be from now, either way.
// Within it a captured webhook can be sent again; its id stops that.
const tolerance = 300 * time.Second

// VerifyWebhook implements provider.Provider. The signature is an HMAC-SHA256
// over timestamp, a dot and the body as it came; it is checked before the body
// is looked at.
func (c *Client) VerifyWebhook(header http.Header, body []byte, now time.Time) (provider.Notice, error) {
	timestamp, err := single(header, headerTimestamp)
	if err != nil {
		return provider.Notice{}, err
	}
	signature, err := single(header, headerSignature)
	if err != nil {
		return provider.Notice{}, err
	}
	if err := fresh(timestamp, now); err != nil {
		return provider.Notice{}, err
	}
	if !c.signed(timestamp, signature, body) {
		return provider.Notice{}, fmt.Errorf("%w: does not match", provider.ErrSignature)
	}
	var b struct {
		ID        string `json:"id"`
		Reference string `json:"reference"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return provider.Notice{}, fmt.Errorf("decode webhook: %w", err)
	}
	if b.ID == "" || b.Reference == "" {
		return provider.Notice{}, errors.New("decode webhook: id or reference is missing")
	}
	return provider.Notice{ID: b.ID, OrderID: b.Reference}, nil
}

// single refuses a header that comes twice: a proxy in between might have
// looked at the other one.
func single(header http.Header, name string) (string, error) {
	if values := header.Values(name); len(values) == 1 {
		return values[0], nil
	}
	return "", fmt.Errorf("%w: want %s once", provider.ErrSignature, name)
}

// fresh accepts plain digits only (no sign, no spaces) and bounds their number,
// so that the difference cannot overflow.
func fresh(timestamp string, now time.Time) error {
	seconds, err := strconv.ParseUint(timestamp, 10, 63)
	if err != nil || len(timestamp) > 12 {
		return fmt.Errorf("%w: timestamp is no number of seconds", provider.ErrSignature)
	}
	if age := now.Sub(time.Unix(int64(seconds), 0)); age > tolerance || age < -tolerance {
		return fmt.Errorf("%w: timestamp is %s away", provider.ErrSignature, age.Abs().Round(time.Second))
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
