package up

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// answers makes sure that what the banner names is there: an order's way through the gateway to its
// timeline (an unknown one's is 404), the console, the documentation.
func (p *parts) answers(ctx context.Context) error {
	customer, err := p.system.Client(local.Customer)
	if err != nil {
		return err
	}
	unknown := uuid.Must(uuid.NewV7()).String()
	err = customer.Get(ctx, "/api/v1/orders/"+unknown+"/events", nil)
	var problem *rest.Problem
	if !errors.As(err, &problem) || problem.Status != http.StatusNotFound {
		return fmt.Errorf("the timeline of an unknown order should be 404: %w", err)
	}
	for _, path := range []string{"/openapi.json", "/docs"} {
		res, err := customer.As("").Do(ctx, rest.Request{Method: http.MethodGet, Path: path})
		if err != nil {
			return err
		}
		if res.Status != http.StatusOK {
			return fmt.Errorf("GET %s: %w", path, res.Problem())
		}
	}
	return nil
}

// announce writes dev.env, last of all, and shows where everything is.
func (p *parts) announce(begin time.Time) error {
	lines, console, err := p.variables()
	if err != nil {
		return err
	}
	if err := p.home.write(devEnv, 0o600, strings.Join(lines, "\n")+"\n"); err != nil {
		return err
	}
	s := p.system
	fmt.Fprintf(p.options.Screen, `
quadrille is ready after %.1f s. For trying and developing: one broker and one database, in one process.

  console   %s
  API       %s/api/v1
  docs      %s/docs
  mails     %s
  exported  %s/received
  tokens    source %s

  quadrille order create      places an order and follows it
  quadrille --help            everything else
  Ctrl-C                      stops; %s keeps the data

`, time.Since(begin).Seconds(), console, s.GatewayURL(), s.GatewayURL(), s.Simulators.InboxURL, s.Simulators.DataplatformURL,
		p.home.path(devEnv), p.home.dir)
	return nil
}

// variables are the lines of dev.env.
func (p *parts) variables() (lines []string, console string, err error) {
	bin, err := binFolder()
	if err != nil {
		return nil, "", err
	}
	s := p.system
	customer, err1 := s.Token(local.Customer)
	customer2, err2 := s.Token(local.Customer2)
	operator, err3 := s.Token(local.Operator, web.RoleOperator)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, "", err
	}
	console = s.GatewayURL() + "/console/login?token=" + operator
	set := func(name, value string) {
		lines = append(lines, "export "+name+"='"+strings.ReplaceAll(value, "'", `'\''`)+"'")
	}
	set("PATH", withFolder(bin, os.Getenv("PATH")))
	set("GATEWAY_URL", s.GatewayURL())
	set("CONSOLE_URL", console)
	set("INBOX_URL", s.Simulators.InboxURL)
	set("DATAPLATFORM_URL", s.Simulators.DataplatformURL)
	set("PAYMENT_SIMULATOR_URL", s.Simulators.PaymentURL)
	set("CARRIER_SIMULATOR_URL", s.Simulators.CarrierURL)
	set("CUSTOMER_TOKEN", customer)
	set("CUSTOMER2_TOKEN", customer2)
	set("OPERATOR_TOKEN", operator)
	set("CUSTOMER_EMAIL", local.Member(local.Customer, "", "").GetEmail())
	set("CUSTOMER2_EMAIL", local.Member(local.Customer2, "", "").GetEmail())
	set("CUSTOMER_PASSWORD", local.Password)
	set("KAFKA_BROKERS", strings.Join(p.broker.Addrs(), ","))
	for _, name := range local.Services() {
		set("DATABASE_URL_"+strings.ToUpper(name), p.postgres.URL(name))
	}
	return lines, console, nil
}

// withFolder puts a folder first in a PATH, once.
func withFolder(folder, path string) string {
	kept := []string{folder}
	for _, f := range strings.Split(path, string(os.PathListSeparator)) {
		if f != folder && f != "" {
			kept = append(kept, f)
		}
	}
	return strings.Join(kept, string(os.PathListSeparator))
}
