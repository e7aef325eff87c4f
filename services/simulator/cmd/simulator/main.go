// Command simulator serves the payment provider, the carrier, the inbox and the
// data platform in one process, configured by the environment; `simulator -h`
// lists it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/quadrille-io/quadrille/services/simulator"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
	"github.com/quadrille-io/quadrille/services/simulator/dataplatform"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// config is the environment.
type config struct {
	Dir           string `env:"SIMULATOR_DIR" envDefault:".quadrille/simulator"`
	PaymentAddr   string `env:"PAYMENT_SIMULATOR_ADDR" envDefault:":9101"`
	CarrierAddr   string `env:"CARRIER_SIMULATOR_ADDR" envDefault:":9102"`
	InboxAddr     string `env:"INBOX_ADDR" envDefault:":9103"`
	InboxSMTPAddr string `env:"INBOX_SMTP_ADDR" envDefault:":9125"`

	SlowDelay time.Duration `env:"PAYMENT_SLOW_DELAY" envDefault:"2s"`

	PaymentWebhookURL    string `env:"PAYMENT_WEBHOOK_URL"`
	PaymentWebhookSecret string `env:"PAYMENT_WEBHOOK_SECRET"`

	CarrierDelay  time.Duration `env:"CARRIER_DELAY" envDefault:"10m"`
	WebhookURL    string        `env:"CARRIER_WEBHOOK_URL"`
	WebhookSecret string        `env:"CARRIER_WEBHOOK_SECRET"`

	DataplatformAddr   string `env:"DATAPLATFORM_ADDR" envDefault:":9104"`
	DataplatformSecret string `env:"DATAPLATFORM_SECRET"`
}

const usage = `simulator serves a payment provider, a carrier, a mail inbox and a data platform.

  SIMULATOR_DIR           where they keep their memory   (.quadrille/simulator)
  PAYMENT_SIMULATOR_ADDR  payment provider, HTTP         (:9101)
  CARRIER_SIMULATOR_ADDR  carrier, HTTP                  (:9102)
  INBOX_ADDR              inbox, HTTP                    (:9103)
  INBOX_SMTP_ADDR         inbox, SMTP                    (:9125)
  PAYMENT_SLOW_DELAY      what tok_slow takes            (2s)
  PAYMENT_WEBHOOK_URL     told of transfers paid         (nobody is)
  PAYMENT_WEBHOOK_SECRET  signs that; required with it
  CARRIER_DELAY           until a parcel leaves          (10m)
  CARRIER_WEBHOOK_URL     told of parcels' ways          (nobody is)
  CARRIER_WEBHOOK_SECRET  signs that; required with it
  DATAPLATFORM_ADDR       data platform, HTTP            (:9104)
  DATAPLATFORM_SECRET     signs what it is sent          (nothing is taken)
`

func main() {
	if len(os.Args) > 1 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		slog.Error("simulator ended", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It writes one line per server to out when all are
// ready.
func run(ctx context.Context, out io.Writer) error {
	var cfg config
	if err := env.Parse(&cfg); err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	if cfg.WebhookURL != "" && cfg.WebhookSecret == "" {
		return errors.New("CARRIER_WEBHOOK_URL needs CARRIER_WEBHOOK_SECRET")
	}
	if cfg.PaymentWebhookURL != "" && cfg.PaymentWebhookSecret == "" {
		return errors.New("PAYMENT_WEBHOOK_URL needs PAYMENT_WEBHOOK_SECRET")
	}
	s, err := simulator.Start(ctx, simulator.Config{
		Dir:         cfg.Dir,
		PaymentAddr: cfg.PaymentAddr, CarrierAddr: cfg.CarrierAddr,
		InboxAddr: cfg.InboxAddr, InboxSMTPAddr: cfg.InboxSMTPAddr, DataplatformAddr: cfg.DataplatformAddr,
		Payment: payment.Config{SlowDelay: cfg.SlowDelay, WebhookURL: cfg.PaymentWebhookURL, WebhookSecret: cfg.PaymentWebhookSecret},
		Carrier: carrier.Config{DispatchDelay: cfg.CarrierDelay, WebhookURL: cfg.WebhookURL, WebhookSecret: cfg.WebhookSecret},
		Inbox:   inbox.Config{},

		Dataplatform: dataplatform.Config{Secret: cfg.DataplatformSecret},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "payment %s\ncarrier %s\ninbox %s\nsmtp %s\ndataplatform %s\n",
		s.PaymentURL, s.CarrierURL, s.InboxURL, s.SMTPAddr, s.DataplatformURL)
	select {
	case <-ctx.Done():
		return s.Close()
	case err := <-s.Failed():
		return errors.Join(err, s.Close())
	}
}
