// Package sign signs deliveries as Standard Webhooks has it (https://www.standardwebhooks.com): an HMAC-SHA256 over
// "id.timestamp.body", so that neither can be changed alone, and an old request cannot be sent again as a new one.
package sign

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The headers of a delivery. The id is the event's: the same in every try, for the receiver to recognise a repeat.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// prefix of a secret, which is base64 otherwise.
const prefix = "whsec_"

// secretBytes: the specification asks for 24 to 64.
const secretBytes = 32

// NewSecret makes a secret: whsec_ and 32 random bytes in base64.
func NewSecret() string {
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	return prefix + base64.StdEncoding.EncodeToString(key)
}

// Header is the value of the signature header: one signature for each secret, so that a receiver that still has the
// old one of two finds its own.
func Header(secrets []string, id string, at time.Time, body []byte) (string, error) {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, prefix))
		if err != nil || len(key) == 0 {
			return "", fmt.Errorf("sign %s: secret %d of %d is not base64", id, i+1, len(secrets))
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + Timestamp(at) + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " "), nil
}

// Timestamp is the value of the timestamp header: seconds since 1970.
func Timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
