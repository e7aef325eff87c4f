package corpus_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
)

// forgery is one line of testdata/webhook.json. What is absent is as in a webhook of the carrier's.
type forgery struct {
	Name string `json:"name"`
	// Status and Code are the refusal that is due; 0 is that it has to be taken.
	Status int    `json:"status"`
	Code   string `json:"code"`

	Method string `json:"method"`
	Path   string `json:"path"`
	// Timestamps and Signatures are the headers, with placeholders; see sealed and now.
	Timestamps *[]string         `json:"timestamps"`
	Signatures *[]string         `json:"signatures"`
	Headers    map[string]string `json:"headers"`
	// Secret and How sign the text Signed, of {ts} (the first timestamp) and {body} (the good body) or {sent}.
	Secret *string `json:"secret"`
	How    string  `json:"how"`
	Signed *string `json:"signed"`
	// Body is what is sent; Size, if any, is blown up to by spaces.
	Body *string `json:"body"`
	Size int     `json:"size"`
}

const webhookSecret, nextSecret = "whsec_corpus", "whsec_next"

// parcel is what the webhooks are about.
type parcel struct {
	order, booking, token string
	// path is where they go; genuine makes the body of one that has to be taken.
	path    string
	genuine func(p parcel, at time.Time) string
}

// ofCarrier says that the parcel is on its way.
func ofCarrier(p parcel, at time.Time) string {
	return fmt.Sprintf(`{"id":%q,"bookingId":%q,"reference":%q,"status":"dispatched","occurredAt":%q}`,
		uuid.NewString(), p.booking, p.order, at.UTC().Format(time.RFC3339))
}

// TestWebhooks sends every forged webhook by the gateway and straight to shipping. The carrier says that the parcel is
// on its way, so that each one that is believed shows: the shipment then is DISPATCHED.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *local.Config) {
		// The simulated carrier signs with another secret, so all it sends is refused and no webhook but ours counts.
		c.ServiceEnvironment = map[string]map[string]string{"shipping": {"CARRIER_WEBHOOK_SECRET": nextSecret + "," + webhookSecret}}
		c.Simulators.Carrier = carrier.Config{DispatchDelay: -1, RetryMin: time.Minute, RetryMax: time.Minute}
		c.Environment["LOG_LEVEL"] = "error"
	})
	p := w.prepared(t)
	var taken []forgery
	for _, f := range corpus[forgery](t, "webhook.json") {
		if f.Status == 0 {
			taken = append(taken, f)
			continue
		}
		for _, service := range []string{"gateway", "shipping"} {
			refused(t, service+": "+f.Name, send(t, f.request(t, w.URL(service), p)), f.Status, f.Code)
		}
	}
	// The carrier's secret is none of the payment provider's, and behind the gateway stands another service.
	elsewhere := forgery{Path: "/webhooks/payments/simulator"}
	refused(t, "gateway: the payment provider's address", send(t, elsewhere.request(t, w.URL("gateway"), p)), http.StatusUnauthorized, "invalid_signature")
	refused(t, "shipping: the payment provider's address", send(t, elsewhere.request(t, w.URL("shipping"), p)), http.StatusNotFound, "not_found")
	member := w.client(t, local.Customer)
	if got := shipment(t, member, p.order); got.Status != "PREPARED" {
		t.Fatalf("after nothing but refusals the shipment is %s", got.Status)
	}
	for i, f := range taken {
		req := f.request(t, w.URL([]string{"gateway", "shipping"}[i%2]), p)
		again := req.Clone(t.Context())
		again.Body, _ = req.GetBody()
		if got := send(t, req); got.Status < 200 || got.Status > 299 || got.Header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s: answered %d %s, want it taken", f.Name, got.Status, got.Body)
		}
		if got := send(t, again); got.Status < 200 || got.Status > 299 || got.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s, sent again: answered %d %s, want the first answer again", f.Name, got.Status, got.Body)
		}
		if got := shipment(t, member, p.order); got.Status != "DISPATCHED" {
			t.Errorf("after %q the shipment is %s", f.Name, got.Status)
		}
	}
	w.dispatchedOnce(t, p.order)
}

