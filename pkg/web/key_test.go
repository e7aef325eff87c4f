package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/web"
)

func TestKeysByURL(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	var up atomic.Bool
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write(issuer.JWKS())
	}))
	t.Cleanup(keys.Close)
	cfg := issuer.Config()
	cfg.JWKS = keys.URL
	log := &lines{}
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	v := newVerifier(t, cfg) // starts although the keys are not there
	up.Store(true)
	if _, err := v.Verify(mustToken(t, issuer, "m")); err != nil {
		t.Errorf("with keys that came later: %v", err)
	}
	if !strings.Contains(log.String(), "token keys not refreshed") {
		t.Error("the log does not tell that the keys could not be fetched")
	}
}

func TestKeysByFile(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, issuer.JWKS(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := issuer.Config()
	cfg.JWKS = path
	if _, err := newVerifier(t, cfg).Verify(mustToken(t, issuer, "m")); err != nil {
		t.Errorf("with keys from a file: %v", err)
	}
}

func TestAuthConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := newIssuer(t).Config()
	for want, change := range map[string]func(*web.AuthConfig){
		"JWT_ISSUERS":    func(c *web.AuthConfig) { c.Issuers = nil },
		"JWT_AUDIENCES":  func(c *web.AuthConfig) { c.Audiences = nil },
		"JWT_JWKS":       func(c *web.AuthConfig) { c.JWKS = "" },
		"JWT_ALGORITHMS": func(c *web.AuthConfig) { c.Algorithms = []string{"HS256"} },
		`"none"`:         func(c *web.AuthConfig) { c.Algorithms = []string{"none"} },
		"JWT_LEEWAY":     func(c *web.AuthConfig) { c.Leeway = time.Hour },
		"no such file":   func(c *web.AuthConfig) { c.JWKS = filepath.Join(t.TempDir(), "absent.json") },
	} {
		cfg := good
		change(&cfg)
		if _, err := web.NewVerifier(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want it to name %s", err, want)
		}
	}
}
