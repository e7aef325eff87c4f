package corpus_test

import (
	"cmp"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// attempt is one line of testdata/token.json: how a token is made and where it stands in the request. What is absent
// is as in the good token. The tests run over the whole list at every door; only entries with taken may come in.
type attempt struct {
	Name string `json:"name"`
	// Header and Claims are the JSON as it is encoded, with {placeholders}; see mint.fill.
	Header *string `json:"header"`
	Claims *string `json:"claims"`
	// Sign is who signs; see mint.sign.
	Sign string `json:"sign"`
	// Form puts the parts together: {h} {c} {s} and variations, {t} is all of it.
	Form string `json:"form"`
	// Send are the Authorization headers, one "Bearer {t}" if absent. Query, Cookie and Headers are sent beside them.
	Send    *[]string         `json:"send"`
	Query   string            `json:"query"`
	Cookie  string            `json:"cookie"`
	Headers map[string]string `json:"headers"`
	// Taken says that the token has to be taken; Customer, that it is, but not as an operator's.
	Taken    bool `json:"taken"`
	Customer bool `json:"customer"`
	// Stranger says that the token is a subject's who is no member here.
	Stranger bool `json:"stranger"`
}

// request makes the attempt at a door.
func (a attempt) request(t *testing.T, m *mint, url string) *http.Request {
	t.Helper()
	token := a.token(t, m)
	fill := func(text string) string { return strings.ReplaceAll(text, "{t}", token) }
	if a.Query != "" {
		url += "?" + fill(a.Query)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	headers := []string{"Bearer {t}"}
	if a.Send != nil {
		headers = *a.Send
	}
	for _, header := range headers {
		req.Header["Authorization"] = append(req.Header["Authorization"], fill(header))
	}
	for name, value := range a.Headers {
		req.Header.Set(name, fill(value))
	}
	if a.Cookie != "" {
		req.Header.Set("Cookie", fill(a.Cookie))
	}
	return req
}

// token puts the token together.
func (a attempt) token(t *testing.T, m *mint) string {
	t.Helper()
	header, claims := goodHeader, goodClaims
	if a.Header != nil {
		header = *a.Header
	}
	if a.Claims != nil {
		claims = *a.Claims
	}
	h, c := b64([]byte(m.fill(header))), b64([]byte(m.fill(claims)))
	raw := m.sign(t, a.Sign, h+"."+c)
	s := b64(raw)
	whole := h + "." + c + "." + s
	reversed := []byte(whole)
	slices.Reverse(reversed)
	return strings.NewReplacer(
		"{t}", whole, "{h}", h, "{c}", c, "{s}", s, "{s=}", h+"."+c+"."+s+"==", "{s~}", otherLastBit(s), "{S}", strings.ToUpper(s),
		"{s+}", strings.NewReplacer("-", "+", "_", "/").Replace(s)+"==", "{b64}", b64([]byte(whole)), "{rev}", string(reversed),
		"{9000}", strings.Repeat("A", 9000),
	).Replace(cmp.Or(a.Form, "{h}.{c}.{s}"))
}

// otherLastBit changes bits of the last character that carry nothing: the same bytes for a decoder that is not strict.
func otherLastBit(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if s == "" {
		return s
	}
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last^1])
}

