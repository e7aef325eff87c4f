package tracker_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/shipping/carrier"
	"github.com/quadrille-io/quadrille/services/shipping/carrier/tracker"
)

const (
	secret   = "0123456789abcdef"
	oldOne   = "fedcba9876543210"
	callback = "https://shop.example/webhooks/shipping/tracker"
)

func callbacks(t *testing.T, secrets ...string) *tracker.Callbacks {
	t.Helper()
	c, err := tracker.NewCallbacks(callback, secrets, carrierID)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, callback+"?") {
		t.Fatalf("%s: %v", address, err)
	}
	return u.Query()
}

func ids(carrierID, number string) []byte {
	return fmt.Appendf(nil, `{"carrierId":%q, "trackingNumber":%q, "more":1}`, carrierID, number)
}

// Only a URL of ours, for this parcel, and before its end.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	ours := callbacks(t, secret, oldOne)
	good := query(t, ours.URL(parcel("1"), now.Add(tracker.WatchFor)))
	with := func(name string, values ...string) url.Values {
		q := url.Values{}
		for k, v := range good {
			q[k] = v
		}
		q[name] = values
		return q
	}
	for name, c := range map[string]struct {
		query url.Values
		body  []byte
		at    time.Time
	}{
		"another order":       {with("order", "p"), ids(carrierID, "1"), now},
		"another end":         {with("expires", fmt.Sprint(now.Add(time.Hour).Unix())), ids(carrierID, "1"), now},
		"an end like no time": {with("expires", "+1"), ids(carrierID, "1"), now},
		"an endless end":      {with("expires", strings.Repeat("9", 19)), ids(carrierID, "1"), now},
		"no signature":        {with("signature"), ids(carrierID, "1"), now},
		"an empty signature":  {with("signature", ""), ids(carrierID, "1"), now},
		"half a signature":    {with("signature", good.Get("signature")[:32]), ids(carrierID, "1"), now},
		"no hex":              {with("signature", "x"+good.Get("signature")), ids(carrierID, "1"), now},
		"two signatures":      {with("signature", good.Get("signature"), "00"), ids(carrierID, "1"), now},
		"another number":      {good, ids(carrierID, "2"), now},
		"another carrier":     {good, ids("kr.epost", "1"), now},
		"too late":            {good, ids(carrierID, "1"), now.Add(tracker.WatchFor + 301*time.Second)},
		"from the future":     {good, ids(carrierID, "1"), now.Add(-301 * time.Second)},
		"another secret":      {query(t, callbacks(t, "0123456789abcdeX").URL(parcel("1"), now.Add(time.Hour))), ids(carrierID, "1"), now},
	} {
		if p, err := ours.Verify(c.query, c.body, c.at); !errors.Is(err, carrier.ErrSignature) || p != (carrier.Parcel{}) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for name, body := range map[string]string{"no JSON": "<", "no ids": "{}", "a list": "[]"} {
		if _, err := ours.Verify(good, []byte(body), now); err == nil || errors.Is(err, carrier.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := carrier.Parcel{OrderID: "o", TrackingNumber: "1"}
	for name, q := range map[string]url.Values{
		"ours": good, "signed with the old secret": query(t, callbacks(t, oldOne).URL(parcel("1"), now.Add(time.Hour))),
	} {
		if p, err := ours.Verify(q, ids(carrierID, "1"), now); err != nil || p != want {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// Parts cannot be moved from one id to the next.
func TestCallbackPartsAreApart(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ours := callbacks(t, secret)
	q := query(t, ours.URL(carrier.Parcel{OrderID: "o1", TrackingNumber: "23"}, now.Add(time.Hour)))
	q.Set("order", "o")
	if _, err := ours.Verify(q, ids("1."+carrierID, "23"), now); !errors.Is(err, carrier.ErrSignature) {
		t.Error(err)
	}
}

func TestCallbackConfiguration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url     string
		secrets []string
	}{
		"no secret": {callback, nil}, "short": {callback, []string{secret, "short"}}, "no URL": {"", []string{secret}},
		"query": {callback + "?a=b", []string{secret}}, "scheme": {"ftp://shop.example", []string{secret}},
	} {
		if _, err := tracker.NewCallbacks(c.url, c.secrets, carrierID); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error gives a secret away", name)
		}
	}
}

// Whatever is sent to the route, nothing but our own URLs is taken.
func FuzzCallback(f *testing.F) {
	ours, err := tracker.NewCallbacks(callback, []string{secret}, carrierID)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	address, err := url.Parse(ours.URL(carrier.Parcel{OrderID: "o", TrackingNumber: "1"}, now.Add(time.Hour)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(address.RawQuery, []byte(`{"carrierId":"kr.cjlogistics","trackingNumber":"1"}`))
	f.Add("order=o&expires=1700003600&signature=00", []byte("{}"))
	f.Fuzz(func(t *testing.T, raw string, body []byte) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		p, err := ours.Verify(q, body, now)
		if err == nil && (p != carrier.Parcel{OrderID: "o", TrackingNumber: "1"} || q.Get("signature") != address.Query().Get("signature")) {
			// Hex is read in either case, so the same signature may be spelled differently.
			if !strings.EqualFold(q.Get("signature"), address.Query().Get("signature")) {
				t.Errorf("taken: %q %q", raw, body)
			}
		}
	})
}
