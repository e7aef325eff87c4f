package tracker_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
	"github.com/quadrille-io/quadrille/services/shipping/carrier/tracker"
)

// patience is a time-out that a busy machine does not run into by itself.
const patience = 20 * time.Second

func parcel(number string) carrier.Parcel {
	return carrier.Parcel{OrderID: "o", BookingID: "b", TrackingNumber: number}
}

// What the aggregator's codes say of a parcel.
func TestStatuses(t *testing.T) {
	t.Parallel()
	a := open(t)
	c := a.client(patience)
	const at = "2026-03-02T09:00:00+09:00"
	gone := [3]string{"AT_PICKUP", at, "Seoul"}
	for name, x := range map[string]struct {
		info  string
		state carrier.State
		words []string
	}{
		"nothing yet":           {`null`, carrier.Booked, nil},
		"no events":             {`{"lastEvent":null,"events":null}`, carrier.Booked, nil},
		"label only":            {info("INFORMATION_RECEIVED", [3]string{"INFORMATION_RECEIVED", at, ""}), carrier.Booked, nil},
		"unknown":               {info("UNKNOWN", [3]string{"UNKNOWN", at, ""}), carrier.Booked, nil},
		"a code of the future":  {info("TELEPORTED", [3]string{"TELEPORTED", at, ""}), carrier.Booked, nil},
		"fetched":               {info("AT_PICKUP", gone), carrier.Dispatched, []string{"DISPATCHED"}},
		"in transit":            {info("IN_TRANSIT", gone, [3]string{"IN_TRANSIT", at, ""}), carrier.Dispatched, []string{"DISPATCHED", "IN_TRANSIT"}},
		"then unknown":          {info("UNKNOWN", gone, [3]string{"UNKNOWN", at, ""}), carrier.Dispatched, []string{"DISPATCHED"}},
		"in the van":            {info("OUT_FOR_DELIVERY", gone, [3]string{"OUT_FOR_DELIVERY", at, ""}), carrier.OutForDelivery, []string{"DISPATCHED", "OUT_FOR_DELIVERY"}},
		"not met":               {info("ATTEMPT_FAIL", gone, [3]string{"ATTEMPT_FAIL", at, ""}), carrier.OutForDelivery, []string{"DISPATCHED", "ATTEMPT_FAILED"}},
		"at the counter":        {info("AVAILABLE_FOR_PICKUP", [3]string{"AVAILABLE_FOR_PICKUP", at, ""}), carrier.OutForDelivery, []string{"AWAITS_RECEIVER"}},
		"delivered":             {info("DELIVERED", [3]string{"DELIVERED", at, ""}), carrier.Delivered, []string{"DELIVERED"}},
		"entered late":          {info("DELIVERED", [3]string{"DELIVERED", at, ""}, [3]string{"OUT_FOR_DELIVERY", at, ""}), carrier.Delivered, []string{"DELIVERED", "OUT_FOR_DELIVERY"}},
		"exception on the way":  {info("EXCEPTION", gone, [3]string{"EXCEPTION", at, ""}), carrier.Undeliverable, []string{"DISPATCHED", "UNDELIVERABLE"}},
		"never fetched":         {info("EXCEPTION", [3]string{"EXCEPTION", at, ""}), carrier.Booked, nil},
		"an event without time": {info("IN_TRANSIT", [3]string{"IN_TRANSIT", "", ""}), carrier.Dispatched, nil},
	} {
		number := strings.ReplaceAll(name, " ", "-")
		a.mu.Lock()
		a.parcels[number] = x.info
		a.mu.Unlock()
		got, err := c.Track(t.Context(), parcel(number))
		var words []string
		for _, c := range got.Checkpoints {
			words = append(words, c.Status)
		}
		if err != nil || got.State != x.state || !slices.Equal(words, x.words) {
			t.Errorf("%s: %s %v %v, want %s %v", name, got.State, words, err, x.state, x.words)
		}
	}
}

