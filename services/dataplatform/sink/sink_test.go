package sink_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/dataplatform"
	"github.com/quadrille-io/quadrille/services/dataplatform/sink"
	mock "github.com/quadrille-io/quadrille/services/simulator/dataplatform"
)

// The example of the Standard Webhooks reference libraries.
const (
	referenceSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	referenceID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	referenceTime      = 1614265330
	referenceBody      = `{"test": 2432232314}`
	referenceSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func secret(t *testing.T) sink.Secret {
	t.Helper()
	s, err := sink.ParseSecret(referenceSecret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignatureIsTheReferences(t *testing.T) {
	t.Parallel()
	if got := secret(t).Sign(referenceID, time.Unix(referenceTime, 0), []byte(referenceBody)); got != referenceSignature {
		t.Errorf("signed %s, want %s", got, referenceSignature)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_not base64", "whsec_" + strings.Repeat("A", 100),
	} {
		if _, err := sink.ParseSecret(bad); err == nil {
			t.Errorf("%q was taken for a secret", bad)
		}
	}
}

// request is a batch on its way, as a stranger may have changed it.
type request struct {
	id, timestamp, signature, body string
}

// Whatever is changed in a signed batch, or when it comes, it is not taken; as it was sent, it is.
func TestSignatureCorpus(t *testing.T) {
	t.Parallel()
	now := time.Now()
	platform, err := mock.New(mock.Config{Dir: t.TempDir(), Secret: referenceSecret, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = platform.Close() })
	server := httptest.NewServer(platform.Handler())
	t.Cleanup(server.Close)
	key := secret(t)
	other, err := sink.ParseSecret("whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVy")
	if err != nil {
		t.Fatal(err)
	}
	signed := func(id string, at time.Time) request {
		body, err := batch(id).JSON()
		if err != nil {
			t.Fatal(err)
		}
		return request{id, strconv.FormatInt(at.Unix(), 10), key.Sign(id, at, body), string(body)}
	}
	for name, c := range map[string]struct {
		at     time.Time
		change func(*request)
		status int
	}{
		"as it was sent":             {now, func(*request) {}, 200},
		"almost too old":             {now.Add(-299 * time.Second), func(*request) {}, 200},
		"almost too far ahead":       {now.Add(299 * time.Second), func(*request) {}, 200},
		"too old":                    {now.Add(-302 * time.Second), func(*request) {}, 401},
		"from the future":            {now.Add(302 * time.Second), func(*request) {}, 401},
		"no signature":               {now, func(r *request) { r.signature = "" }, 401},
		"another secret's":           {now, func(r *request) { r.signature = other.Sign(r.id, now, []byte(r.body)) }, 401},
		"another secret's and ours":  {now, func(r *request) { r.signature = other.Sign(r.id, now, []byte(r.body)) + " " + r.signature }, 200},
		"of another version":         {now, func(r *request) { r.signature = "v2" + r.signature[2:] }, 401},
		"without a version":          {now, func(r *request) { r.signature = r.signature[3:] }, 401},
		"cut short":                  {now, func(r *request) { r.signature = r.signature[:20] }, 401},
		"hexadecimal":                {now, func(r *request) { r.signature = "v1," + strings.Repeat("ab", 32) }, 401},
		"one byte of the body":       {now, func(r *request) { r.body = strings.Replace(r.body, `"replay":false`, `"replay":true `, 1) }, 401},
		"something behind the body":  {now, func(r *request) { r.body += " " }, 401},
		"an empty body":              {now, func(r *request) { r.body = "" }, 401},
		"a newer timestamp":          {now.Add(-time.Hour), func(r *request) { r.timestamp = strconv.FormatInt(now.Unix(), 10) }, 401},
		"no timestamp":               {now, func(r *request) { r.timestamp = "" }, 401},
		"a timestamp that is none":   {now, func(r *request) { r.timestamp = now.Format(time.RFC3339) }, 401},
		"a timestamp beyond numbers": {now, func(r *request) { r.timestamp = "99999999999999999999" }, 401},
		"another id":                 {now, func(r *request) { r.id = "another" }, 401},
		"no id":                      {now, func(r *request) { r.id = "" }, 401},
		"the dot moved":              {now, func(r *request) { r.id, r.timestamp = r.id+"."+r.timestamp[:5], r.timestamp[5:] }, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signed("batch "+name, c.at)
			c.change(&r)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/facts", strings.NewReader(r.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(sink.HeaderID, r.id)
			req.Header.Set(sink.HeaderTimestamp, r.timestamp)
			req.Header.Set(sink.HeaderSignature, r.signature)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			said, _ := io.ReadAll(res.Body)
			if res.StatusCode != c.status {
				t.Errorf("answered %d %s: want %d", res.StatusCode, said, c.status)
			}
		})
	}
}

// batch holds a fact about its own id.
func batch(id string) dataplatform.Batch {
	return dataplatform.Batch{ID: id, Facts: []dataplatform.Fact{{
		Position: 1, ID: "fact of " + id, Type: "quadrille.order.v1.OrderCreated", Subject: "o " + id, Sequence: 1, OccurredAt: time.Unix(1e9, 0),
	}}}
}

// What a platform answers decides what a failure is about: this batch, or the platform.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status    int
		header    string
		delivered bool
		about     bool
		after     time.Duration
	}{
		{200, "", true, false, 0},
		{204, "", true, false, 0},
		{307, "", false, false, 0}, // nobody is followed
		{400, "", false, true, 0},
		{401, "", false, false, 0}, // the secret is wrong: every batch would be refused
		{404, "", false, false, 0},
		{409, "", false, true, 0},
		{413, "", false, true, 0},
		{429, "7", false, false, 7 * time.Second},
		{500, "", false, false, 0},
		{503, "99999999999999", false, false, 5 * time.Minute},
		{503, "99999999999999999999", false, false, 0},
		{503, "86400", false, false, 5 * time.Minute},
		{503, "-1", false, false, 0},
		{503, "soon", false, false, 0},
	} {
		t.Run(fmt.Sprint(c.status, c.header), func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				w.Header().Set("Retry-After", c.header)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
			}))
			t.Cleanup(server.Close)
			h, err := sink.NewHTTP(sink.HTTPConfig{URL: server.URL + "/in?key=canary", Secret: secret(t)})
			if err != nil {
				t.Fatal(err)
			}
			err = h.Deliver(t.Context(), batch("b"))
			if (err == nil) != c.delivered || sink.About(err) != c.about || sink.After(err) != c.after || asked != 1 {
				t.Errorf("%v after %d requests: about the batch %v, again after %v", err, asked, sink.About(err), sink.After(err))
			}
		})
	}
}

// A platform that is not there, or hangs, is a failure of the platform; the address, which may hold a key, is not told.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hang) })
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, url := range []string{server.URL, gone.URL} {
		h, err := sink.NewHTTP(sink.HTTPConfig{URL: url + "/?key=canary", Secret: secret(t), Timeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Deliver(t.Context(), batch("b")); err == nil || sink.About(err) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v", err)
		}
	}
	if sink.About(errors.New("x")) || sink.After(errors.New("x")) != 0 {
		t.Error("any error is about the batch")
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for url, good := range map[string]bool{
		"https://data.example/in": true, "http://127.0.0.1:9/in": true, "http://localhost/in": true, "http://[::1]:9/in": true,
		"http://data.example/in": false, "ftp://data.example": false, "data.example": false, "": false, "https://": false,
		"https://user:password@data.example/in": false, "http://localhost.evil.example/in": false, "http://\x00": false,
	} {
		if _, err := sink.NewHTTP(sink.HTTPConfig{URL: url, Secret: secret(t)}); (err == nil) != good {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := sink.NewHTTP(sink.HTTPConfig{URL: "http://data.example/in", Secret: secret(t), Insecure: true}); err != nil {
		t.Errorf("http was allowed: %v", err)
	}
}
