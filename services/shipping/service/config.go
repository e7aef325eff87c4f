package service

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
	"github.com/quadrille-io/quadrille/services/shipping/carrier/tracker"
)

// Config is shipping's environment. A secret may come in a variable, or in a file that a variable with _FILE at its end
// names.
type Config struct {
	host.Config
	// Carrier of parcels: simulator.
	Carrier string `env:"CARRIER" envDefault:"simulator"`
	// CarrierURL is where it listens.
	CarrierURL string `env:"CARRIER_URL"`
	// WebhookSecrets are accepted; two while the carrier changes its secret. In the file there is one on each line.
	WebhookSecrets    []string   `env:"CARRIER_WEBHOOK_SECRET" secret:"true"`
	WebhookSecretFile run.Secret `env:"CARRIER_WEBHOOK_SECRET_FILE,file"`
	// CarrierTimeout of one request. A call may ask and then book, and both must fit into the time the
	// engine gives a call.
	CarrierTimeout time.Duration `env:"CARRIER_TIMEOUT" envDefault:"4s"`
	// AddressTries is how often an address that is not there is looked for, half a minute with 8: an order may come before
	// its member's address, as when this service reads up after a pause.
	AddressTries int `env:"ADDRESS_TRIES" envDefault:"8"`
	// Tracking says who tells how parcels stand, and how often that is asked.
	Tracking Tracking
}

// longestTimeout: two requests within the engine's 10 s.
const longestTimeout = 4500 * time.Millisecond

// Validate names what cannot be.
func (c *Config) Validate() error {
	var errs []error
	if c.Carrier != "simulator" {
		errs = append(errs, fmt.Errorf("CARRIER: %q is not known; known is simulator", c.Carrier))
	}
	if c.CarrierURL == "" {
		errs = append(errs, errors.New("CARRIER_URL: required"))
	}
	if secrets := c.webhookSecrets(); len(secrets) == 0 || slices.Contains(secrets, "") {
		errs = append(errs, errors.New("CARRIER_WEBHOOK_SECRET: required, and none may be empty"))
	}
	if len(c.WebhookSecrets) > 0 && c.WebhookSecretFile != "" {
		errs = append(errs, errors.New("CARRIER_WEBHOOK_SECRET: CARRIER_WEBHOOK_SECRET_FILE is set as well"))
	}
	if c.CarrierTimeout <= 0 || c.CarrierTimeout > longestTimeout {
		errs = append(errs, fmt.Errorf("CARRIER_TIMEOUT: %s is not within 0 and %s", c.CarrierTimeout, longestTimeout))
	}
	if c.AddressTries < 1 {
		errs = append(errs, errors.New("ADDRESS_TRIES: at least 1"))
	}
	return errors.Join(errs...)
}

func (c *Config) webhookSecrets() []string {
	if len(c.WebhookSecrets) > 0 {
		return c.WebhookSecrets
	}
	return lines(c.WebhookSecretFile)
}

// lines of a file of secrets, without the line break that an editor leaves at the end.
func lines(content run.Secret) []string {
	text := strings.TrimRight(content.Reveal(), "\r\n")
	if text == "" {
		return nil
	}
	return strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
}

// The values of TRACKING.
const (
	byCarrier = "carrier"
	byTracker = "tracker"
)