// A checkpoint has the carrier's own time, in UTC, and a place that can be shown whatever it was.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	a := open(t)
	a.parcels["1"] = info("IN_TRANSIT", [3]string{"IN_TRANSIT", "2026-03-02T09:00:00+09:00", " Ok\u0000\u202echeon " + strings.Repeat("가", 200)})
	got, err := a.client(patience).Track(t.Context(), parcel("1"))
	if err != nil || len(got.Checkpoints) != 1 || got.BookingID != "b" || got.TrackingNumber != "1" {
		t.Fatalf("%+v, %v", got, err)
	}
	c := got.Checkpoints[0]
	if !c.At.Equal(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)) || c.At.Location() != time.UTC {
		t.Errorf("at %v", c.At)
	}
	if !strings.HasPrefix(c.Location, "Okcheon 가") || len([]rune(c.Location)) != carrier.MaxLocation {
		t.Errorf("location %q", c.Location)
	}
}

// A number that nobody has told of is no error and no final word.
func TestUnknownNumber(t *testing.T) {
	t.Parallel()
	a := open(t)
	c := a.client(patience)
	if got, err := c.Track(t.Context(), parcel("1")); err != nil || got.State != carrier.NotFound {
		t.Fatalf("%+v, %v", got, err)
	}
	a.parcels["1"] = info("DELIVERED")
	if got, err := c.Track(t.Context(), parcel("1")); err != nil || got.State != carrier.Delivered {
		t.Errorf("later: %+v, %v", got, err)
	}
}

// What goes wrong is told apart: not asked, not known, refused.
func TestFailures(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the client has gone
		<-r.Context().Done()
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	says := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	refuses := func(code, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { refuse(w, code, message) }
	}
	for name, x := range map[string]struct {
		handler http.HandlerFunc
		timeout time.Duration
		want    error
		also    error
	}{
		"time-out":         {hang, 100 * time.Millisecond, carrier.ErrUnknown, context.DeadlineExceeded},
		"cut":              {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, patience, carrier.ErrUnknown, nil},
		"429":              {status(429), patience, carrier.ErrNotSent, nil},
		"quota":            {refuses("FORBIDDEN", "API Rate Limit exceeded"), patience, carrier.ErrNotSent, tracker.ErrLimited},
		"forbidden":        {refuses("FORBIDDEN", "no access"), patience, carrier.ErrRejected, nil},
		"bad request":      {refuses("BAD_REQUEST", "?"), patience, carrier.ErrRejected, nil},
		"internal":         {refuses("INTERNAL", "oops"), patience, carrier.ErrUnknown, nil},
		"code of tomorrow": {refuses("TEAPOT", "?"), patience, carrier.ErrUnknown, nil},
		"500":              {status(500), patience, carrier.ErrUnknown, nil},
		"a proxy's page":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); _, _ = w.Write([]byte("<html>")) }, patience, carrier.ErrRejected, nil},
		"no JSON":          {says("<html>"), patience, carrier.ErrUnknown, nil},
		"no data":          {says(`{}`), patience, carrier.ErrUnknown, nil},
		"data of a kind":   {says(`{"data":{"track":7}}`), patience, carrier.ErrUnknown, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			a.next = []http.HandlerFunc{x.handler}
			c := a.client(x.timeout)
			_, err := c.Track(t.Context(), parcel("1"))
			if !errors.Is(err, x.want) || x.also != nil && !errors.Is(err, x.also) {
				t.Errorf("got %v, want %v", err, x.want)
			}
			if strings.Contains(err.Error(), clientSecret) || strings.Contains(err.Error(), "token-") {
				t.Errorf("the error gives a secret away: %v", err)
			}
			a.parcels["1"] = info("DELIVERED")
			if got, err := a.client(patience).Track(t.Context(), parcel("1")); err != nil || got.State != carrier.Delivered {
				t.Errorf("afterwards: %+v, %v", got, err)
			}
		})
	}
}

// A token is fetched once for many, renewed before its end, and replaced when the API does not take it any more.
func TestTokens(t *testing.T) {
	t.Parallel()
	a := open(t)
	a.parcels["1"] = info("DELIVERED")
	c := a.client(patience)
	track := func() {
		t.Helper()
		if got, err := c.Track(t.Context(), parcel("1")); err != nil || got.State != carrier.Delivered {
			t.Errorf("%+v, %v", got, err)
		}
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(track)
	}
	all.Wait()
	if a.issued != 1 {
		t.Errorf("%d tokens for calls at once", a.issued)
	}
	a.revoke()
	before := a.calls
	for range 20 {
		all.Go(track)
	}
	all.Wait()
	// Those that were refused at the same time share one new token.
	if a.issued != 2 || a.calls > before+40 {
		t.Errorf("%d tokens, %d calls after they were revoked", a.issued, a.calls-before)
	}
}

