package service_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// patience is a carrier time-out that a busy machine does not run into by itself.
const patience = 2 * time.Second

// complete publishes OrderCompleted of a new order of kim's.
func (r *system) complete(address string) (order, trigger string) {
	r.T.Helper()
	order = rig.NewID()
	return order, r.completed(order, address)
}

func (r *system) completed(order, address string) (trigger string) {
	r.T.Helper()
	return r.Publish(order, &orderv1.OrderCompleted{
		OrderId: order, UserId: "kim", ShippingAddressId: address, Currency: "KRW",
		OrderItems: []*orderv1.OrderItem{{ProductId: "P", ProductName: "Pen", Quantity: 2, ProductPrice: 100}},
	})
}

func (r *system) cancel(order string) (trigger string) {
	r.T.Helper()
	return r.Publish(order, &orderv1.OrderCancelRequested{OrderId: order, UserId: "kim"})
}

// want waits for the n-th event about an order (from 1) and holds it against its message, leaving out times and the tracking number,
// and its cause. It returns the event's id.
func (r *system) want(order string, n int, cause string, want proto.Message) string {
	r.T.Helper()
	return r.Want(order, n, cause, want, "prepared_at", "failed_at", "dispatched_at", "delivered_at", "cancelled_at", "refused_at", "tracking_number")
}

func prepared(order string) proto.Message {
	return &shippingv1.ShipmentPrepared{OrderId: order, UserId: "kim", Carrier: "simulator"}
}

func dispatched(order string) proto.Message {
	return &shippingv1.ShipmentDispatched{OrderId: order, UserId: "kim", Carrier: "simulator"}
}

func delivered(order string) proto.Message {
	return &shippingv1.ShipmentDelivered{OrderId: order, UserId: "kim", Carrier: "simulator"}
}

func failed(order, reason string) proto.Message {
	return &shippingv1.ShipmentFailed{OrderId: order, UserId: "kim", Reason: reason}
}

func cancelled(order string) proto.Message {
	return &shippingv1.ShipmentCancelled{OrderId: order, UserId: "kim"}
}

func cancelRefused(order string) proto.Message {
	return &shippingv1.ShipmentCancelRefused{OrderId: order, UserId: "kim"}
}

// wantParcel holds what the carrier has: one parcel in the state, or none.
func (r *system) wantParcel(order, state string) {
	r.T.Helper()
	parcels := r.firm.parcels(order)
	if state == "" && len(parcels) > 0 || state != "" && (len(parcels) != 1 || parcels[0].State != state) {
		r.T.Errorf("the carrier has %+v, want %q", parcels, state)
	}
}

// untilTold waits until every webhook is taken.
func (r *system) untilTold() {
	r.T.Helper()
	testkit.Eventually(r.T, 10*time.Second, func() error {
		if n := r.firm.simulator.Undelivered(); n > 0 {
			return fmt.Errorf("%d webhooks were not taken", n)
		}
		return nil
	})
}

// wantHistory waits until the customer sees these lines.
func (r *system) wantHistory(order string, want ...string) {
	r.T.Helper()
	testkit.Eventually(r.T, 10*time.Second, func() error {
		a := r.Call(r.Token("kim"), "GET", "/api/v1/orders/"+order+"/shipment", "")
		var got []string
		lines, _ := a.Body["history"].([]any)
		for _, line := range lines {
			got = append(got, fmt.Sprint(line.(map[string]any)["status"]))
		}
		if a.Status != 200 || !slices.Equal(got, want) || a.Body["status"] != want[len(want)-1] {
			return fmt.Errorf("%d %v, want %v", a.Status, a.Body, want)
		}
		return nil
	})
}

// What becomes of a booking, by address: told to the order, and one parcel or none at the carrier.
func TestBookings(t *testing.T) {
	t.Parallel()
	r := start(t, 300*time.Millisecond)
	for address, reason := range map[string]string{
		"kim-home":           "",
		"kim-unknown":        "", // times out, was booked
		"kim-unknown-failed": "NOT_BOOKED",
		"kim-refused":        "REFUSED",
		"kim-no-such-place":  "REFUSED",    // by ourselves
		"lee-home":           "NO_ADDRESS", // another member's
		"nowhere":            "NOT_BOOKED", // looked for in vain
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			r := r.in(t)
			order, trigger := r.complete(address)
			if reason != "" {
				r.want(order, 1, trigger, failed(order, reason))
				for _, p := range r.firm.parcels(order) {
					if p.BookingID != "" || address == "kim-no-such-place" {
						t.Errorf("the carrier has a parcel: %+v", p)
					}
				}
				r.wantHistory(order, "PREPARING", "FAILED")
				return
			}
			r.want(order, 1, trigger, prepared(order))
			r.wantParcel(order, "booked")
			r.wantHistory(order, "PREPARING", "PREPARED")
		})
	}
}

// An order that overtakes its member's address waits for it; another member's is none, whenever it comes.
func TestOrderBeforeItsAddress(t *testing.T) {
	t.Parallel()
	r := startWith(t, map[string]string{"ADDRESS_TRIES": "30"})
	order, trigger := r.complete("kim-new-home")
	r.UntilTried(order, "book", 2)
	r.Publish("kim", &memberv1.MemberChanged{MemberId: "kim", ChangedAt: timestamppb.Now(), Addresses: []*memberv1.Address{{
		AddressId: "kim-new-home", Name: "Kim", Phone: "+82 2 1", Line1: "1 Road", City: "Seoul", PostalCode: "12345", Country: "KR",
	}}})
	r.want(order, 1, trigger, prepared(order))
	r.wantParcel(order, "booked")
}

