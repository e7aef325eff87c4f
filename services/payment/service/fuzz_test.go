package service

import (
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/payment"
)

// FuzzGrant: a grant that is taken adds its points once and no balance leaves its bounds.
func FuzzGrant(f *testing.F) {
	f.Add([]byte(`{"userId":"m","amount":1,"reason":"r"}`), int64(0))
	f.Add([]byte(`{"userId":"m","amount":1000000000000,"reason":"r"}`), int64(1))
	f.Add([]byte(`{"userId":" ","amount":0,"reason":""}`), int64(5))
	f.Add([]byte(`{"userId":"m","amount":9223372036854775807,"reason":"r"}`), int64(payment.MaxPoints))
	f.Add([]byte(`{"userId":"m","amount":-1,"reason":"r"}`), int64(10))
	f.Fuzz(func(t *testing.T, body []byte, balance int64) {
		var r grantRequest
		if rig.Refused(t, rig.Decode(body, &r)) || rig.Refused(t, r.check()) {
			return
		}
		if r.UserID == "" || strings.ContainsRune(r.UserID+r.Reason, 0) || r.Amount < 1 {
			t.Fatalf("taken: %s", body)
		}
		if balance < 0 || balance > payment.MaxPoints {
			return // no account is like that
		}
		var w payment.World
		w.Points.Loaded(r.UserID, payment.Points{UserID: r.UserID, Balance: balance})
		grant := payment.GrantPoints{GrantID: "g", UserID: r.UserID, Amount: r.Amount, Reason: r.Reason}
		want := balance + r.Amount
		for range 2 {
			if reply := flowtest.Decide(t, payment.Topology, &w, grant).Reply; reply.Refusal != nil {
				rig.Refused(t, reply.Refusal)
				if r.Amount <= payment.MaxPoints-balance && w.Ledger.Len() == 0 {
					t.Fatalf("%s is refused to somebody with %d", body, balance)
				}
			}
			if account, _ := w.Points.Get(r.UserID); account.Balance != want && account.Balance != balance || account.Balance > payment.MaxPoints {
				t.Fatalf("%s makes %d of %d", body, account.Balance, balance)
			}
		}
	})
}

// FuzzReconcile: a day that is taken is a whole one in UTC that has begun, and of one spelling, so that it is one day in the
// list of those that were compared.
func FuzzReconcile(f *testing.F) {
	for _, body := range []string{
		`{"day":"2026-01-31","reason":"r"}`, `{"day":"2026-02-30","reason":"r"}`, `{"day":"2026-07-01","reason":"r"}`, `{"day":"2026-07-02","reason":"r"}`,
		`{"day":"2026-1-3","reason":"r"}`, `{"day":"2026-01-31T00:00:00Z","reason":"r"}`, `{"day":"0000-01-01","reason":"r"}`, `{"day":"-001-01-01","reason":"r"}`,
		`{"day":" 2026-01-31","reason":"\u0000"}`, `{"day":"2026-01-31","reason":" "}`, `{"day":20260131,"reason":"r"}`, `{"day":null,"reason":null}`, `{}`,
	} {
		f.Add([]byte(body))
	}
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		var r reconcileRequest
		if rig.Refused(t, rig.Decode(body, &r)) {
			return
		}
		day, err := r.check(now)
		if rig.Refused(t, err) {
			return
		}
		if day.Format(dayFormat) != r.Day || day.After(now) || !day.Equal(day.Truncate(24*time.Hour)) ||
			strings.TrimSpace(r.Reason) == "" || strings.ContainsRune(r.Reason, 0) {
			t.Fatalf("%s is taken for %s", body, day)
		}
	})
}