// A token that lasts a moment is used for half of that.
func TestExpiredToken(t *testing.T) {
	t.Parallel()
	a := open(t)
	a.lasts = 0 // without a word on how long: five minutes
	a.parcels["1"] = info("DELIVERED")
	c := a.client(patience)
	for range 3 {
		if _, err := c.Track(t.Context(), parcel("1")); err != nil {
			t.Fatal(err)
		}
	}
	if a.issued != 1 {
		t.Errorf("%d tokens", a.issued)
	}
	// The token it has is refused, and so is the next one: an answer, not a circle.
	a.next = []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { refuse(w, "UNAUTHENTICATED", "expired") },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
	}
	if _, err := c.Track(t.Context(), parcel("1")); !errors.Is(err, carrier.ErrRejected) {
		t.Errorf("refused twice: %v", err)
	}
	if _, err := c.Track(t.Context(), parcel("1")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Wrong credentials are not tried with every parcel; a token server that is away is.
func TestTokenServerFails(t *testing.T) {
	t.Parallel()
	a := open(t)
	a.parcels["1"] = info("DELIVERED")
	asked := 0
	no := func(w http.ResponseWriter, _ *http.Request) { asked++; w.WriteHeader(401) }
	away := func(w http.ResponseWriter, _ *http.Request) { asked++; w.WriteHeader(503) }
	c := a.client(patience)
	a.atToken = []http.HandlerFunc{away, away, no, no}
	for range 5 {
		if _, err := c.Track(t.Context(), parcel("1")); !errors.Is(err, carrier.ErrNotSent) {
			t.Errorf("got %v", err)
		}
	}
	if asked != 3 || a.calls != 0 {
		t.Errorf("the token server was asked %d times, the API %d", asked, a.calls)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	a := open(t)
	c := a.client(patience)
	until := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	for range 2 { // again, it moves the end
		if err := c.Watch(t.Context(), parcel("1"), "https://shop.example/webhooks?x=1", until); err != nil {
			t.Fatal(err)
		}
		if a.watched["1"] != "https://shop.example/webhooks?x=1" || !a.until["1"].Equal(until) {
			t.Errorf("registered %v until %v", a.watched, a.until)
		}
		until = until.Add(time.Hour)
	}
	a.next = []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"data":{"registerTrackWebhook":false}}`))
	}}
	if err := c.Watch(t.Context(), parcel("1"), "https://shop.example", until); !errors.Is(err, carrier.ErrRejected) {
		t.Errorf("not registered: %v", err)
	}
}

// The client keeps within the quota by itself; who waits for a turn longer than there is time was not sent.
func TestQuota(t *testing.T) {
	t.Parallel()
	a := open(t)
	c, err := tracker.New(tracker.Config{
		Remote: remote.Config{BaseURL: a.URL}, TokenURL: a.URL + "/oauth2/token",
		ClientID: clientID, ClientSecret: clientSecret, CarrierID: carrierID, CallsPerSecond: 0.001,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Track(t.Context(), parcel("1")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := c.Track(ctx, parcel("1")); !errors.Is(err, carrier.ErrNotSent) || a.calls != 1 {
		t.Errorf("%v after %d calls", err, a.calls)
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	good := tracker.Config{
		Remote: remote.Config{BaseURL: "https://apis.example"}, TokenURL: "https://auth.example/token",
		ClientID: "i", ClientSecret: "s", CarrierID: "kr.cjlogistics",
	}
	if c, err := tracker.New(good); err != nil || c.Name() != "tracker" {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*tracker.Config){
		"secret": func(c *tracker.Config) { c.ClientSecret = "" }, "id": func(c *tracker.Config) { c.ClientID = "" },
		"token URL": func(c *tracker.Config) { c.TokenURL = "" }, "carrier": func(c *tracker.Config) { c.CarrierID = "CJ Logistics" },
		"URL": func(c *tracker.Config) { c.Remote.BaseURL = "apis.example" },
	} {
		bad := good
		spoil(&bad)
		if _, err := tracker.New(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
