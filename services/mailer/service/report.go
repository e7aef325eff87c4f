package service

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/quadrille-io/quadrille/services/mailer"
)

// The headers of a provider's webhook, the same as a carrier's.
const (
	headerTimestamp = "X-Quadrille-Timestamp" // seconds since 1970
	headerSignature = "X-Quadrille-Signature" // v1=hex, several by commas while a secret changes
)

// tolerance is how far a webhook's timestamp may be from now, either way. Within it a captured one can be sent again;
// its id stops that.
const tolerance = 300 * time.Second

var errSignature = errors.New("the signature does not hold")

// verify checks a webhook's signature: an HMAC-SHA256 over timestamp, a dot and the body as it came. All secrets are
// held against all signatures, in constant time. A header that comes twice is refused: a proxy in between might have
// looked at the other one.
func verify(secrets [][]byte, header http.Header, body []byte, now time.Time) error {
	timestamps, signatures := header.Values(headerTimestamp), header.Values(headerSignature)
	if len(timestamps) != 1 || len(signatures) != 1 {
		return fmt.Errorf("%w: want %s and %s once", errSignature, headerTimestamp, headerSignature)
	}
	// Plain digits only, and not too many, so that the difference cannot overflow.
	seconds, err := strconv.ParseUint(timestamps[0], 10, 63)
	if err != nil || len(timestamps[0]) > 12 {
		return fmt.Errorf("%w: timestamp is no number of seconds", errSignature)
	}
	if age := now.Sub(time.Unix(int64(seconds), 0)).Abs(); age > tolerance {
		return fmt.Errorf("%w: timestamp is %s away", errSignature, age.Round(time.Second))
	}
	good := false
	for signature := range strings.SplitSeq(signatures[0], ",") {
		digest, ok := strings.CutPrefix(strings.TrimSpace(signature), "v1=")
		got, err := hex.DecodeString(digest)
		if !ok || err != nil {
			continue // another version's signature beside ours
		}
		for _, secret := range secrets {
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(timestamps[0]))
			mac.Write([]byte{'.'})
			mac.Write(body)
			good = hmac.Equal(got, mac.Sum(nil)) || good
		}
	}
	if !good {
		return errSignature
	}
	return nil
}

// report is the body of a provider's webhook: what became of a mail that it had taken. Fields that are not here are
// the provider's own.
type report struct {
	ID        string `json:"id"`        // of this report, the same when it is sent again
	MessageID string `json:"messageId"` // the mail's, with or without angle brackets
	Status    string `json:"status"`    // RFC 3463: 5.1.1
}

var statusForm = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}$`)

func parseReport(body []byte) (report, error) {
	var r report
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("decode webhook: %w", err)
	}
	if r.ID == "" || r.MessageID == "" || !statusForm.MatchString(r.Status) {
		return r, errors.New("decode webhook: id, messageId or status is not understood")
	}
	return r, nil
}

// forGood says that the mail came back. 4.x.x is a delay that the provider deals with, 2.x.x a delivery.
func (r report) forGood() bool { return strings.HasPrefix(r.Status, "5.") }

// mail is the one that it is about, if the Message-ID is of the form that ours have.
func (r report) mail() (orderID string, kind mailer.Kind, ours bool) {
	if !utf8.ValidString(r.MessageID) || strings.ContainsRune(r.MessageID, 0) {
		return "", "", false
	}
	id := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(r.MessageID), "<"), ">")
	key, _, _ := strings.Cut(id, "@")
	return mailer.ParseMessageKey(key)
}