// doors are the paths of each service that ask who calls: the gateway's own, and those of the services behind it, past
// the gateway. The operators' path is the same everywhere. A good caller finds nothing or a list behind them.
var doors = map[string][]string{
	"gateway":  {"/internal/v1/subscription", "/ops/v1/topology", "/api/v1/orders", "/api/v1/orders/0190a3a0-0000-7000-8000-000000000009/events"},
	"order":    {"/internal/v1/subscription", "/api/v1/orders", "/api/v1/cart", "/ops/v1/orders"},
	"stock":    {"/internal/v1/subscription"},
	"coupon":   {"/internal/v1/subscription", "/api/v1/coupons", "/ops/v1/coupon-policies"},
	"payment":  {"/internal/v1/subscription", "/api/v1/points", "/ops/v1/payments/reconciliations", "/internal/v1/payments/0190a3a0-0000-7000-8000-000000000009", "/api/v1/orders/0190a3a0-0000-7000-8000-000000000009/payment"},
	"shipping": {"/internal/v1/subscription", "/api/v1/orders/0190a3a0-0000-7000-8000-000000000009/shipment"},
	"mailer":   {"/internal/v1/subscription", "/internal/v1/mails/0190a3a0-0000-7000-8000-000000000009"},

	"dataplatform": {"/internal/v1/subscription", "/ops/v1/dataplatform"},
	"webhook":      {"/internal/v1/subscription", "/ops/v1/webhooks"},
	"member":       {"/internal/v1/subscription", "/api/v1/members/me", "/api/v1/members/me/addresses"},
}

// TestTokens sends every token of the corpus to every service, by the gateway and past it.
func TestTokens(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	var asked atomic.Int64
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"other","x":"` + b64(public(m.other)) + `"}]}`))
	}))
	t.Cleanup(evil.Close)
	m.evil = evil.URL
	w := open(t, func(c *local.Config) {
		// Beside the corpus's issuer stands the system's own, as members' sessions do beside an identity provider.
		own, err := web.LoadOrCreateIssuer(filepath.Join(c.Dir, "token.key"), ownIssuer, ownAudience)
		if err != nil {
			t.Fatal(err)
		}
		keys := strings.TrimSuffix(m.keys(t), "]}") + "," + strings.TrimPrefix(string(own.JWKS()), `{"keys":[`)
		maps.Copy(c.Environment, map[string]string{
			"LOG_LEVEL": "debug", "JWT_ISSUERS": tokenIssuer + "," + ownIssuer, "JWT_AUDIENCES": tokenAudience + "," + ownAudience,
			"JWT_ALGORITHMS": "", "JWT_JWKS": keys,
		})
	})
	attempts := corpus[attempt](t, "token.json")
	names := map[string]bool{}
	for _, a := range attempts {
		if a.Name == "" || names[a.Name] {
			t.Errorf("two attempts %q, or one without a name", a.Name)
		}
		names[a.Name] = true
	}
	t.Run("doors", func(t *testing.T) {
		for _, service := range local.Services() {
			t.Run(service, func(t *testing.T) {
				t.Parallel()
				if len(doors[service]) == 0 {
					t.Fatal("no path of this service is tried")
				}
				for _, path := range doors[service] {
					for _, a := range append(attempts, attempt{Name: "the good one, at the end", Taken: true}) {
						a.try(t, m, w.URL(service), path)
					}
				}
			})
		}
	})
	if n := asked.Load(); n > 0 {
		t.Errorf("the attacker's server was asked %d times for a key that a token named", n)
	}
	if log := w.log.String(); strings.Contains(log, "eyJ") || strings.Contains(log, b64([]byte(`{"alg"`))) {
		t.Error("a token stands in the log")
	}
}

// try makes one attempt at one door.
func (a attempt) try(t *testing.T, m *mint, base, path string) {
	t.Helper()
	got := send(t, a.request(t, m, base+path))
	what := path + " with " + a.Name
	nothing := strings.Contains(path, "000009") || a.Stranger && strings.HasPrefix(path, "/api/v1/members/me")
	switch operators := strings.HasPrefix(path, "/ops/") || strings.HasPrefix(path, "/internal/"); {
	case !a.Taken:
		refused(t, what, got, http.StatusUnauthorized, fault.CodeUnauthenticated)
		if !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: 401 does not say how to sign in", what)
		}
	case a.Customer && operators:
		refused(t, what, got, http.StatusForbidden, fault.CodeForbidden)
	case got.Status != http.StatusOK && (got.Status != http.StatusNotFound || !nothing):
		t.Errorf("%s: answered %d %s, want it taken", what, got.Status, got.Body)
	}
}
