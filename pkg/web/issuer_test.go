package web_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/web"
)

const (
	testIssuer   = "https://issuer.example"
	testAudience = "quadrille"
)

func newIssuer(t *testing.T) *web.Issuer {
	t.Helper()
	issuer, err := web.LoadOrCreateIssuer(filepath.Join(t.TempDir(), "keys", "token.pem"), testIssuer, testAudience)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

func TestIssuerKeepsItsKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "token.pem")
	var wg sync.WaitGroup
	sets := make([]string, 8)
	for i := range sets {
		wg.Go(func() {
			issuer, err := web.LoadOrCreateIssuer(path, testIssuer, testAudience)
			if err != nil {
				t.Error(err)
				return
			}
			sets[i] = string(issuer.JWKS())
		})
	}
	wg.Wait()
	for _, set := range sets {
		if set != sets[0] || set == "" {
			t.Fatalf("eight starts at once have keys %q", sets)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v; want mode 0600", info, err)
	}
	if strings.Contains(sets[0], `"d"`) {
		t.Error("the key set holds the private key")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := web.LoadOrCreateIssuer(path, testIssuer, testAudience); err == nil {
		t.Error("a key that everybody can read was taken")
	}
}
