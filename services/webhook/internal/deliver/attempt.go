package deliver

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/webhook"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
	"github.com/quadrille-io/quadrille/services/webhook/sign"
)

// attempt makes one attempt. A stop of the process does not cut it off: it is bounded anyhow, and its end is worth
// knowing.
func (s *Sender) attempt(ctx context.Context, e webhook.Endpoint, j job) store.Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
	defer cancel()
	begin := time.Now()
	r := store.Result{
		Claimed: j.Claimed, ID: uuid.Must(uuid.NewV7()).String(), At: begin.UTC(), Wait: s.cfg.wait(j.Attempts + 1),
	}
	header, err := headers(e, j.EventID, begin, j.Body)
	if err == nil {
		r.Status, err = s.client.Post(ctx, e.URL, header, j.Body)
	}
	r.Took = time.Since(begin)
	switch {
	case err != nil:
		r.Error = err.Error()
	case r.Status/100 == 2:
		r.Delivered = true
	case r.Status == http.StatusGone:
		r.Gone = true
		r.Error = "410: the receiver wants no more"
	case r.Status/100 == 3:
		r.Error = fmt.Sprintf("%d: redirects are not followed", r.Status)
	default:
		r.Error = fmt.Sprintf("answered %d", r.Status)
	}
	return r
}

// headers are those of Standard Webhooks. The time is that of this attempt, so that the receiver's tolerance holds for
// a late one too; the id is the event's.
func headers(e webhook.Endpoint, id string, now time.Time, body []byte) (http.Header, error) {
	secrets := []string{e.Secret}
	if e.OldSecret != "" && now.Before(e.OldSecretUntil) {
		secrets = append(secrets, e.OldSecret)
	}
	signature, err := sign.Header(secrets, id, now, body)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	h.Set(sign.HeaderID, id)
	h.Set(sign.HeaderTimestamp, sign.Timestamp(now))
	h.Set(sign.HeaderSignature, signature)
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Quadrille-Webhooks/1")
	return h, nil
}