// Tracking is how parcels are followed on their way.
type Tracking struct {
	// By is who is asked: the carrier that they were booked with, or a tracking aggregator (see package tracker).
	By string `env:"TRACKING" envDefault:"carrier"`
	// Interval is how long after the last news of a parcel it is asked about; the pauses double from there to IntervalMax.
	Interval    time.Duration `env:"TRACKING_INTERVAL" envDefault:"10m"`
	IntervalMax time.Duration `env:"TRACKING_INTERVAL_MAX" envDefault:"2h"`
	// Silence is how long nothing new of a parcel is usual; after it the operators hear.
	Silence time.Duration `env:"TRACKING_SILENCE" envDefault:"168h"`
	// Workers is how many parcels are asked about at once.
	Workers int `env:"TRACKING_WORKERS" envDefault:"4"`

	// URL and TokenURL are the aggregator's.
	URL      string `env:"TRACKER_URL" envDefault:"https://apis.tracker.delivery"`
	TokenURL string `env:"TRACKER_TOKEN_URL" envDefault:"https://auth.tracker.delivery/oauth2/token"`
	// ClientID and ClientSecret are the shop's there.
	ClientID         string     `env:"TRACKER_CLIENT_ID"`
	ClientSecret     run.Secret `env:"TRACKER_CLIENT_SECRET"`
	ClientSecretFile run.Secret `env:"TRACKER_CLIENT_SECRET_FILE,file"`
	// CarrierID is the aggregator's id of the carrier: kr.cjlogistics.
	CarrierID string `env:"TRACKER_CARRIER_ID"`
	// Timeout of one question: the aggregator may ask the carrier first.
	Timeout time.Duration `env:"TRACKER_TIMEOUT" envDefault:"15s"`
	// CallbackURL is the public URL of /webhooks/shipping/tracker; without it, parcels are only asked about.
	CallbackURL string `env:"TRACKER_CALLBACK_URL"`
	// CallbackSecrets sign the URLs that callbacks are sent to: the first one signs, all are accepted.
	CallbackSecrets    []string   `env:"TRACKER_CALLBACK_SECRET" secret:"true"`
	CallbackSecretFile run.Secret `env:"TRACKER_CALLBACK_SECRET_FILE,file"`
}

// Validate names what cannot be. What makes up a client of the aggregator is checked by making one.
func (t *Tracking) Validate() error {
	var errs []error
	if t.By != byCarrier && t.By != byTracker {
		errs = append(errs, fmt.Errorf("TRACKING: %q is neither carrier nor tracker", t.By))
	}
	if t.Interval <= 0 || t.IntervalMax < t.Interval {
		errs = append(errs, fmt.Errorf("TRACKING_INTERVAL: %s is not within 0 and TRACKING_INTERVAL_MAX, %s", t.Interval, t.IntervalMax))
	}
	if t.Silence <= 0 {
		errs = append(errs, fmt.Errorf("TRACKING_SILENCE: %s", t.Silence))
	}
	if t.Workers < 1 || t.Workers > 100 {
		errs = append(errs, fmt.Errorf("TRACKING_WORKERS: %d is not within 1 and 100", t.Workers))
	}
	if t.ClientSecret != "" && t.ClientSecretFile != "" {
		errs = append(errs, errors.New("TRACKER_CLIENT_SECRET: TRACKER_CLIENT_SECRET_FILE is set as well"))
	}
	if len(t.CallbackSecrets) > 0 && t.CallbackSecretFile != "" {
		errs = append(errs, errors.New("TRACKER_CALLBACK_SECRET: TRACKER_CALLBACK_SECRET_FILE is set as well"))
	}
	if t.By == byTracker && t.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("TRACKER_TIMEOUT: %s", t.Timeout))
	}
	if len(errs) == 0 && t.By == byTracker {
		_, err := t.follower(nil)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// follower follows the parcels; booked is the carrier that has them.
func (t *Tracking) follower(booked carrier.Tracker) (*follower, error) {
	f := &follower{tracker: booked, least: t.Interval, most: t.IntervalMax, workers: t.Workers, wake: make(chan struct{}, 1)}
	if t.By != byTracker {
		return f, nil
	}
	secret := t.ClientSecret.Reveal()
	if fromFile := lines(t.ClientSecretFile); len(fromFile) > 0 {
		secret = fromFile[0]
	}
	client, err := tracker.New(tracker.Config{
		Remote: remote.Config{BaseURL: t.URL, Timeout: t.Timeout}, TokenURL: t.TokenURL,
		ClientID: t.ClientID, ClientSecret: secret, CarrierID: t.CarrierID,
	})
	if err != nil {
		return nil, fmt.Errorf("TRACKER_CLIENT_ID, TRACKER_CLIENT_SECRET, TRACKER_CARRIER_ID, TRACKER_URL: %w", err)
	}
	f.tracker, f.watcher = client, client
	if t.CallbackURL == "" {
		return f, nil
	}
	secrets := t.CallbackSecrets
	if len(secrets) == 0 {
		secrets = lines(t.CallbackSecretFile)
	}
	if f.callbacks, err = tracker.NewCallbacks(t.CallbackURL, secrets, t.CarrierID); err != nil {
		return nil, fmt.Errorf("TRACKER_CALLBACK_URL, TRACKER_CALLBACK_SECRET: %w", err)
	}
	return f, nil
}
