// Package service puts mailer together: what cmd/mailer and the one binary start.
package service

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"time"
	_ "time/tzdata" // containers have none

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/mailer/internal/store"
	"github.com/quadrille-io/quadrille/services/mailer/letter"
	"github.com/quadrille-io/quadrille/services/mailer/smtp"
)

// Config is mailer's environment.
type Config struct {
	host.Config
	// SMTPAddr is host:port of the mail server.
	SMTPAddr string `env:"SMTP_ADDR"`
	// SMTPSecurity is none, starttls or tls; "": none for a server on this machine, else starttls. A
	// password needs one of the latter two.
	SMTPSecurity string        `env:"SMTP_SECURITY"`
	SMTPUsername string        `env:"SMTP_USERNAME"`
	SMTPPassword run.Secret    `env:"SMTP_PASSWORD"`
	SMTPTimeout  time.Duration `env:"SMTP_TIMEOUT" envDefault:"8s"`
	// SMTPCAFile holds the certificates, as PEM, of whom to believe who the mail server is; "": the system's.
	SMTPCAFile string `env:"SMTP_CA_FILE"`
	// SMTPConnections is the most that this process has open at once.
	SMTPConnections int `env:"SMTP_CONNECTIONS" envDefault:"8"`
	// WebhookSecrets are what the mail provider signs its word of mails that came back with; two while it changes its
	// secret. Without one it is not listened to.
	WebhookSecrets []string `env:"MAIL_WEBHOOK_SECRET" secret:"true"`
	// MailFrom is the sender: "Shop <shop@example.com>".
	MailFrom string `env:"MAIL_FROM"`
	// ShopURL is where customers see their orders, {ShopURL}/orders/{orderId}; mails have no link without.
	ShopURL string `env:"SHOP_URL"`
	// ShopTimeZone is the one that mails tell the time in: Asia/Seoul.
	ShopTimeZone string `env:"SHOP_TIME_ZONE" envDefault:"UTC"`
}

// longestTimeout: one connection has to end within the 10 s that the engine gives a call.
const longestTimeout = 9 * time.Second

// Validate names what cannot be.
func (c *Config) Validate() error {
	var errs []error
	if _, err := c.sender(); err != nil {
		errs = append(errs, fmt.Errorf("SMTP_ADDR, SMTP_SECURITY, SMTP_USERNAME, SMTP_CA_FILE, SMTP_CONNECTIONS, MAIL_FROM: %w", err))
	}
	if slices.Contains(c.WebhookSecrets, "") {
		errs = append(errs, errors.New("MAIL_WEBHOOK_SECRET: none may be empty"))
	}
	if c.SMTPTimeout <= 0 || c.SMTPTimeout > longestTimeout {
		errs = append(errs, fmt.Errorf("SMTP_TIMEOUT: %s is not within 0 and %s", c.SMTPTimeout, longestTimeout))
	}
	if _, err := c.writer(); err != nil {
		errs = append(errs, fmt.Errorf("SHOP_URL, SHOP_TIME_ZONE: %w", err))
	}
	return errors.Join(errs...)
}

func (c *Config) writer() (*letter.Writer, error) {
	zone, err := time.LoadLocation(c.ShopTimeZone)
	if err != nil {
		return nil, fmt.Errorf("find the shop's time zone: %w", err)
	}
	return letter.New(letter.Config{ShopURL: c.ShopURL, Zone: zone})
}

func (c *Config) sender() (*smtp.Sender, error) {
	name, port, err := net.SplitHostPort(c.SMTPAddr)
	if err != nil {
		return nil, fmt.Errorf("the mail server's address: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, errors.New("the mail server's port is not a number")
	}
	security := smtp.Security(c.SMTPSecurity)
	if ip := net.ParseIP(name); security == "" && (name == "localhost" || ip != nil && ip.IsLoopback()) {
		security = smtp.None // nobody listens in between; smtp's own default is starttls
	}
	trust, err := c.trust()
	if err != nil {
		return nil, err
	}
	if c.SMTPConnections < 1 {
		return nil, errors.New("at least one connection is needed")
	}
	return smtp.New(smtp.Config{
		Host: name, Port: number, Security: security, TLS: trust, From: c.MailFrom,
		Username: c.SMTPUsername, Password: c.SMTPPassword.Reveal(), Timeout: c.SMTPTimeout, Connections: c.SMTPConnections,
	})
}

// trust is nil for the system's certificates.
func (c *Config) trust() (*tls.Config, error) {
	if c.SMTPCAFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(c.SMTPCAFile)
	if err != nil {
		return nil, fmt.Errorf("read the mail server's authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, errors.New("the mail server's authority: there is no certificate in the file")
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	sender, err := cfg.sender()
	if err != nil {
		return err
	}
	defer sender.Close()
	writer, err := cfg.writer()
	if err != nil {
		return err
	}
	c := &courier{sender: sender, writer: writer, log: slog.Default()}
	for _, secret := range cfg.WebhookSecrets {
		c.secrets = append(c.secrets, []byte(secret))
	}
	return host.Run(ctx, cfg.Config, host.Parts[mailer.World]{
		Definition: mailer.Topology,
		Store:      store.Store{},
		Migrate:    store.Migrate,
		Books:      store.Books(),
		Callers:    c.callers(),
		// The row per order and kind recognises a repeated event, and a contact's time a member's.
		NoInbox: true,
		Routes:  c.routes,
		Seed: func(_ context.Context, pool *pgxpool.Pool) error {
			c.pool = pool
			return nil
		},
		Notices: notices,
	})
}
