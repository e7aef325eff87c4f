package carrier

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The headers of a webhook.
const (
	HeaderTimestamp = "X-Quadrille-Timestamp" // seconds since 1970
	HeaderSignature = "X-Quadrille-Signature" // v1= and the hex of Sign
)

// Sign is the HMAC-SHA256 over timestamp, a dot and the raw body. The timestamp
// is inside, so a captured webhook cannot be sent again with a newer one.
func Sign(secret []byte, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}

// lanes is how many webhooks are under way at once. Those of one booking share
// a lane, so they go out in order; a repeated one may come after its successor,
// as with every carrier.
const lanes = 4

// herald brings webhooks to the merchant until it takes them.
type herald struct {
	cfg      Config
	client   *http.Client
	register *register
	lanes    [lanes]*lane
}

// lane is the queue of one sender.
type lane struct {
	wake chan struct{}

	mu    sync.Mutex
	queue schedule[dispatch]
}

type dispatch struct {
	webhook  Webhook
	attempts int
}

func newHerald(cfg Config, r *register) *herald {
	h := &herald{cfg: cfg, register: r, client: &http.Client{
		Timeout:       cfg.WebhookTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for i := range h.lanes {
		h.lanes[i] = &lane{wake: make(chan struct{}, 1)}
	}
	return h
}

// enqueue does not block.
func (h *herald) enqueue(w Webhook) {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(w.BookingID)) // never fails
	h.lanes[sum.Sum32()%lanes].add(w.OccurredAt, dispatch{webhook: w})
}

func (l *lane) add(at time.Time, d dispatch) {
	l.mu.Lock()
	l.queue.add(at, d)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take returns what is due now, or when the next one is.
func (l *lane) take(now time.Time) (d dispatch, due bool, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, due = l.queue.take(now)
	return d, due, l.queue.next()
}

// run sends one lane's webhooks until ctx ends.
func (h *herald) run(ctx context.Context, l *lane) {
	for ctx.Err() == nil {
		d, due, next := l.take(time.Now())
		if !due {
			waitUntil(ctx, next, l.wake)
			continue
		}
		if err := h.send(ctx, d.webhook); err != nil {
			if ctx.Err() != nil {
				return
			}
			d.attempts++
			pause := h.backoff(d.attempts)
			slog.Warn("carrier webhook not taken", "webhook", d.webhook.ID, "attempt", d.attempts, "retry_in", pause, "error", err)
			l.add(time.Now().Add(pause), d)
		}
	}
}

// backoff doubles from RetryMin to RetryMax; a random half keeps the webhooks
// of a long outage from coming all at once.
func (h *herald) backoff(attempts int) time.Duration {
	d := h.cfg.RetryMax
	if attempts < 20 {
		d = min(d, h.cfg.RetryMin<<(attempts-1))
	}
	return d/2 + rand.N(d/2+1)
}

// send makes one attempt. The signature is made anew each time: the merchant
// refuses old timestamps.
//
// A webhook is queued while the lock is held, before its line is on the disk.
// So wait for that: a crash must not take back what the merchant was told.
func (h *herald) send(ctx context.Context, w Webhook) error {
	if err := h.register.settle(func() error { return nil }); err != nil {
		return err
	}
	body, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encode webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.cfg.WebhookURL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make webhook request: %w", err)
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderTimestamp, timestamp)
	req.Header.Set(HeaderSignature, "v1="+hex.EncodeToString(Sign([]byte(h.cfg.WebhookSecret), timestamp, body)))
	resp, err := h.client.Do(req)
	if err != nil {
		return fmt.Errorf("send webhook: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	_ = resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("send webhook: answered %d", resp.StatusCode)
	}
	return h.register.told(w.ID)
}

// waitUntil returns at the time (never if it is zero), when woken, or when ctx
// ends.
func waitUntil(ctx context.Context, at time.Time, wake <-chan struct{}) {
	var fire <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		fire = timer.C
	}
	select {
	case <-fire:
	case <-wake:
	case <-ctx.Done():
	}
}
