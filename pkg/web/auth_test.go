package web_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
)

func newVerifier(t *testing.T, cfg web.AuthConfig) *web.Verifier {
	t.Helper()
	v, err := web.NewVerifier(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustToken(t *testing.T, issuer *web.Issuer, subject string, roles ...string) string {
	t.Helper()
	token, err := issuer.Token(subject, roles, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func secured(t *testing.T, cfg web.Config, v *web.Verifier) *httptest.Server {
	return serve(t, cfg, func(e *echo.Echo) {
		g := e.Group("", web.Auth(v))
		g.GET("/me", func(c echo.Context) error { return c.String(http.StatusOK, web.Caller(c).Subject) })
		g.GET("/ops", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, web.RequireRole(web.RoleOperator))
		e.GET("/unguarded", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, web.RequireRole(web.RoleOperator))
	})
}

func TestAuthByRole(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	srv := secured(t, web.Config{}, newVerifier(t, issuer.Config()))
	customer, operator := mustToken(t, issuer, "test1234"), mustToken(t, issuer, "op", "operator")
	for _, tt := range []struct {
		path, authorization string
		status              int
	}{
		{"/me", "Bearer " + customer, 200},
		{"/me", "bearer " + customer, 200},
		{"/me", "Bearer " + operator, 200},
		{"/me", "", 401},
		{"/me", "Bearer", 401},
		{"/me", "Bearer ", 401},
		{"/me", "Basic " + customer, 401},
		{"/me", customer, 401},
		{"/ops", "Bearer " + operator, 204},
		{"/ops", "Bearer " + customer, 403},
		{"/ops", "", 401},
		{"/unguarded", "Bearer " + operator, 401},
	} {
		headers := []string{"Authorization", tt.authorization}
		if tt.authorization == "" {
			headers = nil
		}
		got := do(t, "GET", srv.URL+tt.path, "", headers...)
		if got.status != tt.status || (tt.path == "/me" && tt.status == 200 && got.body == "") {
			t.Errorf("%s with %.12q: %d %q, want %d", tt.path, tt.authorization, got.status, got.body, tt.status)
		}
		if got.status == 401 && !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: 401 without WWW-Authenticate", tt.path)
		}
	}
	if got := do(t, "GET", srv.URL+"/me", "", "Authorization", "Bearer "+customer, "Authorization", "Bearer "+operator); got.status != 401 {
		t.Errorf("two Authorization headers: %d, want 401", got.status)
	}
}

// corpus builds tokens as an attacker or a broken issuer would, over keys that the verifier knows.
type corpus struct {
	ed    ed25519.PrivateKey
	ec    *ecdsa.PrivateKey
	rsa   *rsa.PrivateKey
	other ed25519.PrivateKey
}

func newCorpus(t *testing.T) corpus {
	t.Helper()
	_, ed, err1 := ed25519.GenerateKey(rand.Reader)
	_, other, err2 := ed25519.GenerateKey(rand.Reader)
	ec, err3 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rs, err4 := rsa.GenerateKey(rand.Reader, 2048)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return corpus{ed: ed, ec: ec, rsa: rs, other: other}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (k corpus) config(t *testing.T) web.AuthConfig {
	t.Helper()
	point, err := k.ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "ed", "x": b64(k.ed.Public().(ed25519.PublicKey))},
		{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "ec", "x": b64(point[1:33]), "y": b64(point[33:])},
		{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "rsa", "n": b64(k.rsa.N.Bytes()), "e": "AQAB"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return web.AuthConfig{Issuers: []string{testIssuer}, Audiences: []string{testAudience, "second"}, JWKS: string(set), Leeway: 5 * time.Second}
}

func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{"iss": testIssuer, "aud": testAudience, "sub": "test1234", "exp": time.Now().Add(time.Minute).Unix()}
}

func sign(t *testing.T, method jwt.SigningMethod, key any, kid any, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := goodClaims()
	if change != nil {
		change(claims)
	}
	token := jwt.NewWithClaims(method, claims)
	if kid != nil {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestTokenCorpus(t *testing.T) {
	t.Parallel()
	k := newCorpus(t)
	v := newVerifier(t, k.config(t))
	ed, none := jwt.SigningMethodEdDSA, jwt.SigningMethodNone
	set := func(name string, value any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { c[name] = value }
	}
	without := func(name string) func(jwt.MapClaims) { return func(c jwt.MapClaims) { delete(c, name) } }
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	signed := sign(t, ed, k.ed, "ed", nil)
	parts := strings.Split(signed, ".")
	header := func(text string) string { return b64([]byte(text)) + "." + parts[1] + "." + parts[2] }
	forged := func(claims string) string { return parts[0] + "." + b64([]byte(claims)) + "." + parts[2] }

	good := map[string]string{
		"EdDSA": signed, "ES256": sign(t, jwt.SigningMethodES256, k.ec, "ec", nil), "RS256": sign(t, jwt.SigningMethodRS256, k.rsa, "rsa", nil),
		"no kid":                   sign(t, ed, k.ed, nil, nil),
		"several audiences":        sign(t, ed, k.ed, "ed", set("aud", []string{"other", "second"})),
		"expired within leeway":    sign(t, ed, k.ed, "ed", set("exp", in(-2*time.Second))),
		"nbf within leeway":        sign(t, ed, k.ed, "ed", set("nbf", in(2*time.Second))),
		"roles that are no roles":  sign(t, ed, k.ed, "ed", set("roles", "operator")),
		"roles with other content": sign(t, ed, k.ed, "ed", set("roles", []any{1, nil})),
	}
	for name, token := range good {
		if identity, err := v.Verify(token); err != nil || identity.Subject != "test1234" || identity.Is("operator") {
			t.Errorf("%s: %+v, %v; want test1234 without roles", name, identity, err)
		}
	}
	critical := jwt.NewWithClaims(ed, goodClaims())
	critical.Header["kid"], critical.Header["crit"], critical.Header["x"] = "ed", []string{"x"}, "y"
	unheeded, err := critical.SignedString(k.ed)
	if err != nil {
		t.Fatal(err)
	}
	// raw signs what no encoder would write.
	raw := func(header, claims string) string {
		text := b64([]byte(header)) + "." + b64([]byte(claims))
		signature, err := ed.Sign(text, k.ed)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + b64(signature)
	}
	ordinary := fmt.Sprintf(`"iss":%q,"aud":%q,"exp":%d`, testIssuer, testAudience, in(time.Minute))
	if _, err := v.Verify(raw(`{"alg":"EdDSA","kid":"ed"}`, `{`+ordinary+`,"sub":"test1234"}`)); err != nil {
		t.Errorf("written by hand: %v", err)
	}
	publicEd := []byte(k.ed.Public().(ed25519.PublicKey))
	bad := map[string]string{
		"none":                     sign(t, none, jwt.UnsafeAllowNoneSignatureType, "ed", nil),
		"none, other case":         header(`{"alg":"nOnE","kid":"ed"}`),
		"none with a signature":    header(`{"alg":"none","kid":"ed"}`),
		"HS256 by the public key":  sign(t, jwt.SigningMethodHS256, publicEd, "ed", nil),
		"HS256 without kid":        sign(t, jwt.SigningMethodHS256, publicEd, nil, nil),
		"alg swapped in header":    header(`{"alg":"ES256","kid":"ed"}`),
		"key of another alg":       sign(t, jwt.SigningMethodES256, k.ec, "ed", nil),
		"alg not on the list":      sign(t, jwt.SigningMethodRS512, k.rsa, "rsa", nil),
		"PS256 by the RSA key":     sign(t, jwt.SigningMethodPS256, k.rsa, "rsa", nil),
		"unknown key":              sign(t, ed, k.other, "other", nil),
		"other key, known kid":     sign(t, ed, k.other, "ed", nil),
		"other key, no kid":        sign(t, ed, k.other, nil, nil),
		"kid is a path":            sign(t, ed, k.other, "../../../../dev/null", nil),
		"kid is a URL":             sign(t, ed, k.other, "https://evil.example/jwks.json", nil),
		"kid is SQL":               sign(t, ed, k.other, "' OR '1'='1", nil),
		"kid is a number":          sign(t, ed, k.other, 1, nil),
		"wrong audience":           sign(t, ed, k.ed, "ed", set("aud", "other")),
		"no audience":              sign(t, ed, k.ed, "ed", without("aud")),
		"audience is a number":     sign(t, ed, k.ed, "ed", set("aud", 1)),
		"wrong issuer":             sign(t, ed, k.ed, "ed", set("iss", testIssuer+"/")),
		"no issuer":                sign(t, ed, k.ed, "ed", without("iss")),
		"expired":                  sign(t, ed, k.ed, "ed", set("exp", in(-10*time.Second))),
		"no expiry":                sign(t, ed, k.ed, "ed", without("exp")),
		"expiry is text":           sign(t, ed, k.ed, "ed", set("exp", "2099-01-01")),
		"not yet valid":            sign(t, ed, k.ed, "ed", set("nbf", in(time.Minute))),
		"no subject":               sign(t, ed, k.ed, "ed", without("sub")),
		"empty subject":            sign(t, ed, k.ed, "ed", set("sub", "")),
		"subject is a number":      sign(t, ed, k.ed, "ed", set("sub", 7)),
		"subject with a zero":      sign(t, ed, k.ed, "ed", set("sub", "a\x00b")),
		"endless subject":          sign(t, ed, k.ed, "ed", set("sub", strings.Repeat("s", 300))),
		"issued in the future":     sign(t, ed, k.ed, "ed", set("iat", in(time.Minute))),
		"subject with a line":      sign(t, ed, k.ed, "ed", set("sub", "a\nb")),
		"subject no character":     raw(`{"alg":"EdDSA","kid":"ed"}`, `{`+ordinary+`,"sub":"\ud800"}`),
		"subject twice":            raw(`{"alg":"EdDSA","kid":"ed"}`, `{`+ordinary+`,"sub":"op","sub":"test1234"}`),
		"alg twice":                raw(`{"alg":"none","alg":"EdDSA","kid":"ed"}`, `{`+ordinary+`,"sub":"test1234"}`),
		"line break inside":        signed[:10] + "\n" + signed[10:],
		"claims tampered":          forged(`{"iss":"` + testIssuer + `","aud":"quadrille","sub":"op","roles":["operator"],"exp":9999999999}`),
		"unknown critical header":  unheeded,
		"no signature":             parts[0] + "." + parts[1] + ".",
		"signature of another one": parts[0] + "." + parts[1] + "." + strings.Split(sign(t, ed, k.ed, "ed", set("sub", "x")), ".")[2],
		"two parts":                parts[0] + "." + parts[1],
		"four parts":               signed + ".x",
		"padded":                   signed + "=",
		"nothing":                  "",
		"rubbish":                  "a.b.c",
		"huge":                     signed + strings.Repeat("A", 10_000),
	}
	for name, token := range bad {
		if identity, err := v.Verify(token); err == nil || identity.Subject != "" {
			t.Errorf("%s: taken as %+v", name, identity)
		}
	}
	// The remembered good token must not open the door for its variations, nor the failures close it.
	if _, err := v.Verify(signed); err != nil {
		t.Errorf("the good token afterwards: %v", err)
	}
}

func TestCachedTokenExpires(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	cfg := issuer.Config()
	cfg.Leeway = time.Nanosecond
	v := newVerifier(t, cfg)
	token, err := issuer.Token("m", nil, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); taken++ {
		if _, err := v.Verify(token); err != nil {
			break
		}
	}
	if _, err := v.Verify(token); err == nil || taken < 2 {
		t.Errorf("taken %d times, then %v; want a token that is remembered and then expires", taken, err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	cfg := issuer.Config()
	cfg.CacheSize = 10
	v := newVerifier(t, cfg)
	first := mustToken(t, issuer, "first")
	for range 50 {
		if _, err := v.Verify(mustToken(t, issuer, "other")); err != nil {
			t.Fatal(err)
		}
	}
	if n := v.Cached(); n > 10 {
		t.Errorf("%d tokens remembered, want at most 10", n)
	}
	if identity, err := v.Verify(first); err != nil || identity.Subject != "first" {
		t.Errorf("after eviction: %+v, %v", identity, err)
	}
}

func TestMemberLimit(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	srv := secured(t, web.Config{MemberRate: 0.001, MemberBurst: 2, AddressRate: 0.001, AddressBurst: 100}, newVerifier(t, issuer.Config()))
	for _, member := range []string{"a", "b"} {
		// A second token is no second allowance.
		for i, want := range []int{200, 200, 429} {
			got := do(t, "GET", srv.URL+"/me", "", "Authorization", "Bearer "+mustToken(t, issuer, member))
			if got.status != want || got.header.Get("RateLimit-Limit") != "2" {
				t.Errorf("member %s, request %d: %d with limit %s, want %d with 2", member, i, got.status, got.header.Get("RateLimit-Limit"), want)
			}
			if want == 429 && got.problem.Code != fault.CodeRateLimited {
				t.Errorf("member %s: code %s", member, got.problem.Code)
			}
		}
	}
}

func BenchmarkVerifyRemembered(b *testing.B) {
	issuer, err := web.LoadOrCreateIssuer(filepath.Join(b.TempDir(), "k"), testIssuer, testAudience)
	if err != nil {
		b.Fatal(err)
	}
	v, err := web.NewVerifier(b.Context(), issuer.Config())
	if err != nil {
		b.Fatal(err)
	}
	token, err := issuer.Token("m", nil, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(token); err != nil {
			b.Fatal(err)
		}
	}
}
