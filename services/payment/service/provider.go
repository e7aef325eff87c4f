package service

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/payment/provider"
	"github.com/quadrille-io/quadrille/services/payment/provider/simulator"
	"github.com/quadrille-io/quadrille/services/payment/provider/stripe"
	"github.com/quadrille-io/quadrille/services/payment/provider/toss"
)

// ProviderConfig says who takes the money, and with what they are spoken to. A secret key is given itself or as
// the name of a file that holds it.
type ProviderConfig struct {
	// Provider of payments: simulator, stripe or toss.
	Provider string `env:"PAYMENT_PROVIDER" envDefault:"simulator"`
	// ProviderTimeout of one request. A call may ask and then charge, and both must fit into the time the
	// engine gives a call.
	ProviderTimeout time.Duration `env:"PAYMENT_TIMEOUT" envDefault:"4s"`
	// WebhookSecrets that webhooks of the simulator or of Stripe are signed with, two while one is changed;
	// without one, no webhook is taken. Toss signs none.
	WebhookSecrets []string `env:"PAYMENT_WEBHOOK_SECRET" secret:"true"`

	// SimulatorURL is where the payment simulator listens.
	SimulatorURL string `env:"PAYMENT_SIMULATOR_URL"`

	StripeKey     run.Secret `env:"STRIPE_SECRET_KEY"`
	StripeKeyFile string     `env:"STRIPE_SECRET_KEY_FILE"`
	// StripeURL is Stripe's own unless it is set.
	StripeURL string `env:"STRIPE_URL"`

	TossKey     run.Secret `env:"TOSS_SECRET_KEY"`
	TossKeyFile string     `env:"TOSS_SECRET_KEY_FILE"`
	// TossURL is Toss's own unless it is set.
	TossURL string `env:"TOSS_URL"`
	// TossBank opens the virtual accounts of transfers, in the name of TossHolder.
	TossBank   string `env:"TOSS_BANK" envDefault:"20"`
	TossHolder string `env:"TOSS_HOLDER" envDefault:"Quadrille"`
}

// longestTimeout: two requests within the engine's 10 s.
const longestTimeout = 4500 * time.Millisecond

// simulatorToken is the simulator's default payment method; the others have none.
const simulatorToken = "tok_ok"

func (c *ProviderConfig) validate() error {
	var errs []error
	secret := func(name string, value run.Secret, file string) {
		if (value == "") == (file == "") {
			errs = append(errs, fmt.Errorf("%s or %s_FILE: one of the two is required with PAYMENT_PROVIDER=%s", name, name, c.Provider))
		}
	}
	switch c.Provider {
	case simulator.Name:
		if c.SimulatorURL == "" {
			errs = append(errs, errors.New("PAYMENT_SIMULATOR_URL: required with PAYMENT_PROVIDER=simulator"))
		}
	case stripe.Name:
		secret("STRIPE_SECRET_KEY", c.StripeKey, c.StripeKeyFile)
	case toss.Name:
		secret("TOSS_SECRET_KEY", c.TossKey, c.TossKeyFile)
	default:
		errs = append(errs, fmt.Errorf("PAYMENT_PROVIDER: %q is not known; known are simulator, stripe and toss", c.Provider))
	}
	if slices.Contains(c.WebhookSecrets, "") {
		errs = append(errs, errors.New("PAYMENT_WEBHOOK_SECRET: none may be empty"))
	}
	if c.ProviderTimeout <= 0 || c.ProviderTimeout > longestTimeout {
		errs = append(errs, fmt.Errorf("PAYMENT_TIMEOUT: %s is not within 0 and %s", c.ProviderTimeout, longestTimeout))
	}
	return errors.Join(errs...)
}

// open makes the provider's adapter, and says which payment method stands for a member's default one.
func (c *ProviderConfig) open() (from provider.Provider, token string, err error) {
	switch c.Provider {
	case stripe.Name:
		key, err := reveal(c.StripeKey, c.StripeKeyFile)
		if err != nil {
			return nil, "", err
		}
		from, err = stripe.New(stripe.Config{SecretKey: key, WebhookSecrets: c.WebhookSecrets, Timeout: c.ProviderTimeout, URL: c.StripeURL})
		return from, "", err
	case toss.Name:
		key, err := reveal(c.TossKey, c.TossKeyFile)
		if err != nil {
			return nil, "", err
		}
		from, err = toss.New(toss.Config{
			Remote: remote.Config{BaseURL: c.TossURL, Timeout: c.ProviderTimeout}, SecretKey: key, Bank: c.TossBank, Holder: c.TossHolder,
		})
		return from, "", err
	}
	from, err = simulator.New(remote.Config{BaseURL: c.SimulatorURL, Timeout: c.ProviderTimeout}, c.WebhookSecrets...)
	return from, simulatorToken, err
}

// reveal reads a secret that is in a file.
func reveal(value run.Secret, file string) (string, error) {
	if file == "" {
		return value.Reveal(), nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the provider's secret key: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}