// The carrier's webhooks move the shipment on, each told once.
func TestTracking(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, trigger := r.complete("kim-home")
	booked := r.want(order, 1, trigger, prepared(order))
	r.firm.advance(order, "dispatched")
	left := r.want(order, 2, booked, dispatched(order))
	r.wantHistory(order, "PREPARING", "PREPARED", "DISPATCHED")
	r.firm.advance(order, "delivered")
	r.want(order, 3, left, delivered(order))
	r.wantHistory(order, "PREPARING", "PREPARED", "DISPATCHED", "DELIVERED")

	lost, trigger := r.complete("kim-home")
	booked = r.want(lost, 1, trigger, prepared(lost))
	r.firm.advance(lost, "lost")
	r.want(lost, 2, booked, dispatched(lost))
	r.wantHistory(lost, "PREPARING", "PREPARED", "DISPATCHED", "LOST")
	r.untilTold()
	if n := r.Emitted(order); n != 3 {
		t.Errorf("%d events", n)
	}

	shipment := r.Call(r.Token("kim"), "GET", "/api/v1/orders/"+order+"/shipment", "")
	number := r.Await(1, rig.About(order))[0].Message.(*shippingv1.ShipmentPrepared).GetTrackingNumber()
	if shipment.Body["carrier"] != "simulator" || shipment.Body["trackingNumber"] != number || number == "" {
		t.Errorf("the customer sees %v", shipment.Body)
	}
}

// A parcel is stopped while it can be; one on its way is not, and the order hears why first.
func TestCancel(t *testing.T) {
	t.Parallel()
	r := start(t, patience)

	order, trigger := r.complete("kim-home")
	r.want(order, 1, trigger, prepared(order))
	asked := r.cancel(order)
	r.want(order, 2, asked, cancelled(order))
	r.wantParcel(order, "cancelled")
	r.wantHistory(order, "PREPARING", "PREPARED", "CANCELLED")

	order, trigger = r.complete("kim-home")
	booked := r.want(order, 1, trigger, prepared(order))
	r.firm.advance(order, "dispatched")
	r.want(order, 2, booked, dispatched(order))
	asked = r.cancel(order)
	r.want(order, 3, asked, cancelRefused(order))
	r.wantParcel(order, "dispatched")

	// The carrier says at the cancel that the parcel has left; its webhook later changes nothing.
	order, trigger = r.complete("kim-leaves")
	booked = r.want(order, 1, trigger, prepared(order))
	asked = r.cancel(order)
	r.want(order, 2, booked, dispatched(order))
	r.want(order, 3, asked, cancelRefused(order))
}

// The cancel of a parcel whose answer is lost is asked for, and made again where it did not arrive.
func TestLostAnswerOfCancel(t *testing.T) {
	t.Parallel()
	for _, applied := range []bool{true, false} {
		t.Run(fmt.Sprint("applied ", applied), func(t *testing.T) {
			t.Parallel()
			r := start(t, 300*time.Millisecond)
			order, trigger := r.complete("kim-home")
			r.want(order, 1, trigger, prepared(order))
			r.firm.fault(outage.Fault{Mode: outage.Timeout, Applied: &applied, DelayMS: 1000})
			asked := r.cancel(order)
			r.UntilTried(order, "ask_cancel", 1)
			r.firm.fault(outage.Fault{})
			r.want(order, 2, asked, cancelled(order))
			r.wantParcel(order, "cancelled")
		})
	}
}

// A cancel that finds the booking in flight is remembered: booked, then stopped.
func TestCancelWhileInFlight(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	r.firm.kill()
	order, trigger := r.complete("kim-home")
	r.UntilTried(order, "book", 1)
	asked := r.cancel(order)
	testkit.Eventually(t, 10*time.Second, func() error {
		var remembered bool
		err := r.Pool.QueryRow(t.Context(), `SELECT cancel_asked FROM shipment WHERE order_id = $1`, order).Scan(&remembered)
		if err == nil && !remembered {
			err = fmt.Errorf("the cancel has not come yet")
		}
		return err
	})
	r.firm.start()
	r.want(order, 1, trigger, prepared(order))
	r.want(order, 2, asked, cancelled(order))
	r.wantParcel(order, "cancelled")
}

// A carrier that fails for a moment costs a moment, and books one parcel.
func TestCarrierComesBack(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	for _, down := range []outage.Mode{outage.Down, outage.Cut} {
		r.firm.fault(outage.Fault{Mode: down})
		order, trigger := r.complete("kim-home")
		r.UntilTried(order, "book", 2)
		r.firm.fault(outage.Fault{})
		r.want(order, 1, trigger, prepared(order))
		r.wantParcel(order, "booked")
	}
}

// An address that is deleted while its parcel is being booked: nothing is sent, and the key is closed.
func TestAddressGoesMeanwhile(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	r.firm.kill()
	order, trigger := r.complete("kim-home")
	r.UntilTried(order, "book", 2)
	if _, err := r.Pool.Exec(t.Context(), `DELETE FROM address WHERE address_id = 'kim-home'`); err != nil {
		t.Fatal(err)
	}
	r.firm.start()
	r.want(order, 1, trigger, failed(order, "NOT_BOOKED"))
	for _, p := range r.firm.parcels(order) {
		if p.State != carrier.Voided {
			t.Errorf("the carrier has %+v", p)
		}
	}
}
