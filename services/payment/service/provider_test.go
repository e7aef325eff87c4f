package service_test

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/outage"
	simulator "github.com/quadrille-io/quadrille/services/simulator/payment"
)

// provider is a payment simulator that can be killed and started again on its port, with its memory.
type provider struct {
	t      *testing.T
	dir    string
	addr   string
	server *simulator.Server
	http   *http.Server
}

func openProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{t: t, dir: t.TempDir()}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *provider) url() string { return "http://" + p.addr }

func (p *provider) start() {
	p.t.Helper()
	var err error
	// tok_slow takes longer than any test: it is there to be overtaken.
	if p.server, err = simulator.New(simulator.Config{Dir: p.dir, SlowDelay: time.Hour}); err != nil {
		p.t.Fatal(err)
	}
	l := listen(p.t, p.addr)
	p.addr = l.Addr().String()
	p.http = &http.Server{Handler: p.server.Handler(), ReadHeaderTimeout: time.Second}
	go func(s *http.Server, l net.Listener) {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.t.Errorf("payment simulator: %v", err)
		}
	}(p.http, l)
}

// kill ends the provider: connections are cut and its port refuses.
func (p *provider) kill() {
	if p.http == nil {
		return
	}
	if err := errors.Join(p.server.Close(), p.http.Close()); err != nil {
		p.t.Errorf("stop the payment simulator: %v", err)
	}
	p.http = nil
}

func (p *provider) fault(f outage.Fault) {
	p.t.Helper()
	if err := p.server.Faults().Set(f); err != nil {
		p.t.Fatal(err)
	}
}

// money is what the provider has charged and refunded for an order, in how many charges.
func (p *provider) money(order string) (charged, refunded int64, charges int) {
	p.t.Helper()
	sum, err := p.server.Summary(order)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, r := range sum.References {
		charged, refunded, charges = charged+r.Charged, refunded+r.Refunded, charges+r.Charges
	}
	return charged, refunded, charges
}
