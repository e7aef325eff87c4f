package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// everyKind has a field of each kind that a body of ours has.
type everyKind struct {
	Text    string            `json:"text"`
	Maybe   *string           `json:"maybe"`
	Number  int64             `json:"number"`
	Small   *int8             `json:"small"`
	Natural uint32            `json:"natural"`
	Real    float64           `json:"real"`
	Is      *bool             `json:"is"`
	At      *time.Time        `json:"at"`
	List    []string          `json:"list"`
	Items   []everyItem       `json:"items"`
	Inner   *everyItem        `json:"inner"`
	Names   map[string]string `json:"names"`
	Any     any               `json:"any"`
	Raw     json.RawMessage   `json:"raw"`
}

type everyItem struct {
	ID       *string `json:"id"`
	Quantity int32   `json:"quantity"`
}

// FuzzUnderstood: what is taken, the standard library takes in its strictest mode and understands alike, and there is only
// one way to understand it; what is not is the caller's mistake, told with where it is.
func FuzzUnderstood(f *testing.F) {
	for _, body := range []string{
		`{}`, `null`, `{"text":"a","maybe":null,"number":-1,"small":127,"natural":0,"real":1.5e3,"is":true,"at":"2026-01-01T00:00:00Z"}`,
		`{"list":["a","b"],"items":[{"id":"x","quantity":1}],"inner":{"id":null},"names":{"a":"b"},"any":[1,{"a":null}],"raw":{"x":1}}`,
		`{"text":1}`, `{"Text":"a"}`, `{"text":"a","text":"b"}`, `{"number":1.0}`, `{"number":1e2}`, `{"number":9223372036854775808}`,
		`{"small":128}`, `{"natural":-1}`, `{"real":1e400}`, `{"at":"yesterday"}`, `{"list":[null]}`, `{"list":"a"}`, `{"items":[[]]}`,
		`{"text":"\u0000"}`, `{"names":{"\u0000":"a"}}`, `{"any":{"a":1,"a":2}}`, `{"raw":{"a":1,"a":2}}`, "{\"text\":\"\xff\"}", `{"text":"\ud800"}`,
		`{} {}`, `{`, `[]`, `"a"`, `1`, ``, ` `, "\ufeff{}", `{"a~b/c":1}`, strings.Repeat(`{"any":`, 40) + "1" + strings.Repeat("}", 40), `{"":""}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got everyKind
		if err := decode(body, &got); err != nil {
			clientsMistake(t, err)
			return
		}
		var want everyKind
		strict := json.NewDecoder(bytes.NewReader(body))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("understood as %+v, by the standard library as %+v %v", got, want, err)
		}
		if names := repeated(t, body); names != "" {
			t.Fatalf("%s stands there twice", names)
		}
		if bytes.Contains(body, []byte(`\u0000`)) && strings.ContainsRune(got.Text, 0) {
			t.Fatal("a text with U+0000 is taken")
		}
	})
}

// clientsMistake holds a refusal to what every one has: a 4xx status, a code, a pointer for each field.
func clientsMistake(t *testing.T, err error) {
	t.Helper()
	var refusal *fault.Refusal
	if !errors.As(err, &refusal) || refusal.Status < 400 || refusal.Status > 499 || refusal.Code == "" {
		t.Fatalf("refused with %v, want the caller's mistake", err)
	}
	for _, field := range refusal.Errors {
		if field.Code == "" || field.Detail == "" || field.Pointer != "" && !strings.HasPrefix(field.Pointer, "/") && !strings.HasPrefix(field.Pointer, "?") {
			t.Fatalf("a field error without code, detail or pointer: %+v", field)
		}
	}
	if _, err := json.Marshal(refusal.Errors); err != nil {
		t.Fatalf("cannot be answered: %v", err)
	}
}

// repeated finds a name that an object has twice, by a count of its own: as many names are read as stand in the text.
func repeated(t *testing.T, body []byte) string {
	t.Helper()
	var root any
	if err := json.Unmarshal(body, &root); err != nil {
		t.Fatal(err)
	}
	var kept func(v any) int
	kept = func(v any) (n int) {
		switch v := v.(type) {
		case map[string]any:
			n = len(v)
			for _, inner := range v {
				n += kept(inner)
			}
		case []any:
			for _, inner := range v {
				n += kept(inner)
			}
		}
		return n
	}
	colons, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch {
		case inString && body[i] == '\\':
			i++
		case body[i] == '"':
			inString = !inString
		case body[i] == ':' && !inString:
			colons++
		}
	}
	if colons != kept(root) {
		return "a name"
	}
	return ""
}

// FuzzVerify: of all texts only those are tokens that the issuer signed, letter for letter.
func FuzzVerify(f *testing.F) {
	issuer, err := LoadOrCreateIssuer(f.TempDir()+"/key", "https://issuer.example", "quadrille")
	if err != nil {
		f.Fatal(err)
	}
	good, err := issuer.Token("member", []string{RoleOperator}, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	verifier, err := NewVerifier(f.Context(), issuer.Config())
	if err != nil {
		f.Fatal(err)
	}
	parts := strings.Split(good, ".")
	// The token is another in each run, so the seeds say how to change it: a cut, and what is put there.
	for _, seed := range []struct {
		from, to int
		text     string
	}{
		{0, 0, ""},
		{0, len(good), good},
		{0, len(parts[0]), "eyJhbGciOiJub25lIn0"},
		{len(good) - 86, len(good), ""},
		{len(good), len(good), "="},
		{10, 10, "\n"},
		{0, 0, " "},
		{len(good) - 1, len(good), "A"},
		{0, len(good), "a.b.c"},
		{0, len(good), ".."},
		{len(parts[0]) + 1, len(good) - 87, "e30"},
	} {
		f.Add(seed.from, seed.to, seed.text)
	}
	f.Fuzz(func(t *testing.T, from, to int, text string) {
		from, to = min(max(from, 0), len(good)), min(max(to, 0), len(good))
		if from > to {
			from, to = to, from
		}
		token := good[:from] + text + good[to:]
		identity, err := verifier.Verify(token)
		if (err == nil) != (token == good) {
			t.Fatalf("%q: %v", token, err)
		}
		if err == nil != (identity.Subject == "member") {
			t.Fatalf("%q is %+v", token, identity)
		}
	})
}

// FuzzKeys: a key set that is broken or strange is refused, and none makes a forged token good.
func FuzzKeys(f *testing.F) {
	for _, set := range []string{
		`{"keys":[]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		`{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`, `{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]}`, `{`, `{"keys":{}}`,
		`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA"}]}`, `{"keys":[null]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":""}]}`,
	} {
		f.Add(set)
	}
	const forged = "eyJhbGciOiJub25lIiwia2lkIjoiYSJ9.eyJpc3MiOiJpIiwiYXVkIjoiYSIsInN1YiI6InMiLCJleHAiOjk5OTk5OTk5OTl9."
	const hmac = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJpIiwiYXVkIjoiYSIsInN1YiI6InMiLCJleHAiOjk5OTk5OTk5OTl9.AAAA"
	f.Fuzz(func(t *testing.T, set string) {
		if !strings.HasPrefix(strings.TrimSpace(set), "{") {
			return // a path or a URL: neither is read here
		}
		verifier, err := NewVerifier(t.Context(), AuthConfig{Issuers: []string{"i"}, Audiences: []string{"a"}, JWKS: set})
		if err != nil {
			return
		}
		for _, token := range []string{forged, hmac} {
			if identity, err := verifier.Verify(token); err == nil {
				t.Fatalf("%s makes a forged token %+v", set, identity)
			}
		}
	})
}

// FuzzParameters: what a query and the headers beside it can say is taken within its bounds, or is the caller's mistake.
func FuzzParameters(f *testing.F) {
	f.Add("limit=20&startingAfter=a", "wait=5", "0190", `"v"`, "key", "text/event-stream")
	f.Add("limit=0", "wait=-1", "", "*", "", "")
	f.Add("limit=%zz&limit=1", `wait="99999999999"; x, respond-async`, "\n", `W/"v", "x"`, "\x00", "text/html;q=1,text/event-stream;x")
	f.Add("limit=1e2;startingAfter=\x00", "wait=4294967296", strings.Repeat("a", 300), "\"v", strings.Repeat("k", 256), ",,,")
	f.Fuzz(func(t *testing.T, query, prefer, last, match, key, accept string) {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.URL = &url.URL{Path: "/", RawQuery: query}
		r.Header = http.Header{"Prefer": {prefer}, "Last-Event-Id": {last}, "If-None-Match": {match}, HeaderIdempotencyKey: {key}, "Accept": {accept}}
		rec := httptest.NewRecorder()
		c := echo.New().NewContext(r, rec)
		if page, err := PageOf(c); err != nil {
			clientsMistake(t, err)
		} else if page.Limit < 1 || page.Limit > maxLimit || len(page.StartingAfter) > 255 {
			t.Fatalf("a page of %+v", page)
		}
		if wait, ok := PreferWait(c); wait < 0 || wait > maxWait || !ok && rec.Header().Get("Preference-Applied") != "" {
			t.Fatalf("waits %s, %v", wait, ok)
		}
		if id := LastEventID(c); len(id) > 255 {
			t.Fatalf("a last event of %d bytes", len(id))
		}
		if got, err := IdempotencyKey(c); err == nil && (got != key || !UsableKey(got)) {
			t.Fatalf("the key %q is taken as %q", key, got)
		} else if err != nil && UsableKey(key) {
			t.Fatalf("the key %q is refused: %v", key, err)
		}
		if WantsStream(c) && !strings.Contains(strings.ToLower(accept), "text/event-stream") {
			t.Fatalf("%q asks for a stream", accept)
		}
		if err := JSONWithETag(c, match, "x"); err != nil || strings.ContainsAny(rec.Header().Get("Etag"), "\r\n") {
			t.Fatalf("an ETag of %q: %v", rec.Header().Get("Etag"), err)
		}
	})
}

// FuzzAddress: from a stranger the address is the connection's, whatever he says; a proxy of ours can only name
// addresses, and never one of ours.
func FuzzAddress(f *testing.F) {
	for _, header := range []string{"", "203.0.113.1", "1.1.1.1, 10.0.0.1", "unknown", "::ffff:203.0.113.1", "[2001:db8::1]", "fe80::1%eth0", ",,,", "10.0.0.1", "2001:db8::1, 203.0.113.1:80"} {
		f.Add(header, header)
	}
	stranger := extractor(nil)
	trusted, err := prefixes([]string{"10.0.0.0/8", "192.0.2.7"})
	if err != nil {
		f.Fatal(err)
	}
	proxied := extractor(trusted)
	f.Fuzz(func(t *testing.T, first, second string) {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header = http.Header{"X-Forwarded-For": {first, second}, "X-Real-Ip": {first}, "Forwarded": {"for=" + first}}
		r.RemoteAddr = "198.51.100.1:1"
		if got := stranger(r); got != "198.51.100.1" {
			t.Fatalf("a stranger is %q", got)
		}
		if got := proxied(r); got != "198.51.100.1" {
			t.Fatalf("a stranger beside the proxies is %q", got)
		}
		r.RemoteAddr = "10.9.9.9:1"
		got := proxied(r)
		if net.ParseIP(got) == nil || network(got) == "" {
			t.Fatalf("a client of the proxy is %q", got)
		}
	})
}
