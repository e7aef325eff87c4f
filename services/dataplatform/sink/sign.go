package sink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks, https://www.standardwebhooks.com.
const (
	HeaderID        = "webhook-id"        // the batch's id
	HeaderTimestamp = "webhook-timestamp" // seconds since 1970, of this attempt
	HeaderSignature = "webhook-signature" // v1, and the base64 of an HMAC-SHA256
)

// secretPrefix marks a secret that signs webhooks; what follows is base64.
const secretPrefix = "whsec_"

// Secret is a key for signatures: 24 to 64 bytes, as Standard Webhooks asks.
type Secret struct{ key []byte }

// ParseSecret reads whsec_ and base64.
func ParseSecret(text string) (Secret, error) {
	encoded, is := strings.CutPrefix(text, secretPrefix)
	if !is {
		return Secret{}, errors.New("a secret is whsec_ followed by base64")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return Secret{}, errors.New("what follows whsec_ is not base64")
	}
	if len(key) < 24 || len(key) > 64 {
		return Secret{}, fmt.Errorf("the secret has %d bytes: want 24 to 64", len(key))
	}
	return Secret{key: key}, nil
}

// Sign is the signature of a body under an id and a time. Both are inside, so what was captured can be sent again
// neither as another batch nor as a newer one.
func (s Secret) Sign(id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
