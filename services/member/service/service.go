// Package service puts member together: what cmd/member and the one binary start.
package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/member"
	"github.com/quadrille-io/quadrille/services/member/internal/password"
	"github.com/quadrille-io/quadrille/services/member/internal/store"
)

// Config is member's environment.
type Config struct {
	host.Config

	// SessionKeyFile holds the Ed25519 key that sessions are signed with (PKCS #8, PEM, for the owner's eyes only; made
	// where there is none, so replicas must share it). Empty: members sign in at an identity provider, and this service
	// takes neither passwords nor registrations; a member's first profile makes the member.
	SessionKeyFile string `env:"SESSION_KEY_FILE"`
	// SessionIssuer and SessionAudience must be among those that the services believe.
	SessionIssuer   string        `env:"SESSION_ISSUER"`
	SessionAudience string        `env:"SESSION_AUDIENCE"`
	SessionTTL      time.Duration `env:"SESSION_TTL" envDefault:"1h"`

	// LoginTries with a wrong password that an e-mail address, and a client's address, has within LoginWindow. They are
	// counted by each replica.
	LoginTries        int           `env:"LOGIN_TRIES" envDefault:"10"`
	LoginTriesAddress int           `env:"LOGIN_TRIES_PER_ADDRESS" envDefault:"100"`
	LoginWindow       time.Duration `env:"LOGIN_WINDOW" envDefault:"15m"`
	// HashSlots is how many passwords are hashed at once, in 19 MiB each; HashPatience how long one waits for a slot.
	HashSlots    int           `env:"HASH_SLOTS" envDefault:"4"`
	HashPatience time.Duration `env:"HASH_PATIENCE" envDefault:"3s"`

	// MaxAddresses of one address book.
	MaxAddresses int `env:"MAX_ADDRESSES" envDefault:"20"`
	// DefaultLanguage of members who name none, BCP 47.
	DefaultLanguage string `env:"DEFAULT_LANGUAGE" envDefault:"en"`

	// MembersFile holds members to begin with; see package seed. Their password is SeedPassword; empty: none.
	MembersFile  string     `env:"MEMBERS_FILE"`
	SeedPassword run.Secret `env:"SEED_PASSWORD"`
}

// Validate names what cannot be.
func (c *Config) Validate() error {
	var errs []error
	if c.SessionKeyFile != "" {
		if !slices.Contains(c.Auth.Issuers, c.SessionIssuer) {
			errs = append(errs, errors.New("SESSION_ISSUER: not one of JWT_ISSUERS, so no service would believe a session"))
		}
		if !slices.Contains(c.Auth.Audiences, c.SessionAudience) {
			errs = append(errs, errors.New("SESSION_AUDIENCE: not one of JWT_AUDIENCES, so no service would believe a session"))
		}
	}
	if c.SessionTTL < time.Second || c.LoginWindow < time.Second || c.HashPatience <= 0 {
		errs = append(errs, errors.New("SESSION_TTL, LOGIN_WINDOW: at least 1s; HASH_PATIENCE: above 0"))
	}
	if c.LoginTries < 1 || c.LoginTriesAddress < 1 || c.HashSlots < 1 || c.MaxAddresses < 1 {
		errs = append(errs, errors.New("LOGIN_TRIES, LOGIN_TRIES_PER_ADDRESS, HASH_SLOTS, MAX_ADDRESSES: at least 1"))
	}
	if !isLanguage(c.DefaultLanguage) {
		errs = append(errs, fmt.Errorf("DEFAULT_LANGUAGE: %q is not a BCP 47 tag such as ko or en", c.DefaultLanguage))
	}
	return errors.Join(errs...)
}

// Run works until ctx ends or something fails.
func Run(ctx context.Context, cfg Config) error {
	e := &edge{
		cfg: cfg, hasher: password.NewHasher(cfg.HashSlots, cfg.HashPatience),
		byEmail:   newGuesses(cfg.LoginTries, cfg.LoginWindow),
		byAddress: newGuesses(cfg.LoginTriesAddress, cfg.LoginWindow),
	}
	if cfg.SessionKeyFile != "" {
		var err error
		if e.issuer, err = web.LoadOrCreateIssuer(cfg.SessionKeyFile, cfg.SessionIssuer, cfg.SessionAudience); err != nil {
			return fmt.Errorf("member: %w", err)
		}
	}
	i := &importer{edge: e}
	return host.Run(ctx, cfg.Config, host.Parts[member.World]{
		Definition: member.Topology,
		Store:      store.Store{},
		Migrate:    store.Migrate,
		Publishes:  "member.v1",
		Routes:     e.routes,
		Components: []run.Component{{Name: "import", Start: i.start}},
	})
}
