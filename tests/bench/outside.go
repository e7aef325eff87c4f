package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/quadrille-io/quadrille/services/simulator"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
	"github.com/quadrille-io/quadrille/services/simulator/dataplatform"
)

// Outside is the world that the services call: the card provider, the carrier, the mail server and the data platform. It runs in a
// process of its own, as it does for everybody else: what it costs is not the services'.
type Outside struct {
	PaymentURL string `json:"payment_url"`
	CarrierURL string `json:"carrier_url"`
	SMTPAddr   string `json:"smtp_addr"`
	// DataplatformURL takes what is exported under /facts.
	DataplatformURL string `json:"dataplatform_url"`
	Pid             int    `json:"pid"`
}

// exportSecret signs what is exported.
const exportSecret = "whsec_YmVuY2hiZW5jaGJlbmNoYmVuY2hiZW5jaGJlbmNo"

// Simulating is what the process of the outside world is told.
type Simulating struct {
	// Dir keeps its memory.
	Dir string `json:"dir"`
}

// Simulate runs the outside world until ctx ends, and tells out where it is.
func Simulate(ctx context.Context, cfg Simulating, out io.Writer) error {
	s, err := simulator.Start(ctx, simulator.Config{
		Dir: cfg.Dir,
		// No parcel leaves by itself: those of the first measurement would begin to ten minutes later, each with a
		// webhook and three events, in the midst of another one.
		Carrier:      carrier.Config{DispatchDelay: -1},
		Dataplatform: dataplatform.Config{Secret: exportSecret},
	})
	if err != nil {
		return err
	}
	where := Outside{PaymentURL: s.PaymentURL, CarrierURL: s.CarrierURL, SMTPAddr: s.SMTPAddr, DataplatformURL: s.DataplatformURL, Pid: os.Getpid()}
	if err := json.NewEncoder(out).Encode(where); err != nil {
		return errors.Join(err, s.Close())
	}
	select {
	case <-ctx.Done():
		return s.Close()
	case err := <-s.Failed():
		return errors.Join(err, s.Close())
	}
}

// environment tells the services where the outside world is: what every one of them is told, and what each.
func (o Outside) environment() (all map[string]string, each map[string]map[string]string) {
	return map[string]string{"OPERATORS_SMTP": o.SMTPAddr}, map[string]map[string]string{
		"payment":  {"PAYMENT_SIMULATOR_URL": o.PaymentURL},
		"shipping": {"CARRIER_URL": o.CarrierURL},
		"mailer":   {"SMTP_ADDR": o.SMTPAddr},
		// As it is sent in production; the other figure is for those who try it out.
		"dataplatform": {"DATAPLATFORM_URL": o.DataplatformURL + "/facts", "DATAPLATFORM_SECRET": exportSecret, "DATAPLATFORM_BATCH_AGE": "5s"},
	}
}
