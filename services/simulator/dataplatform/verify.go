package dataplatform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far a timestamp may be off, into the past (a captured request) and into the future.
const tolerance = 300 * time.Second

// errSignature does not say what is wrong: only the sender, who knows what it sent, is meant to find out.
var errSignature = errors.New("the signature or its timestamp does not hold")

// verify checks a request's signature over its id, its timestamp and its body as it came. The header may hold several,
// separated by spaces, while a secret is changed; those of other schemes than v1 are passed over.
func verify(key []byte, h http.Header, body []byte, now time.Time) (id string, err error) {
	id = h.Get("webhook-id")
	seconds, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || id == "" || len(key) == 0 || len(h.Values("webhook-id")) != 1 {
		return "", errSignature
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return "", errSignature
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + h.Get("webhook-timestamp") + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for _, signature := range strings.Fields(h.Get("webhook-signature")) {
		encoded, v1 := strings.CutPrefix(signature, "v1,")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if v1 && err == nil && hmac.Equal(got, want) {
			return id, nil
		}
	}
	return "", errSignature
}
