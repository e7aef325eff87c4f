package carrier_test

import (
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
)

const secret = "whsec_test"

// firm is a running carrier.
type firm struct {
	t      *testing.T
	server *carrier.Server
	http   *httptest.Server
}

func start(t *testing.T, cfg carrier.Config) *firm {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.HangTime, cfg.WebhookSecret = 50*time.Millisecond, secret
	cfg.RetryMin, cfg.RetryMax = time.Millisecond, 20*time.Millisecond
	s, err := carrier.New(cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	f := &firm{t: t, server: s, http: httptest.NewServer(s.Handler())}
	t.Cleanup(f.stop)
	return f
}

func (f *firm) stop() {
	if err := f.server.Close(); err != nil {
		f.t.Errorf("close: %v", err)
	}
	f.http.Close()
}

// do returns status 0 when the connection ends without an answer.
func (f *firm) do(method, path, key, body string, into any) int {
	f.t.Helper()
	return rig.Try(f.t, method, f.http.URL+path, key, body, into)
}

func (f *firm) book(key, postalCode string) (status int, b carrier.Booking) {
	f.t.Helper()
	body := fmt.Sprintf(`{"reference":"order-%s","address":{"line1":"1 Road","city":"Town","postalCode":%q},`+
		`"items":[{"productId":"p","name":"P","quantity":1}]}`, key, postalCode)
	return f.do("POST", "/v1/bookings", key, body, &b), b
}

func (f *firm) call(method, path, body string) (status int, b carrier.Booking) {
	f.t.Helper()
	return f.do(method, path, "", body, &b), b
}

// merchant takes webhooks after refusing each the given number of times.
type merchant struct {
	*httptest.Server
	t        *testing.T
	failures int

	mu    sync.Mutex
	tries map[string]int
	taken chan carrier.Webhook
}

func newMerchant(t *testing.T, failures int) *merchant {
	m := &merchant{t: t, failures: failures, tries: map[string]int{}, taken: make(chan carrier.Webhook, 100)}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *merchant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	want := "v1=" + hex.EncodeToString(carrier.Sign([]byte(secret), r.Header.Get(carrier.HeaderTimestamp), body))
	if !hmac.Equal([]byte(want), []byte(r.Header.Get(carrier.HeaderSignature))) {
		m.t.Errorf("webhook is not signed well: %v", r.Header)
	}
	var hook carrier.Webhook
	if err := json.Unmarshal(body, &hook); err != nil {
		m.t.Errorf("webhook %s: %v", body, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tries[hook.ID]++
	if m.tries[hook.ID] <= m.failures {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	m.taken <- hook
}

func (m *merchant) next() carrier.Webhook {
	m.t.Helper()
	select {
	case hook := <-m.taken:
		return hook
	case <-time.After(10 * time.Second):
		m.t.Fatal("no webhook came")
		return carrier.Webhook{}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never came true: %s", what)
		}
	}
}

func TestBook(t *testing.T) {
	t.Parallel()
	f := start(t, carrier.Config{})
	for _, c := range []struct {
		name, postalCode string
		status           []int
		asked            int
		state            string
	}{
		{"plain", "04524", []int{200, 200}, 200, carrier.Booked},
		{"refused", carrier.PostalRefused, []int{409, 409}, 200, carrier.Refused},
		{"unknown", carrier.PostalUnknown, []int{0, 200}, 200, carrier.Booked},
		{"failed", carrier.PostalUnknownFailed, []int{0, 0}, 404, ""},
	} {
		for i, want := range c.status {
			if status, b := f.book(c.name, c.postalCode); status != want || status == 200 && b.BookingID == "" {
				t.Errorf("%s, request %d: status %d %+v, want %d", c.name, i, status, b, want)
			}
		}
		if status, b := f.call("GET", "/v1/bookings/by-key/"+c.name, ""); status != c.asked || b.State != c.state {
			t.Errorf("%s, asked: %d %s, want %d %s", c.name, status, b.State, c.asked, c.state)
		}
	}
	_, b := f.book("plain", "04524")
	if !regexp.MustCompile(`^SIM\d{15}$`).MatchString(b.TrackingNumber) {
		t.Errorf("tracking number %q", b.TrackingNumber)
	}
	if status, _ := f.book("plain", "04525"); status != 422 {
		t.Errorf("same key, another address: status %d, want 422", status)
	}
	var list struct{ Data []carrier.Booking }
	if f.do("GET", "/v1/bookings?reference=order-plain", "", "", &list); len(list.Data) != 1 || list.Data[0].BookingID != b.BookingID {
		t.Errorf("by reference: %+v", list)
	}
	if status, voided := f.call("POST", "/v1/voids", `{"key":"failed"}`); status != 200 || voided.State != carrier.Voided {
		t.Errorf("void: %d %+v", status, voided)
	}
	if status, late := f.book("failed", "04524"); status != 409 || late.State != carrier.Voided {
		t.Errorf("booking after the void: %d %+v", status, late)
	}
}

func TestSameKeyInParallelIsOneBooking(t *testing.T) {
	t.Parallel()
	f := start(t, carrier.Config{})
	ids := make([]string, 50)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			_, b := f.book("k", "04524")
			ids[i] = b.BookingID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("bookings %q and %q", id, ids[0])
		}
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, 0)
	f := start(t, carrier.Config{WebhookURL: m.URL})
	// Each step: what is asked of the parcel, the status, its state afterwards.
	for i, steps := range [][][3]string{
		{{"cancel", "200", "cancelled"}, {"cancel", "200", "cancelled"}, {"dispatched", "409", "cancelled"}},
		{{"dispatched", "200", "dispatched"}, {"dispatched", "200", "dispatched"}, {"cancel", "409", "dispatched"}, {"delivered", "200", "delivered"}, {"lost", "409", "delivered"}, {"cancel", "409", "delivered"}},
		{{"lost", "200", "lost"}, {"delivered", "409", "lost"}, {"dispatched", "409", "lost"}},
		{{"sent", "422", "booked"}},
	} {
		_, b := f.book(fmt.Sprint(i), "04524")
		var hooks []string
		for _, step := range steps {
			path, body := "/v1/bookings/"+b.BookingID+"/advance", `{"to":"`+step[0]+`"}`
			if step[0] == "cancel" {
				path, body = "/v1/bookings/"+b.BookingID+"/cancel", ""
			}
			status, _ := f.call("POST", path, body)
			_, now := f.call("GET", "/v1/bookings/"+b.BookingID, "")
			if fmt.Sprint(status) != step[1] || now.State != step[2] {
				t.Errorf("parcel %d, %s: %d %s, want %s %s", i, step[0], status, now.State, step[1], step[2])
			}
			if s := step[2]; (s == "delivered" || s == "lost") && len(hooks) < 2 {
				hooks = []string{"dispatched", s}
			}
		}
		for _, want := range hooks {
			if hook := m.next(); hook.Status != want || hook.BookingID != b.BookingID || hook.Reference != b.Reference {
				t.Errorf("parcel %d: webhook %+v, want %s", i, hook, want)
			}
		}
	}
	if status, _ := f.call("POST", "/v1/bookings/none/cancel", ""); status != 404 {
		t.Errorf("cancel of nothing: %d", status)
	}
}

func TestCancelFindsItOnItsWay(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, 0)
	f := start(t, carrier.Config{WebhookURL: m.URL})
	_, b := f.book("k", carrier.PostalOnItsWay)
	if status, now := f.call("POST", "/v1/bookings/"+b.BookingID+"/cancel", ""); status != 409 || now.State != carrier.Dispatched {
		t.Fatalf("cancel: %d %+v", status, now)
	}
	if hook := m.next(); hook.Status != carrier.Dispatched {
		t.Fatalf("webhook %+v", hook)
	}
}

