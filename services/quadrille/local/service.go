package local

import (
	"context"
	"fmt"
	"net"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	coupon "github.com/quadrille-io/quadrille/services/coupon/service"
	dataplatform "github.com/quadrille-io/quadrille/services/dataplatform/service"
	gateway "github.com/quadrille-io/quadrille/services/gateway/service"
	mailer "github.com/quadrille-io/quadrille/services/mailer/service"
	member "github.com/quadrille-io/quadrille/services/member/service"
	order "github.com/quadrille-io/quadrille/services/order/service"
	payment "github.com/quadrille-io/quadrille/services/payment/service"
	shipping "github.com/quadrille-io/quadrille/services/shipping/service"
	stock "github.com/quadrille-io/quadrille/services/stock/service"
	webhook "github.com/quadrille-io/quadrille/services/webhook/service"
)

// launcher runs one service until its context ends: the environment becomes its configuration, and
// adjust sets what no environment can say.
type launcher func(ctx context.Context, environ map[string]string, adjust func(*host.Config)) error

// services lists every service of the system, the way a request goes. Adding one is a line here and its
// environment below.
var services = []struct {
	name   string
	launch launcher
}{
	{"gateway", launch(func(c *gateway.Config) *host.Config { return &c.Config }, gateway.Run)},
	{"order", launch(func(c *order.Config) *host.Config { return &c.Config }, order.Run)},
	{"stock", launch(func(c *stock.Config) *host.Config { return &c.Config }, stock.Run)},
	{"coupon", launch(func(c *coupon.Config) *host.Config { return &c.Config }, coupon.Run)},
	{"payment", launch(func(c *payment.Config) *host.Config { return &c.Config }, payment.Run)},
	{"shipping", launch(func(c *shipping.Config) *host.Config { return &c.Config }, shipping.Run)},
	{"mailer", launch(func(c *mailer.Config) *host.Config { return &c.Config }, mailer.Run)},
	{"dataplatform", launch(func(c *dataplatform.Config) *host.Config { return &c.Config }, dataplatform.Run)},
	{"webhook", launch(func(c *webhook.Config) *host.Config { return &c.Config }, webhook.Run)},
	{"member", launch(func(c *member.Config) *host.Config { return &c.Config }, member.Run)},
}

// Services names every service, each of which has a database.
func Services() []string {
	names := make([]string, 0, len(services))
	for _, s := range services {
		names = append(names, s.name)
	}
	return names
}

// launch turns a service's Config and Run into a launcher. Every service has its own type of
// configuration with the common one inside; common finds it.
func launch[C any](common func(*C) *host.Config, serve func(context.Context, C) error) launcher {
	return func(ctx context.Context, environ map[string]string, adjust func(*host.Config)) error {
		var cfg C
		if err := run.LoadFrom(environ, &cfg); err != nil {
			return err
		}
		adjust(common(&cfg))
		return serve(ctx, cfg)
	}
}

// place is where a service listens. The ports are taken before anything starts, as the services have to
// be told each other's, and stay the same when one is started again.
type place struct {
	http, admin         net.Listener
	httpAddr, adminAddr string
}

// open takes the ports; those it had before, if it had any. The addresses are written once, as others
// read them while a service is started again.
func (p *place) open(ctx context.Context) (err error) {
	if p.http == nil {
		if p.http, err = run.Listen(ctx, or(p.httpAddr, "127.0.0.1:0")); err != nil {
			return err
		}
	}
	if p.admin, err = run.Listen(ctx, or(p.adminAddr, "127.0.0.1:0")); err != nil {
		p.close()
		return err
	}
	if p.httpAddr == "" {
		p.httpAddr, p.adminAddr = p.http.Addr().String(), p.admin.Addr().String()
	}
	return nil
}

// close lets the ports go. A service that ran has closed them already, so errors say nothing.
func (p *place) close() {
	for _, l := range []*net.Listener{&p.http, &p.admin} {
		if *l != nil {
			_ = (*l).Close()
			*l = nil
		}
	}
}

func (p *place) url() string { return fmt.Sprintf("http://%s", p.httpAddr) }

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
