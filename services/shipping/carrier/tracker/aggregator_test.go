package tracker_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/shipping/carrier/tracker"
)

// aggregator is the other side as its reference describes it: a token endpoint, GraphQL under /graphql, errors in the body
// under 200, NOT_FOUND for a number nobody has told of, FORBIDDEN with words beyond the quota.
type aggregator struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	parcels map[string]string // trackingNumber: the JSON of TrackInfo
	watched map[string]string // trackingNumber: callbackUrl
	until   map[string]time.Time
	tokens  map[string]bool // those that hold
	issued  int
	calls   int
	lasts   int // seconds of a token
	// next are handlers for the next requests to /graphql, in place of the API.
	next []http.HandlerFunc
	// atToken likewise for the next requests of a token.
	atToken []http.HandlerFunc
}

const (
	clientID     = "client"
	clientSecret = "s3cret&=+ü"
	carrierID    = "kr.cjlogistics"
)

func open(t *testing.T) *aggregator {
	t.Helper()
	a := &aggregator{
		t: t, parcels: map[string]string{}, watched: map[string]string{}, until: map[string]time.Time{}, tokens: map[string]bool{}, lasts: 3600,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", a.token)
	mux.HandleFunc("POST /graphql", a.graphql)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// client is one with no limit of its own that would slow a test down.
func (a *aggregator) client(timeout time.Duration) *tracker.Client {
	a.t.Helper()
	c, err := tracker.New(tracker.Config{
		Remote: remote.Config{BaseURL: a.URL, Timeout: timeout}, TokenURL: a.URL + "/oauth2/token",
		ClientID: clientID, ClientSecret: clientSecret, CarrierID: carrierID, CallsPerSecond: 1e6,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func take(a *aggregator, from *[]http.HandlerFunc) http.HandlerFunc {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(*from) == 0 {
		return nil
	}
	h := (*from)[0]
	*from = (*from)[1:]
	return h
}

func (a *aggregator) token(w http.ResponseWriter, r *http.Request) {
	if h := take(a, &a.atToken); h != nil {
		h(w, r)
		return
	}
	if r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("client_id") != clientID || r.PostFormValue("client_secret") != clientSecret {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_client"}`)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued++
	token := fmt.Sprint("token-", a.issued)
	a.tokens[token] = true
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, token, a.lasts)
}

// revoke ends every token there is.
func (a *aggregator) revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.tokens)
}

func (a *aggregator) graphql(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.calls++
	known := a.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	a.mu.Unlock()
	if h := take(a, &a.next); h != nil {
		h(w, r)
		return
	}
	if !known {
		refuse(w, "UNAUTHENTICATED", "Unauthenticated.")
		return
	}
	var q struct {
		Query     string `json:"query"`
		Variables struct {
			CarrierID      string `json:"carrierId"`
			TrackingNumber string `json:"trackingNumber"`
			Last           int    `json:"last"`
			Input          struct{ CarrierID, TrackingNumber, CallbackURL, ExpirationTime string }
		} `json:"variables"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Header.Get("Content-Type") != "application/json" {
		refuse(w, "BAD_REQUEST", "no GraphQL request")
		return
	}
	v := q.Variables
	switch {
	case strings.Contains(q.Query, "registerTrackWebhook(input: $input)") && v.Input.CarrierID == carrierID:
		until, err := time.Parse(time.RFC3339, v.Input.ExpirationTime)
		if err != nil {
			refuse(w, "BAD_REQUEST", "expirationTime")
			return
		}
		a.mu.Lock()
		a.watched[v.Input.TrackingNumber], a.until[v.Input.TrackingNumber] = v.Input.CallbackURL, until
		a.mu.Unlock()
		fmt.Fprint(w, `{"data":{"registerTrackWebhook":true}}`)
	case strings.Contains(q.Query, "track(carrierId: $carrierId, trackingNumber: $trackingNumber)") && v.Last > 0 && v.CarrierID == carrierID:
		a.mu.Lock()
		info, known := a.parcels[v.TrackingNumber]
		a.mu.Unlock()
		if !known {
			refuse(w, "NOT_FOUND", "no such waybill")
			return
		}
		fmt.Fprintf(w, `{"data":{"track":%s}}`, info)
	default:
		refuse(w, "BAD_REQUEST", "not understood")
	}
}

func refuse(w http.ResponseWriter, code, message string) {
	fmt.Fprintf(w, `{"errors":[{"message":%q,"extensions":{"code":%q}}],"data":null}`, message, code)
}

// info is a TrackInfo: the last event's code, then the events as code, time, place.
func info(last string, events ...[3]string) string {
	edges := make([]string, 0, len(events))
	for _, e := range events {
		place, err := json.Marshal(e[2])
		if err != nil {
			panic(err) // a string
		}
		edges = append(edges, fmt.Sprintf(`{"node":{"status":{"code":%q},"time":%q,"location":{"name":%s}}}`, e[0], e[1], place))
	}
	return fmt.Sprintf(`{"lastEvent":{"status":{"code":%q}},"events":{"edges":[%s]}}`, last, strings.Join(edges, ","))
}
