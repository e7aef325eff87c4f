// Package service runs the gateway: it passes requests on to the services that own them, and answers what only the
// one who sees every event can: timelines, previews of several services, the operators' pages.
package service

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
)

// Config is what the environment tells the gateway: where the services answer, as base URLs.
type Config struct {
	host.Config

	OrderURL    string `env:"ORDER_URL,required"`
	StockURL    string `env:"STOCK_URL,required"`
	CouponURL   string `env:"COUPON_URL,required"`
	PaymentURL  string `env:"PAYMENT_URL,required"`
	ShippingURL string `env:"SHIPPING_URL,required"`
	MailerURL   string `env:"MAILER_URL,required"`
	// DataplatformURL is the export's; not every shop has one.
	DataplatformURL string `env:"DATAPLATFORM_URL"`
	// WebhookURL is the outgoing webhooks'; not every shop has them.
	WebhookURL string `env:"WEBHOOK_URL"`
	MemberURL  string `env:"MEMBER_URL,required"`

	// ConformanceGrace is how long an event may wait for its cause, and for those before it, until that is a finding.
	ConformanceGrace time.Duration `env:"CONFORMANCE_GRACE" envDefault:"2m"`

	Reconcile ReconcileConfig
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	s, err := newServer(cfg)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return host.Run(ctx, cfg.Config, host.Parts[gateway.World]{
		Definition: gateway.Topology,
		Store:      store.Store{Rules: gatewayRules(cfg.ConformanceGrace)},
		Migrate:    store.Migrate,
		Books:      store.Books(),
		NoInbox:    true,
		Routes:     s.routes,
		Due:        store.Overdue,
		Notices:    allNotices,
		Components: []run.Component{
			{Name: "watcher", Run: s.watch.run},
			{Name: "conformance", Run: newAuditor(s).run},
			{Name: "reconciler", Run: newReconciler(s).run},
		},
	})
}

// server is what the handlers share.
type server struct {
	cfg       Config
	transport *http.Transport
	// services by name; gateway itself is added once its edge stands.
	services map[string]*upstream.Service
	watch    *watcher
	host     *host.Host[gateway.World]
}

func newServer(cfg Config) (*server, error) {
	s := &server{cfg: cfg, transport: web.NewTransport(), services: map[string]*upstream.Service{}, watch: newWatcher()}
	for name, base := range s.bases() {
		if base == "" {
			continue
		}
		service, err := upstream.New(name, base, s.transport)
		if err != nil {
			return nil, err
		}
		s.services[name] = service
	}
	return s, nil
}

func (s *server) bases() map[string]string {
	return map[string]string{
		"order": s.cfg.OrderURL, "stock": s.cfg.StockURL, "coupon": s.cfg.CouponURL,
		"payment": s.cfg.PaymentURL, "shipping": s.cfg.ShippingURL, "mailer": s.cfg.MailerURL,
		"dataplatform": s.cfg.DataplatformURL,
		"webhook":      s.cfg.WebhookURL,
		"member":       s.cfg.MemberURL,
	}
}
