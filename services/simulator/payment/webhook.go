package payment

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The headers of a webhook.
const (
	HeaderTimestamp = "X-Quadrille-Timestamp" // seconds since 1970
	HeaderSignature = "X-Quadrille-Signature" // v1= and the hex of Sign
)

// Webhook says that a charge was captured.
type Webhook struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"` // charge.captured
	Key       string    `json:"key"`
	ChargeID  string    `json:"chargeId"`
	Reference string    `json:"reference"`
	CreatedAt time.Time `json:"createdAt"`
}

// Sign is the HMAC-SHA256 over timestamp, a dot and the raw body. The timestamp
// is inside, so a captured webhook cannot be sent again with a newer one.
func Sign(secret []byte, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}

// herald brings webhooks to the merchant until it takes them, each on its own:
// they come late, repeated and in any order, as every provider's do.
type herald struct {
	cfg    Config
	ledger *ledger
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc

	// mu keeps a delivery from beginning while stop waits for the last one.
	mu   sync.Mutex
	busy sync.WaitGroup
}

func newHerald(cfg Config, l *ledger) *herald {
	if cfg.RetryMin == 0 {
		cfg.RetryMin = time.Second
	}
	if cfg.RetryMax == 0 {
		cfg.RetryMax = time.Minute
	}
	h := &herald{cfg: cfg, ledger: l, client: &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// resume sends what was not taken before the last end.
func (h *herald) resume() {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(h.ledger.untold)) {
		h.begin(*h.ledger.untold[id])
	}
}

// begin delivers beside the caller; what comes after stop is resumed by the next
// server.
func (h *herald) begin(w Webhook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() == nil {
		h.busy.Go(func() { h.deliver(w) })
	}
}

// tell sends a webhook once it is on the disk. One that cannot be kept is lost:
// the reconciliation finds the charge.
func (h *herald) tell(c Charge) {
	w := Webhook{
		ID: uuid.Must(uuid.NewV7()).String(), Type: "charge.captured", Key: c.Key, ChargeID: c.ChargeID,
		Reference: c.Reference, CreatedAt: time.Now().UTC(),
	}
	err := h.ledger.settle(func() error { kept := w; return h.ledger.record(entry{Webhook: &kept}) })
	if err != nil {
		slog.Error("payment webhook not kept", "webhook", w.ID, "error", err)
		return
	}
	h.begin(w)
}

func (h *herald) stop() {
	h.mu.Lock()
	h.cancel()
	h.mu.Unlock()
	h.busy.Wait()
}

// deliver tries until the webhook is taken.
func (h *herald) deliver(w Webhook) {
	for attempt := 0; h.ctx.Err() == nil; attempt++ {
		err := h.send(w)
		if err == nil {
			err = h.ledger.settle(func() error { return h.ledger.record(entry{Told: w.ID}) })
		}
		if err == nil || h.ctx.Err() != nil {
			return
		}
		pause := min(h.cfg.RetryMax, h.cfg.RetryMin<<min(attempt, 20))
		pause = pause/2 + rand.N(pause/2+1)
		slog.Warn("payment webhook not taken", "webhook", w.ID, "attempt", attempt+1, "retry_in", pause, "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-h.ctx.Done():
			timer.Stop()
		}
	}
}

// send makes one attempt, signed anew: the merchant refuses old timestamps.
func (h *herald) send(w Webhook) error {
	body, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encode webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(h.ctx, http.MethodPost, h.cfg.WebhookURL, bytes.NewReader(body))
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
	return nil
}
