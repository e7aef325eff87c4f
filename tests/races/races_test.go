// Package races_test attacks the running system with requests that are sent at the same moment, the way
// Warszawski and Bailis attacked twelve shops (ACIDRain, 2017): over the public API only, a thousand at
// once, at two replicas of every service that share their databases and their broker. After each attack
// the books are held against each other: what the services' tables say of every order, and what the card
// provider and the carrier say of it. A win is an order, a coupon, a point or a piece that is wrong there,
// or an answer that no sequence of the same requests could have got.
//
// Attacks on what does not exist yet land with it: a forged or racing webhook of a payment provider, two
// orders out of one cart, an address that is changed after the order was placed, a partial cancel that is
// asked for twice.
package races_test

import (
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// crowd is how many requests an attack sends at the same moment.
const crowd = 1_000

// patience is how long anything may take here, on a machine that has much else to do.
const patience = 3 * time.Minute

// TestRaces runs the attacks one after the other against one system: each has products, policies and, where
// it counts what one member has, members of its own.
func TestRaces(t *testing.T) {
	t.Parallel()
	a := open(t)
	for _, attack := range []struct {
		name string
		run  func(*testing.T, *arena)
	}{
		{"oversell one product", oversellOne},
		{"oversell in several lines", oversellLines},
		{"oversell two products in opposite order", oversellOpposite},
		{"buying what comes back", buyWhatComesBack},
		{"more than a member may have", memberLimit},
		{"created once", createdOnce},
		{"restock against decrease", restockAgainstDecrease},
		{"restock once per key", restockOneKey},
		{"recount against orders", recountAgainstOrders},
		{"price change while ordering", priceChange},
		{"coupon issue limit", couponIssueLimit},
		{"coupon once per member", couponOncePerMember},
		{"one coupon in many orders", oneCoupon},
		{"many spend twice", manySpendTwice},
		{"a coupon that comes back", couponGivenBack},
		{"points spent twice", pointsSpent},
		{"points granted once per key", grantOneKey},
		{"points granted at once", grantsAtOnce},
		{"one key, one body", keySameBody},
		{"one key, many bodies", keyManyBodies},
		{"one key, many members", keyManyMembers},
		{"double click", doubleClick},
		{"cancel many times", cancelMany},
		{"cancel a pending order many times", cancelPending},
		{"cancel against complete", cancelAgainstComplete},
		{"cancel against dispatch", cancelAgainstDispatch},
		{"webhook many times", webhookMany},
		{"webhooks in disorder", webhookDisorder},
		{"webhook against the lost answer", webhookAgainstAsk},
		{"somebody else's order", somebodyElses},
		{"replays against new events", replays},
		{"events sent again", resends},
	} {
		t.Run(attack.name, func(t *testing.T) {
			defer a.tell(t)
			begin := time.Now()
			attack.run(t, a)
			a.audit(t)
			a.saw("at rest and looked through after %s", time.Since(begin).Round(time.Millisecond))
		})
	}
}
