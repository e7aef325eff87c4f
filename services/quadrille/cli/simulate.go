package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

type shipCommand struct {
	OrderID string `arg:"" name:"order-id" help:"The order."`
	To      string `arg:"" enum:"dispatched,delivered,lost" help:"dispatched, delivered or lost."`
}

// booking is a parcel as the simulated carrier has it.
type booking struct {
	BookingID      string `json:"bookingId"`
	State          string `json:"state"`
	TrackingNumber string `json:"trackingNumber"`
}

// Run moves the order's parcel on.
func (c *shipCommand) Run(ctx context.Context, s *session) error {
	base, err := s.variable("CARRIER_SIMULATOR_URL")
	if err != nil {
		return err
	}
	carrier := rest.Client{BaseURL: base}
	b, err := c.parcel(ctx, carrier)
	if err != nil {
		return err
	}
	res, err := carrier.Do(ctx, rest.Request{
		Method: http.MethodPost, Path: "/v1/bookings/" + b.BookingID + "/advance", Body: map[string]string{"to": c.To},
	})
	switch {
	case err != nil:
		return err
	case res.Status == http.StatusConflict:
		return fmt.Errorf("parcel %s is %s: it cannot become %s", b.TrackingNumber, b.State, c.To)
	case res.Status != http.StatusOK:
		return res.Problem()
	case s.root.JSON:
		return s.printf("%s\n", res.Body)
	}
	return s.printf("parcel %s of order %s: %s\n", b.TrackingNumber, c.OrderID, c.To)
}

// bookingTime is how long an order that has just been completed may take to be booked at the carrier.
const bookingTime = 5 * time.Second

// parcel finds the order's parcel, and waits a little for it.
func (c *shipCommand) parcel(ctx context.Context, carrier rest.Client) (booking, error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	enough := time.NewTimer(bookingTime)
	defer enough.Stop()
	for {
		var bookings struct {
			Data []booking `json:"data"`
		}
		if err := carrier.Get(ctx, "/v1/bookings?reference="+url.QueryEscape(c.OrderID), &bookings); err != nil {
			return booking{}, err
		}
		for _, b := range bookings.Data { // newest first
			if b.BookingID != "" { // neither refused nor voided
				return b, nil
			}
		}
		select {
		case <-ctx.Done():
			return booking{}, ctx.Err()
		case <-enough.C:
			return booking{}, fmt.Errorf("the carrier has no parcel of order %s", c.OrderID)
		case <-ticker.C:
		}
	}
}

type faultCommand struct {
	Payment paymentFault `cmd:"" help:"Break the payment provider."`
	Carrier carrierFault `cmd:"" help:"Break the carrier."`
	Mail    mailFault    `cmd:"" help:"Break the mail server."`
	Clear   clearCommand `cmd:"" help:"Mend all of them."`
	Show    showFaults   `cmd:"" help:"Show what is broken."`
}

// simulators names the base URL of each.
var simulators = []struct{ name, variable string }{
	{"payment", "PAYMENT_SIMULATOR_URL"},
	{"carrier", "CARRIER_SIMULATOR_URL"},
	{"mail", "INBOX_URL"},
}

type faultOf struct {
	Mode    string `arg:"" enum:"down,slow,timeout" help:"down: refuses everything; slow: answers after --delay; timeout: never answers."`
	Percent int    `help:"Of the requests that meet it." default:"100"`
	Delay   int    `help:"Milliseconds, for slow."`
}

type (
	paymentFault struct {
		faultOf `embed:""`
	}
	carrierFault struct {
		faultOf `embed:""`
	}
	mailFault struct {
		Mode    string `arg:"" enum:"down,slow,timeout" help:"down: hangs up; slow, timeout: asks to try again later."`
		Percent int    `help:"Of the mails that meet it." default:"100"`
	}
)

// fault is the body of a simulator's /faults.
type fault struct {
	Mode    string `json:"mode"`
	Percent int    `json:"percent,omitempty"`
	DelayMS int    `json:"delayMs,omitempty"`
}

// Run breaks the payment provider.
func (c *paymentFault) Run(ctx context.Context, s *session) error {
	return s.setFault(ctx, "payment", fault{Mode: c.Mode, Percent: c.Percent, DelayMS: c.Delay})
}

// Run breaks the carrier.
func (c *carrierFault) Run(ctx context.Context, s *session) error {
	return s.setFault(ctx, "carrier", fault{Mode: c.Mode, Percent: c.Percent, DelayMS: c.Delay})
}

// Run breaks the mail server.
func (c *mailFault) Run(ctx context.Context, s *session) error {
	mode := c.Mode
	if mode != "down" {
		mode = "tempfail" // SMTP's word for it
	}
	return s.setFault(ctx, "mail", fault{Mode: mode, Percent: c.Percent})
}

type clearCommand struct{}

// Run mends all simulators.
func (c *clearCommand) Run(ctx context.Context, s *session) error {
	for _, sim := range simulators {
		if err := s.setFault(ctx, sim.name, fault{Mode: "none"}); err != nil {
			return err
		}
	}
	return nil
}

type showFaults struct{}

// Run shows every simulator's fault.
func (c *showFaults) Run(ctx context.Context, s *session) error {
	for _, sim := range simulators {
		base, err := s.variable(sim.variable)
		if err != nil {
			return err
		}
		var f fault
		if err := (rest.Client{BaseURL: base}).Get(ctx, "/faults", &f); err != nil {
			return err
		}
		if err := s.showFault(sim.name, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) setFault(ctx context.Context, name string, f fault) error {
	for _, sim := range simulators {
		if sim.name != name {
			continue
		}
		base, err := s.variable(sim.variable)
		if err != nil {
			return err
		}
		if err := (rest.Client{BaseURL: base}).Post(ctx, "/faults", f, &f); err != nil {
			return err
		}
		return s.showFault(name, f)
	}
	return fmt.Errorf("%w: there is no simulator %q", errUsage, name)
}

func (s *session) showFault(name string, f fault) error {
	if s.root.JSON {
		return s.printJSON(map[string]any{"simulator": name, "fault": f})
	}
	return s.printf("%-8s %s\n", name, f.Mode)
}
