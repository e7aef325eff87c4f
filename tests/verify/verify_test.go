package verify_test

import (
	"strings"
	"testing"
)

// A day of orders of every kind leaves nothing behind: verify says so, in the words of a person too.
func TestADayIsClean(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	s.live(t)
	report := s.clean(t)
	if c := report.Checked; c.Orders != 11 || c.InFlight != 0 || c.Products != 3 || c.Policies != 1 || c.Coupons != 1 || c.Members != 3 {
		t.Errorf("checked %+v", c)
	}
	code, out, errors := s.quadrille("verify", "--wait", look.String())
	if code != 0 || !strings.Contains(out, "nothing lost, nothing twice, nobody stuck") {
		t.Errorf("verify ends with %d:\n%s%s", code, out, errors)
	}
}
