package rolling

import "testing"

// The versions differ from the tree as they say, and are built of it.
func TestVersionsBuild(t *testing.T) {
	for _, v := range []version{next, afterNext, misplaced} {
		if err := v.build(t.Context(), t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
}
