package seed_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/services/member/seed"
)

// FuzzLoad: members that are taken can be told apart and have one default address at most; an error names the place and
// nothing of what stands there.
func FuzzLoad(f *testing.F) {
	const entry = `{"memberId":"m","name":"Zephyrine","email":"z@e.example","addresses":[{"addressId":"a","line1":"Canary","default":true}]}`
	for _, file := range []string{"[" + entry + "]", "[" + entry + "," + entry + "]", `[{"memberId":""}]`, `[{"memberId":"m","x":1}]`, `[null]`, `{}`, ``, `[`, `[{"memberId":"m","addresses":[{"addressId":"a","default":true},{"addressId":"b","default":true}]}]`} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "members.json")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		members, err := seed.Load(path)
		if err != nil {
			if text := err.Error(); strings.Contains(text, "Zephyrine") || strings.Contains(text, "z@e.example") || strings.Contains(text, "Canary") {
				t.Fatalf("the error quotes a member: %v", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, m := range members {
			defaults, addresses := 0, map[string]bool{}
			for _, a := range m.GetAddresses() {
				if a.GetDefault() {
					defaults++
				}
				if a.GetAddressId() == "" || addresses[a.GetAddressId()] {
					t.Fatalf("an address of no id or of another's: %v", m)
				}
				addresses[a.GetAddressId()] = true
			}
			if m.GetMemberId() == "" || seen[m.GetMemberId()] || defaults > 1 {
				t.Fatalf("taken: %v", members)
			}
			seen[m.GetMemberId()] = true
		}
	})
}