// dispatchedOnce waits for the order's news of its parcel: there is one, however many webhooks told of it.
func (w town) dispatchedOnce(t *testing.T, order string) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		var list struct {
			Data []struct {
				Type string `json:"type"`
			} `json:"data"`
		}
		if err := w.client(t, local.Customer).Get(t.Context(), "/api/v1/orders/"+order+"/events", &list); err != nil {
			return err
		}
		n := map[string]int{}
		for _, e := range list.Data {
			n[e.Type]++
		}
		if n["ShipmentDispatched"] > 1 || n["ShipmentDelivered"] > 0 {
			t.Fatalf("the timeline has %v", n)
		}
		if n["ShipmentDispatched"] == 0 {
			return fmt.Errorf("the timeline has %v", n)
		}
		return nil
	})
}

// prepared sells a parcel, and lets the carrier say that it has left.
func (w town) prepared(t *testing.T) parcel {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.Seed(ctx); err != nil {
		t.Fatal(err)
	}
	p := parcel{token: w.client(t, local.Customer).Token, path: "/webhooks/shipping/simulator", genuine: ofCarrier}
	p.order = place(t, w.client(t, local.Customer), basket(local.Product, 10_050))
	testkit.Eventually(t, patience, func() error {
		list, err := w.Simulators.Carrier.Bookings(p.order)
		if err != nil || len(list) != 1 {
			return fmt.Errorf("the carrier has %d bookings: %w", len(list), err)
		}
		p.booking = list[0].BookingID
		var s shipmentView
		if err := w.client(t, local.Customer).Get(ctx, "/api/v1/orders/"+p.order+"/shipment", &s); err != nil {
			return err
		}
		if s.Status != "PREPARED" {
			return fmt.Errorf("the shipment is %s", s.Status)
		}
		return nil
	})
	advance := rest.Client{BaseURL: w.Simulators.CarrierURL}
	if err := advance.Post(ctx, "/v1/bookings/"+p.booking+"/advance", map[string]string{"to": "dispatched"}, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

// shipmentView is what the API shows of a parcel.
type shipmentView struct {
	Status         string  `json:"status"`
	TrackingNumber *string `json:"trackingNumber"`
}

func shipment(t *testing.T, c rest.Client, order string) shipmentView {
	t.Helper()
	var s shipmentView
	if err := c.Get(t.Context(), "/api/v1/orders/"+order+"/shipment", &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// basket is the body of an order for one piece, paid by card.
func basket(product string, price int64) map[string]any {
	return map[string]any{
		"items":         []map[string]any{{"productId": product, "quantity": 1, "productPrice": price}},
		"paymentAmount": price, "paymentType": "CREDIT",
	}
}

// place places an order and returns its id.
func place(t *testing.T, c rest.Client, body any) string {
	t.Helper()
	var order struct {
		OrderID string `json:"orderId"`
	}
	_, err := c.Call(t.Context(), rest.Request{
		Method: http.MethodPost, Path: "/api/v1/orders", Body: body,
		Header: map[string]string{"Idempotency-Key": uuid.NewString()},
	}, &order)
	if err != nil {
		t.Fatalf("place order: %v", err)
	}
	return order.OrderID
}

// now replaces {now}, {now-301} and the like; all of one request have the same.
func now(text string, at time.Time) string {
	text = strings.ReplaceAll(text, "{now/10}", strconv.FormatInt(at.Unix()/10, 10))
	text = strings.ReplaceAll(text, "{now_}", strconv.FormatInt(at.Unix()/1000, 10)+"_000")
	return nowText.ReplaceAllStringFunc(text, func(s string) string {
		seconds, _ := strconv.ParseInt(strings.Trim(s, "{now}"), 10, 64)
		return strconv.FormatInt(at.Unix()+seconds, 10)
	})
}

// request makes the forgery.
func (f forgery) request(t *testing.T, base string, p parcel) *http.Request {
	t.Helper()
	at := time.Now()
	good := p.genuine(p, at)
	sent := good
	if f.Body != nil {
		sent = f.changed(*f.Body, good, p, at)
	}
	sent += strings.Repeat(" ", max(0, f.Size-len(sent)))
	timestamps := []string{"{now}"}
	if f.Timestamps != nil {
		timestamps = *f.Timestamps
	}
	ts := now("{now}", at)
	if len(timestamps) > 0 {
		ts = now(timestamps[0], at)
	}
	fill := f.sealed(t, ts, good, sent, p, at)
	method, path := f.Method, f.Path
	if method == "" {
		method = http.MethodPost
	}
	if path == "" {
		path = p.path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, bytes.NewReader([]byte(sent)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for _, text := range timestamps {
		req.Header.Add("X-Quadrille-Timestamp", now(text, at))
	}
	signatures := []string{"v1={hex}"}
	if f.Signatures != nil {
		signatures = *f.Signatures
	}
	for _, text := range signatures {
		req.Header.Add("X-Quadrille-Signature", fill.Replace(text))
	}
	for name, value := range f.Headers {
		req.Header.Set(name, fill.Replace(value))
	}
	return req
}

// changed is what is sent instead of the good body.
func (f forgery) changed(body, good string, p parcel, at time.Time) string {
	unix := strconv.FormatInt(at.Unix(), 10)
	return strings.NewReplacer(
		"{body}", good, "{spaced}", strings.ReplaceAll(good, ",", ", "), "{cut}", good[:len(good)-1],
		"{reordered}", `{"status":"dispatched",`+strings.Replace(good[1:], `,"status":"dispatched"`, "", 1),
		"{added}", good[:len(good)-1]+`,"status":"delivered"}`, "{delivered}", strings.Replace(good, "dispatched", "delivered", 1),
		"{other}", good[:7]+"x"+good[8:], "{escaped}", strings.Replace(good, "dispatched", `\u0064ispatched`, 1), "{last}", unix[len(unix)-1:],
		"{id}", uuid.NewString(), "{booking}", p.booking, "{order}", p.order, "{rfc}", at.UTC().Format(time.RFC3339),
	).Replace(body)
}

// sealed signs, and fills the signature in.
func (f forgery) sealed(t *testing.T, ts, good, sent string, p parcel, at time.Time) *strings.Replacer {
	t.Helper()
	text := "{ts}.{sent}"
	if f.Signed != nil {
		text = *f.Signed
	}
	text = strings.NewReplacer("{ts}", ts, "{sent}", sent, "{body}", good, "{other}", strings.Replace(good, "dispatched", "delivered", 1)).
		Replace(now(text, at))
	secret := webhookSecret
	if f.Secret != nil {
		secret = *f.Secret
	}
	mac := digest(t, f.How, []byte(secret), []byte(text))
	digits := hex.EncodeToString(mac)
	return strings.NewReplacer(
		"{hex}", digits, "{HEX}", strings.ToUpper(digits), "{hex-1}", digits[:len(digits)-1], "{hex-2}", digits[:len(digits)-2],
		"{hex-32}", digits[:len(digits)/2], "{hexhex}", hex.EncodeToString([]byte(digits)), "{b64}", base64.StdEncoding.EncodeToString(mac),
		"{ts}", ts, "{token}", p.token,
	)
}

// digest is the HMAC-SHA256, or what others might take for it.
func digest(t *testing.T, how string, secret, text []byte) []byte {
	t.Helper()
	hashes := map[string]func() hash.Hash{"": sha256.New, "sha1": sha1.New, "sha512": sha512.New, "md5": md5.New, "double": sha256.New}
	switch how {
	case "plain":
		sum := sha256.Sum256(bytes.Join([][]byte{secret, text}, nil))
		return sum[:]
	case "double":
		text = digest(t, "", secret, text)
	}
	if hashes[how] == nil {
		t.Fatalf("nobody signs by %q", how)
	}
	mac := hmac.New(hashes[how], secret)
	mac.Write(text)
	return mac.Sum(nil)
}
