package simulator_test

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
	"github.com/quadrille-io/quadrille/services/shipping/carrier/simulator"
	firm "github.com/quadrille-io/quadrille/services/simulator/carrier"
)

const secret = "whsec_test"

func client(t *testing.T, url string) *simulator.Client {
	t.Helper()
	c, err := simulator.New(simulator.Config{
		Remote:         remote.Config{BaseURL: url, Timeout: time.Second},
		WebhookSecrets: []string{"whsec_next", secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t *testing.T, cfg firm.Config) (*simulator.Client, string) {
	t.Helper()
	cfg.Dir, cfg.WebhookSecret = t.TempDir(), secret
	s, err := firm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		h.Close()
	})
	return client(t, h.URL), h.URL
}

func request(key, postalCode string) carrier.BookRequest {
	return carrier.BookRequest{
		Key: key, OrderID: "order-" + key, Items: []carrier.Item{{ProductID: "p", Name: "P", Quantity: 2}},
		Address: carrier.Address{Name: "N", Phone: "1", Line1: "1 Road", City: "Town", PostalCode: postalCode, Country: "KR"},
	}
}

func TestBook(t *testing.T) {
	t.Parallel()
	c, _ := start(t, firm.Config{})
	for _, w := range []struct {
		key, postalCode      string
		err                  error
		booked, asked, voidd carrier.State
	}{
		{"plain", "04524", nil, carrier.Booked, carrier.Booked, carrier.Booked},
		{"refused", firm.PostalRefused, nil, carrier.Refused, carrier.Refused, carrier.Refused},
		{"unknown", firm.PostalUnknown, carrier.ErrUnknown, "", carrier.Booked, carrier.Booked},
		{"failed", firm.PostalUnknownFailed, carrier.ErrUnknown, "", carrier.NotFound, carrier.Voided},
	} {
		t.Run(w.key, func(t *testing.T) {
			t.Parallel()
			out, err := c.Book(t.Context(), request(w.key, w.postalCode))
			if !errors.Is(err, w.err) || out.State != w.booked {
				t.Errorf("book: %+v %v", out, err)
			}
			out, err = c.AskBooking(t.Context(), w.key)
			if err != nil || out.State != w.asked || (out.State == carrier.Booked) != strings.HasPrefix(out.TrackingNumber, "SIM") {
				t.Errorf("ask: %+v %v, want %s", out, err, w.asked)
			}
			if out, err = c.VoidBooking(t.Context(), w.key); err != nil || out.State != w.voidd {
				t.Errorf("void: %+v %v, want %s", out, err, w.voidd)
			}
			if out, err = c.Book(t.Context(), request(w.key, w.postalCode)); err != nil || out.State != w.voidd {
				t.Errorf("late booking: %+v %v, want %s", out, err, w.voidd)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	c, _ := start(t, firm.Config{})
	for _, w := range []struct {
		postalCode string
		want       carrier.State
	}{{"04524", carrier.Cancelled}, {firm.PostalOnItsWay, carrier.Dispatched}} {
		b, err := c.Book(t.Context(), request(w.postalCode, w.postalCode))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := c.Cancel(t.Context(), b.BookingID); err != nil || out.State != w.want {
			t.Errorf("cancel: %+v %v, want %s", out, err, w.want)
		}
		if out, err := c.Status(t.Context(), b.BookingID); err != nil || out.State != w.want || out.TrackingNumber != b.TrackingNumber {
			t.Errorf("status: %+v %v, want %s", out, err, w.want)
		}
	}
	if _, err := c.Cancel(t.Context(), "none"); !errors.Is(err, carrier.ErrRejected) {
		t.Errorf("cancel of nothing: %v, want ErrRejected", err)
	}
}

func TestRejections(t *testing.T) {
	t.Parallel()
	c, url := start(t, firm.Config{})
	if _, err := c.Book(t.Context(), request("k", "04524")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Book(t.Context(), request("k", "04525")); !errors.Is(err, carrier.ErrRejected) {
		t.Errorf("key reused: %v, want ErrRejected", err)
	}
	if out, err := client(t, url+"/wrong").AskBooking(t.Context(), "k"); !errors.Is(err, carrier.ErrRejected) {
		t.Errorf("wrong base URL: %+v %v, want ErrRejected", out, err)
	}
}

// The carrier is the tracker of its own parcels: it tells every state since one left, and when.
func TestTrack(t *testing.T) {
	t.Parallel()
	c, url := start(t, firm.Config{DispatchDelay: -1})
	b, err := c.Book(t.Context(), request("k", "04524"))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now().Add(-time.Minute)
	track := func(want carrier.State, words ...string) {
		t.Helper()
		got, err := c.Track(t.Context(), carrier.Parcel{BookingID: b.BookingID})
		var told []string
		for _, p := range got.Checkpoints {
			told = append(told, p.Status)
			if p.At.Before(begun) {
				t.Errorf("%s at %v", p.Status, p.At)
			}
		}
		if err != nil || got.State != want || got.TrackingNumber != b.TrackingNumber || !slices.Equal(told, words) {
			t.Errorf("%+v, %v: want %s %v", got, err, want, words)
		}
	}
	track(carrier.Booked)
	for _, to := range []string{"out_for_delivery", "returned"} {
		resp, err := http.Post(url+"/v1/bookings/"+b.BookingID+"/advance", "application/json", strings.NewReader(`{"to":"`+to+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if to == "out_for_delivery" {
			track(carrier.OutForDelivery, "DISPATCHED", "OUT_FOR_DELIVERY")
		}
	}
	track(carrier.Returned, "DISPATCHED", "OUT_FOR_DELIVERY", "RETURNED")
	if _, err := c.Track(t.Context(), carrier.Parcel{BookingID: "none"}); !errors.Is(err, carrier.ErrRejected) {
		t.Errorf("no such parcel: %v", err)
	}
}

// The webhook the real simulator sends is understood.
func TestWebhookRoundTrip(t *testing.T) {
	t.Parallel()
	events := make(chan carrier.Event, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		e, err := client(t, "http://unused.invalid").VerifyWebhook(r.Header, body, time.Now())
		if err != nil {
			t.Errorf("verify: %v", err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		events <- e
	}))
	defer hook.Close()
	c, _ := start(t, firm.Config{WebhookURL: hook.URL, DispatchDelay: time.Millisecond})
	b, err := c.Book(t.Context(), request("k", "04524"))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-events:
		if e.State != carrier.Dispatched || e.BookingID != b.BookingID || e.OrderID != "order-k" || e.ID == "" {
			t.Fatalf("event %+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no webhook came")
	}
}

func TestWebhookCorpus(t *testing.T) {
	t.Parallel()
	c := client(t, "http://unused.invalid")
	now := time.Unix(1_800_000_000, 0)
	const body = `{"id":"wh_1","bookingId":"bk_1","reference":"o","status":"delivered","occurredAt":"2027-01-15T08:00:00Z"}`
	at := func(offset int64) string { return strconv.FormatInt(now.Unix()+offset, 10) }
	sign := func(secret, ts, body string) string {
		return "v1=" + hex.EncodeToString(firm.Sign([]byte(secret), ts, []byte(body)))
	}
	good := sign(secret, at(0), body)
	for name, w := range map[string]struct {
		timestamp, signature []string
		body                 string
		ok                   bool
		unsigned             bool // the error must be ErrSignature
	}{
		"good":                   {[]string{at(0)}, []string{good}, body, true, false},
		"the next secret":        {[]string{at(0)}, []string{sign("whsec_next", at(0), body)}, body, true, false},
		"two signatures":         {[]string{at(0)}, []string{"v1=00, " + good}, body, true, false},
		"another version beside": {[]string{at(0)}, []string{"v2=zz," + good}, body, true, false},
		"upper case hex":         {[]string{at(0)}, []string{"v1=" + strings.ToUpper(good[3:])}, body, true, false},
		"300 s old":              {[]string{at(-300)}, []string{sign(secret, at(-300), body)}, body, true, false},
		"300 s ahead":            {[]string{at(300)}, []string{sign(secret, at(300), body)}, body, true, false},
		"301 s old":              {[]string{at(-301)}, []string{sign(secret, at(-301), body)}, body, false, true},
		"301 s ahead":            {[]string{at(301)}, []string{sign(secret, at(301), body)}, body, false, true},
		"body changed":           {[]string{at(0)}, []string{good}, strings.Replace(body, "wh_1", "wh_2", 1), false, true},
		"body with a space":      {[]string{at(0)}, []string{good}, body + " ", false, true},
		"timestamp changed":      {[]string{at(1)}, []string{good}, body, false, true},
		"another secret":         {[]string{at(0)}, []string{sign("other", at(0), body)}, body, false, true},
		"empty secret":           {[]string{at(0)}, []string{sign("", at(0), body)}, body, false, true},
		"no version":             {[]string{at(0)}, []string{good[3:]}, body, false, true},
		"version 2 of ours":      {[]string{at(0)}, []string{"v2=" + good[3:]}, body, false, true},
		"truncated":              {[]string{at(0)}, []string{good[:len(good)-2]}, body, false, true},
		"empty digest":           {[]string{at(0)}, []string{"v1="}, body, false, true},
		"no signature":           {[]string{at(0)}, nil, body, false, true},
		"no timestamp":           {nil, []string{good}, body, false, true},
		"two timestamps":         {[]string{at(0), at(0)}, []string{good}, body, false, true},
		"two signature headers":  {[]string{at(0)}, []string{good, good}, body, false, true},
		"signed timestamp":       {[]string{"+" + at(0)}, []string{sign(secret, "+"+at(0), body)}, body, false, true},
		"timestamp with a point": {[]string{at(0) + ".0"}, []string{sign(secret, at(0)+".0", body)}, body, false, true},
		"negative timestamp":     {[]string{"-1"}, []string{sign(secret, "-1", body)}, body, false, true},
		"huge timestamp":         {[]string{"9223372036854775807"}, []string{sign(secret, "9223372036854775807", body)}, body, false, true},
		"no JSON":                {[]string{at(0)}, []string{sign(secret, at(0), "{")}, "{", false, false},
		"unknown status":         {[]string{at(0)}, []string{sign(secret, at(0), `{"id":"a","bookingId":"b","status":"eaten"}`)}, `{"id":"a","bookingId":"b","status":"eaten"}`, false, false},
		"no id":                  {[]string{at(0)}, []string{sign(secret, at(0), `{"bookingId":"b","status":"lost"}`)}, `{"bookingId":"b","status":"lost"}`, false, false},
	} {
		h := http.Header{firm.HeaderTimestamp: w.timestamp, firm.HeaderSignature: w.signature}
		e, err := c.VerifyWebhook(h, []byte(w.body), now)
		if (err == nil) != w.ok || errors.Is(err, carrier.ErrSignature) != w.unsigned {
			t.Errorf("%s: %+v %v", name, e, err)
		}
		if w.ok && (e.State != carrier.Delivered || e.ID != "wh_1" || e.BookingID != "bk_1" || e.OrderID != "o") {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestSecretIsRequired(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{nil, {""}, {"a", ""}} {
		if _, err := simulator.New(simulator.Config{Remote: remote.Config{BaseURL: "http://x"}, WebhookSecrets: secrets}); err == nil {
			t.Errorf("accepted %q", secrets)
		}
	}
}
