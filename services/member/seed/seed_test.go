package seed_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/services/member/seed"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "members.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	t.Parallel()
	members, err := seed.Load(write(t, `[
		{"memberId": "m1", "email": "m1@shop.example", "language": "ko",
		 "addresses": [{"addressId": "a1", "line1": "1 Sejong-daero", "default": true}, {"addressId": "a2"}]},
		{"memberId": "m2"}
	]`))
	if err != nil {
		t.Fatal(err)
	}
	if len(members) != 2 || members[0].GetAddresses()[0].GetAddressId() != "a1" || !members[0].GetAddresses()[0].GetDefault() {
		t.Errorf("loaded %v", members)
	}
	if none, err := seed.Load(""); err != nil || none != nil {
		t.Errorf("no file gave %v, %v", none, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"no array":         `{"memberId": "m1"}`,
		"an unknown field": `[{"memberId": "m1", "nickname": "secret-canary"}]`,
		"no id":            `[{"email": "secret-canary"}]`,
		"a member twice":   `[{"memberId": "secret-canary"}, {"memberId": "secret-canary"}]`,
		"an address twice": `[{"memberId": "m1", "addresses": [{"addressId": "secret-canary"}, {"addressId": "secret-canary"}]}]`,
		"two defaults":     `[{"memberId": "m1", "addresses": [{"addressId": "a", "default": true}, {"addressId": "b", "default": true}]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := seed.Load(write(t, content))
			if err == nil {
				t.Fatal("loaded")
			}
			if strings.Contains(err.Error(), "secret-canary") {
				t.Errorf("the error repeats the file: %v", err)
			}
		})
	}
	if _, err := seed.Load(filepath.Join(t.TempDir(), "missing.json")); err == nil {
		t.Error("a missing file loaded")
	}
}
