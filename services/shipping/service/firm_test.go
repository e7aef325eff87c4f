package service_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// secret signs the webhooks.
const secret = "whsec_test"

// firm is a carrier that can be killed and started again on its port, with its memory.
type firm struct {
	http      rig.Server
	t         *testing.T
	dir       string
	webhook   string
	simulator *carrier.Server
}

func openFirm(t *testing.T, webhook string) *firm {
	t.Helper()
	f := &firm{t: t, dir: t.TempDir(), webhook: webhook}
	f.start()
	t.Cleanup(f.kill)
	return f
}

func (f *firm) url() string { return f.http.URL() }

func (f *firm) start() {
	f.t.Helper()
	var err error
	f.simulator, err = carrier.New(carrier.Config{
		Dir: f.dir, DispatchDelay: -1, WebhookURL: f.webhook, WebhookSecret: secret,
		RetryMin: 10 * time.Millisecond, RetryMax: 200 * time.Millisecond,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.http.Start(f.t, f.simulator.Handler())
}

// kill ends the carrier: connections are cut and its port refuses.
func (f *firm) kill() {
	if !f.http.Kill(f.t) {
		return
	}
	if err := f.simulator.Close(); err != nil {
		f.t.Errorf("stop the carrier: %v", err)
	}
}

func (f *firm) fault(o outage.Fault) {
	f.t.Helper()
	if err := f.simulator.Faults().Set(o); err != nil {
		f.t.Fatal(err)
	}
}

// parcels are what the carrier has booked for an order.
func (f *firm) parcels(order string) []carrier.Booking {
	f.t.Helper()
	resp, err := http.Get(f.url() + "/v1/bookings?reference=" + order)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct {
		Data []carrier.Booking `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		f.t.Fatal(err)
	}
	return list.Data
}

// advance moves an order's parcel along.
func (f *firm) advance(order, to string) {
	f.t.Helper()
	parcels := f.parcels(order)
	if len(parcels) != 1 {
		f.t.Fatalf("%d parcels of the order", len(parcels))
	}
	f.advanceParcel(parcels[0].BookingID, to)
}

func (f *firm) advanceParcel(booking, to string) {
	f.t.Helper()
	f.post("/v1/bookings/"+booking+"/advance", "", fmt.Sprintf(`{"to":%q}`, to))
}

// book books what the service would for kim-home and returns the parcel's id.
func (f *firm) book(key, order string) string {
	f.t.Helper()
	return f.post("/v1/bookings", key, fmt.Sprintf(`{"reference":%q,
		"address":{"name":"Kim","phone":"+82 2 1","line1":"1 Road","city":"Seoul","postalCode":"12345","country":"KR"},
		"items":[{"productId":"P","name":"Pen","quantity":2}]}`, order)).BookingID
}

func (f *firm) post(path, key, body string) carrier.Booking {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.url()+path, bytes.NewBufferString(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b carrier.Booking
	if err := json.NewDecoder(resp.Body).Decode(&b); err != nil || resp.StatusCode != http.StatusOK {
		f.t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
	}
	return b
}

// signed are the headers of a webhook of that moment.
func signed(key string, at time.Time, body string) []string {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return []string{
		carrier.HeaderTimestamp, timestamp,
		carrier.HeaderSignature, "v1=" + hex.EncodeToString(carrier.Sign([]byte(key), timestamp, []byte(body))),
	}
}

// The addresses of kim, by what the carrier does with them; lee has one too.
var addresses = map[string]string{
	"kim-home": "12345", "kim-refused": carrier.PostalRefused, "kim-unknown": carrier.PostalUnknown,
	"kim-unknown-failed": carrier.PostalUnknownFailed, "kim-leaves": carrier.PostalOnItsWay,
	"kim-no-such-place": "1234", // no postal code of Korea
}

// members is what MEMBERS_FILE holds.
func members(t *testing.T) string {
	t.Helper()
	address := func(id, postal string) *memberv1.Address {
		return &memberv1.Address{
			AddressId: id, Name: "Kim", Phone: "+82 2 1", Line1: "1 Road", City: "Seoul", PostalCode: postal, Country: "KR",
		}
	}
	kim := &memberv1.MemberChanged{MemberId: "kim"}
	for id, postal := range addresses {
		kim.Addresses = append(kim.Addresses, address(id, postal))
	}
	var entries []json.RawMessage
	for _, m := range []*memberv1.MemberChanged{kim, {MemberId: "lee", Addresses: []*memberv1.Address{address("lee-home", "54321")}}} {
		entry, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	file, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}
