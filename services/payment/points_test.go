package payment

import (
	"fmt"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// Points are granted once per grant, and the balance is the sum of the ledger.
func TestGrantPoints(t *testing.T) {
	t.Parallel()
	w := &World{}
	for _, c := range []struct {
		grant  string
		amount int64
		want   string
	}{
		{"g1", 100, "201 100"},
		{"g1", 100, "201 100"},
		{"g2", 50, "201 150"},
		{"g3", 0, "400 150"},
		{"g4", -10, "400 150"},
		{"g5", MaxPoints, "400 150"},
		{"g6", MaxPoints - 150, fmt.Sprint("201 ", int64(MaxPoints))},
	} {
		out := flowtest.Decide(t, Topology, w, GrantPoints{GrantID: c.grant, UserID: "u", Amount: c.amount})
		account, _ := w.Points.Get("u")
		if got := fmt.Sprint(out.Reply.Status, " ", account.Balance); got != c.want {
			t.Errorf("%s: got %q, want %q", c.grant, got, c.want)
		}
	}
	checkLedger(t, w)
}

// Two orders of one batch share a balance: what the first holds, the second cannot have.
func TestPointsAreSpentOnce(t *testing.T) {
	t.Parallel()
	w := &World{}
	flowtest.Decide(t, Topology, w, GrantPoints{GrantID: "g", UserID: "u", Amount: 100})
	var told string
	for _, id := range []string{"o1", "o2", "o3"} {
		told += flowtest.Told(flowtest.Decide(t, Topology, w, &stockv1.StockDecreased{OrderId: id, UserId: "u", Checkout: checkout(60)})) + ";"
	}
	if told != "+charge;PaymentFailed;PaymentFailed;" {
		t.Error(told)
	}
	flowtest.Decide(t, Topology, w, Charged{OrderID: "o1", Outcome: Declined})
	if account, _ := w.Points.Get("u"); account.Balance != 100 {
		t.Errorf("after the decline there are %d", account.Balance)
	}
	checkLedger(t, w)
	flowtest.Decide(t, Topology, w, &orderv1.OrderCancelled{OrderId: "o1", UserId: "u", UndoFrom: orderv1.UndoFrom_UNDO_FROM_PAYMENT})
	checkLedger(t, w)
}

func checkLedger(t *testing.T, w *World) {
	t.Helper()
	var sum int64
	for _, e := range w.Ledger.All() {
		sum += e.Amount
	}
	if account, _ := w.Points.Get("u"); account.Balance != sum {
		t.Errorf("the balance is %d, the ledger says %d", account.Balance, sum)
	}
}

// A recount sets the balance to the ledger's sum, with what the same batch has booked before it.
func TestRecount(t *testing.T) {
	t.Parallel()
	w := &World{}
	w.Points.Loaded("u", Points{UserID: "u", Balance: 7})
	w.Sums.Loaded("u", 100)
	w.Points.Loaded("empty", Points{UserID: "empty", Balance: 5})
	w.Sums.Loaded("below", -1)
	for _, c := range []struct {
		command any
		user    string
		want    string
	}{
		{GrantPoints{GrantID: "g", UserID: "u", Amount: 50}, "u", "201 57"},
		{Recount{UserID: "u"}, "u", "200 150"},
		{Recount{UserID: "u"}, "u", "200 150"},
		{Recount{UserID: "empty"}, "empty", "200 0"},
		{Recount{UserID: "below"}, "below", "409 0"},
		{Recount{UserID: "nobody"}, "nobody", "404 0"},
	} {
		out := flowtest.Decide(t, Topology, w, c.command)
		account, _ := w.Points.Get(c.user)
		if got := fmt.Sprint(out.Reply.Status, " ", account.Balance); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.command, got, c.want)
		}
	}
}
