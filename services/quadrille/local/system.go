package local

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/simulator"
)

// The names the local issuer signs as, and for whom.
const (
	tokenIssuer   = "quadrille-local"
	tokenAudience = "quadrille"
)

// System is everything, running. Its methods may be called from many goroutines.
type System struct {
	// Simulators are the payment provider, the carrier, the mail inbox and the data platform.
	Simulators *simulator.Simulators

	cfg           Config
	log           *slog.Logger
	issuer        *web.Issuer
	carrierSecret string
	paymentSecret string
	// dataplatformSecret signs what is sent to the data platform.
	dataplatformSecret string
	units              map[string]*unit
	// started is closed once everything was ready for the first time: from then on a service that
	// fails is started again, before that Start fails.
	started chan struct{}
	failed  chan error
	once    sync.Once
	err     error
}

// Start starts everything and returns when every service says that it is ready. ctx bounds the start
// only. On an error nothing is left running.
func Start(ctx context.Context, cfg Config) (*System, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("start the system: %w", err)
	}
	s := &System{
		cfg: cfg.withDefaults(), units: map[string]*unit{}, carrierSecret: rand.Text(), paymentSecret: rand.Text(),
		dataplatformSecret: "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()+rand.Text())),
		started:            make(chan struct{}), failed: make(chan error, len(services)),
	}
	s.log = slog.New(slog.NewTextHandler(s.cfg.Log, nil)).With("service", "quadrille")
	if err := s.start(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("start the system: %w", err), s.Stop(stop))
	}
	return s, nil
}

func (s *System) start(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	for _, service := range services {
		u := &unit{name: service.name, launch: service.launch}
		if service.name == "gateway" {
			u.place.http = s.cfg.Gateway
		}
		if err := u.place.open(ctx); err != nil {
			return err
		}
		s.units[service.name] = u
	}
	if err := s.startSimulators(ctx); err != nil {
		return err
	}
	for _, u := range s.units {
		s.launch(u)
	}
	if err := s.awaitReady(ctx, Services()); err != nil {
		return err
	}
	token, err := s.Token(Operator, web.RoleOperator)
	if err != nil {
		return err
	}
	if err := AwaitMembers(ctx, s.URL, token); err != nil {
		return err
	}
	close(s.started)
	return nil
}

// prepare makes the files that services are told of.
func (s *System) prepare() (err error) {
	if err := os.MkdirAll(s.cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	s.issuer, err = web.LoadOrCreateIssuer(s.tokenKeyFile(), tokenIssuer, tokenAudience)
	if err != nil {
		return err
	}
	if err := s.writeReconcilerToken(); err != nil {
		return err
	}
	return writeMembers(s.membersFile(), s.cfg.Members)
}

func (s *System) tokenKeyFile() string { return filepath.Join(s.cfg.Dir, "token.key") }

func (s *System) reconcilerTokenFile() string { return filepath.Join(s.cfg.Dir, "reconciler.token") }

// writeReconcilerToken gives the gateway a token to read the services' books with.
func (s *System) writeReconcilerToken() error {
	token, err := s.Token("reconciler", web.RoleOperator)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.reconcilerTokenFile(), []byte(token), 0o600); err != nil {
		return fmt.Errorf("write the reconciler's token: %w", err)
	}
	return nil
}

func (s *System) membersFile() string { return filepath.Join(s.cfg.Dir, "members.json") }

func (s *System) startSimulators(ctx context.Context) (err error) {
	cfg := s.cfg.Simulators
	cfg.Dir = filepath.Join(s.cfg.Dir, "simulator")
	cfg.Carrier.WebhookURL = s.GatewayURL() + "/webhooks/shipping/simulator"
	cfg.Carrier.WebhookSecret = s.carrierSecret
	cfg.Payment.WebhookURL = s.GatewayURL() + "/webhooks/payments/simulator"
	cfg.Payment.WebhookSecret = s.paymentSecret
	cfg.Dataplatform.Secret = s.dataplatformSecret
	if cfg.Inbox.Previews, err = previews(); err != nil {
		return err
	}
	s.Simulators, err = simulator.Start(ctx, cfg)
	return err
}

// URL is where a service's API is; GatewayURL is the one for customers.
func (s *System) URL(service string) string { return s.units[service].place.url() }

// GatewayURL is where the public API, the console and the documentation are.
func (s *System) GatewayURL() string { return s.URL("gateway") }

// AdminURL is where a service answers /livez, /readyz and /metrics.
func (s *System) AdminURL(service string) string { return "http://" + s.units[service].place.adminAddr }

// Token signs a token for the subject that is valid for 30 days.
func (s *System) Token(subject string, roles ...string) (string, error) {
	return s.issuer.Token(subject, roles, 30*24*time.Hour)
}

// Stop stops everything in order: first the gateway, so that no new requests come, then the services
// side by side, each finishing what it has taken, then the simulators they call.
func (s *System) Stop(ctx context.Context) error {
	s.once.Do(func() {
		var errs []error
		if u := s.units["gateway"]; u != nil {
			errs = append(errs, u.stop(ctx))
		}
		var wg sync.WaitGroup
		results := make(chan error, len(s.units))
		for _, u := range s.units {
			wg.Go(func() { results <- u.stop(ctx) })
		}
		wg.Wait()
		close(results)
		for err := range results {
			errs = append(errs, err)
		}
		if s.Simulators != nil {
			errs = append(errs, s.Simulators.Close())
		}
		s.err = errors.Join(errs...)
	})
	return s.err
}
