package service_test

import (
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
	simulator "github.com/quadrille-io/quadrille/services/simulator/payment"
)

// provider is a payment simulator that can be killed and started again on its port, with its memory.
type provider struct {
	http      rig.Server
	t         *testing.T
	dir       string
	webhooks  string
	cards     bool
	simulator *simulator.Server
}

// openProvider runs a provider that tells of deposits, and with cards of charges too.
func openProvider(t *testing.T, webhooks string, cards bool) *provider {
	t.Helper()
	p := &provider{t: t, dir: t.TempDir(), webhooks: webhooks, cards: cards}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *provider) url() string { return p.http.URL() }

func (p *provider) start() {
	p.t.Helper()
	var err error
	// tok_slow takes longer than any test: it is there to be overtaken.
	if p.simulator, err = simulator.New(simulator.Config{
		Dir: p.dir, SlowDelay: time.Hour, WebhookURL: p.webhooks, WebhookSecret: secret, WebhookCards: p.cards,
		RetryMin: 10 * time.Millisecond, RetryMax: 200 * time.Millisecond,
	}); err != nil {
		p.t.Fatal(err)
	}
	p.http.Start(p.t, p.simulator.Handler())
}

// kill ends the provider: connections are cut and its port refuses.
func (p *provider) kill() {
	if !p.http.Kill(p.t) {
		return
	}
	if err := p.simulator.Close(); err != nil {
		p.t.Errorf("stop the payment simulator: %v", err)
	}
}

func (p *provider) fault(f outage.Fault) {
	p.t.Helper()
	if err := p.simulator.Faults().Set(f); err != nil {
		p.t.Fatal(err)
	}
}

// money is what the provider has charged and refunded for an order, in how many charges.
func (p *provider) money(order string) (charged, refunded int64, charges int) {
	p.t.Helper()
	sum, err := p.simulator.Summary(order)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, r := range sum.References {
		charged, refunded, charges = charged+r.Charged, refunded+r.Refunded, charges+r.Charges
	}
	return charged, refunded, charges
}
