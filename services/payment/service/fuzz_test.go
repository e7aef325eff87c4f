package service

import (
	"strings"
	"testing"

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
