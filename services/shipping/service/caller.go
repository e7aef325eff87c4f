package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
)

// caller makes shipping's calls outside. One rule holds for all: what may have been sent is asked for
// before it is sent again, and always under the same key.
type caller struct {
	carrier carrier.Carrier
	// addresses are read when a parcel is booked. One that is not there is looked for so many times, with the engine's
	// pauses between.
	addresses    addressBook
	addressTries int
}

func (c *caller) callers() map[string]engine.Caller {
	return map[string]engine.Caller{
		shipping.CallBook:       c.book,
		shipping.CallAskBooking: c.askBooking,
		shipping.CallVoid:       c.voidBooking,
		shipping.CallCancel:     c.cancelBooking,
		shipping.CallAskCancel:  c.askCancel,
	}
}

func decode[B any](call engine.Call) (B, error) {
	var body B
	if err := json.Unmarshal(call.Body, &body); err != nil {
		return body, fmt.Errorf("decode the call %q: %w", call.Kind, err)
	}
	return body, nil
}

// outcome translates the carrier's word.
func (c *caller) outcome(b carrier.Booking) shipping.Outcome {
	return shipping.Outcome{
		State: shipping.Parcel(b.State), Carrier: c.carrier.Name(), BookingID: b.BookingID,
		TrackingNumber: b.TrackingNumber, Reason: b.Reason, Checkpoints: checkpoints(b),
	}
}

func checkpoints(b carrier.Booking) []shipping.Checkpoint {
	var all []shipping.Checkpoint
	for _, c := range b.Checkpoints {
		all = append(all, shipping.Checkpoint(c))
	}
	return all
}

// timedOut says that a request was sent and the answer did not come in time.
func timedOut(err error) bool {
	return errors.Is(err, carrier.ErrUnknown) && errors.Is(err, context.DeadlineExceeded)
}

// book ends in an outcome where there is one. A time-out is one too, Unknown: the decision asks. Everything
// else (not sent, a 5xx, a cut connection) is an error, for which the engine makes the call again with
// backoff. Every try but the first begins by asking: the one before may have got through.
func (c *caller) book(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[shipping.BookCall](call)
	if err != nil {
		return nil, err
	}
	if call.Attempt > 1 {
		known, err := c.carrier.AskBooking(ctx, body.Key)
		if err != nil {
			return nil, err
		}
		if known.State != carrier.NotFound {
			return shipping.Booked{OrderID: body.OrderID, Outcome: c.outcome(known)}, nil
		}
	}
	address, found, err := c.addresses.find(ctx, body.AddressID)
	if err != nil {
		return nil, err
	}
	if found && body.UserID != "" && body.UserID != address.UserID {
		found = false // another member's
	}
	problem := address.Problem()
	if !found {
		if call.Attempt < c.addressTries {
			return nil, errNoAddressYet
		}
		problem = "no_address"
	}
	if problem != "" {
		return withoutAddress(body.OrderID, problem, call.Attempt), nil
	}
	made, err := c.carrier.Book(ctx, request(body, address))
	switch {
	case err == nil:
		return shipping.Booked{OrderID: body.OrderID, Outcome: c.outcome(made)}, nil
	case timedOut(err):
		return shipping.Booked{OrderID: body.OrderID, Outcome: shipping.Outcome{State: shipping.ParcelUnknown}}, nil
	default:
		return nil, err
	}
}

// errNoAddressYet: the order may have overtaken the address, as topics have no order between them.
var errNoAddressYet = errors.New("the address is not there yet")

// withoutAddress is the outcome for an address that no parcel can be sent to, or that was deleted after the order was
// completed. On the first try nothing was sent, so nothing is booked. Later a paused worker may still send what it had
// read, another address maybe: Unknown leads to closing the key.
func withoutAddress(orderID, problem string, attempt int) shipping.Booked {
	if attempt > 1 {
		return shipping.Booked{OrderID: orderID, Outcome: shipping.Outcome{State: shipping.ParcelUnknown}}
	}
	return shipping.Booked{OrderID: orderID, Outcome: shipping.Outcome{State: shipping.ParcelRefused, Reason: problem}}
}

func request(body shipping.BookCall, a shipping.Address) carrier.BookRequest {
	r := carrier.BookRequest{Key: body.Key, OrderID: body.OrderID, Address: carrier.Address{
		Name: a.Name, Phone: a.Phone, Line1: a.Line1, Line2: a.Line2, City: a.City, PostalCode: a.PostalCode, Country: a.Country,
	}}
	for _, item := range body.Items {
		r.Items = append(r.Items, carrier.Item{ProductID: item.ProductID, Name: item.Name, Quantity: int64(item.Quantity)})
	}
	return r
}

func (c *caller) askBooking(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[shipping.KeyCall](call)
	if err != nil {
		return nil, err
	}
	known, err := c.carrier.AskBooking(ctx, body.Key)
	if err != nil {
		return nil, err
	}
	return shipping.BookingAsked{OrderID: body.OrderID, Outcome: c.outcome(known)}, nil
}

func (c *caller) voidBooking(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[shipping.KeyCall](call)
	if err != nil {
		return nil, err
	}
	closed, err := c.carrier.VoidBooking(ctx, body.Key)
	if err != nil {
		return nil, err
	}
	return shipping.BookingVoided{OrderID: body.OrderID, Outcome: c.outcome(closed)}, nil
}

// cancelBooking may be sent again without asking: a second cancel finds the first one's state.
func (c *caller) cancelBooking(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[shipping.CancelCall](call)
	if err != nil {
		return nil, err
	}
	stands, err := c.carrier.Cancel(ctx, body.BookingID)
	switch {
	case timedOut(err):
		return shipping.BookingCancelled{OrderID: body.OrderID, Outcome: shipping.Outcome{State: shipping.ParcelUnknown}}, nil
	case err != nil:
		return nil, err
	case stands.State == carrier.Booked:
		return nil, errStillBooked
	}
	return shipping.BookingCancelled{OrderID: body.OrderID, Outcome: c.outcome(stands)}, nil
}

// askCancel asks how the parcel stands and cancels again where it is still booked, until it is not.
func (c *caller) askCancel(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[shipping.CancelCall](call)
	if err != nil {
		return nil, err
	}
	stands, err := c.carrier.Status(ctx, body.BookingID)
	if err == nil && stands.State == carrier.Booked {
		stands, err = c.carrier.Cancel(ctx, body.BookingID)
	}
	if err != nil {
		return nil, err
	}
	if stands.State == carrier.Booked {
		return nil, errStillBooked
	}
	return shipping.CancelAsked{OrderID: body.OrderID, Outcome: c.outcome(stands)}, nil
}

var errStillBooked = errors.New("the carrier answered the cancel of a parcel with the parcel still booked")