func TestWebhookIsRepeatedUntilTaken(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, 4)
	f := start(t, carrier.Config{WebhookURL: m.URL, DispatchDelay: time.Millisecond})
	_, b := f.book("k", "04524")
	if hook := m.next(); hook.BookingID != b.BookingID || hook.Status != carrier.Dispatched {
		t.Fatalf("webhook %+v", hook)
	}
	eventually(t, "webhook is closed", func() bool { return f.server.Undelivered() == 0 })
	if len(m.taken) != 0 {
		t.Fatal("taken twice")
	}
}

// A carrier that was killed still knows its parcels, lets them leave at their
// time and tells what it had not told.
func TestKillForgetsNothing(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	f := start(t, carrier.Config{Dir: dir, DispatchDelay: 300 * time.Millisecond})
	_, told := f.book("told", "04524")
	f.call("POST", "/v1/bookings/"+told.BookingID+"/advance", `{"to":"dispatched"}`)
	_, cancelled := f.book("cancelled", "04524")
	f.call("POST", "/v1/bookings/"+cancelled.BookingID+"/cancel", "")
	_, leaving := f.book("leaving", "04524")
	content, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "1 Road") {
		t.Error("the journal keeps an address")
	}
	if err := os.WriteFile(filepath.Join(copied, "journal"), append(content, content[:30]...), 0o600); err != nil {
		t.Fatal(err)
	}

	m := newMerchant(t, 0)
	g := start(t, carrier.Config{Dir: copied, WebhookURL: m.URL})
	got := map[string]string{}
	for range 2 {
		hook := m.next()
		got[hook.BookingID] = hook.Status
	}
	if len(got) != 2 || got[told.BookingID] != carrier.Dispatched || got[leaving.BookingID] != carrier.Dispatched {
		t.Errorf("webhooks %v, want those of %s and %s", got, told.BookingID, leaving.BookingID)
	}
	if _, b := g.call("GET", "/v1/bookings/"+cancelled.BookingID, ""); b.State != carrier.Cancelled {
		t.Errorf("cancelled parcel: %+v", b)
	}
	if status, b := g.book("leaving", "04524"); status != 200 || b.TrackingNumber != leaving.TrackingNumber {
		t.Errorf("same key after the kill: %d %+v", status, b)
	}
	eventually(t, "webhooks are closed", func() bool { return g.server.Undelivered() == 0 })
}
