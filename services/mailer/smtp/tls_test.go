package smtp_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/mailer/smtp"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
)

func soon() time.Time { return time.Now().Add(time.Minute) }

// Nothing is sent to a server that cannot prove who it is, and nothing without the password that it wants; what is
// wrong with the shop's own set-up is never taken for the mail's fault.
func TestTLSAndPassword(t *testing.T) {
	t.Parallel()
	ours, others := rig.NewAuthority(t), rig.NewAuthority(t)
	account := func(server *tls.Config, mechanisms ...string) inbox.Config {
		return inbox.Config{TLS: server, Username: "shop", Password: "secret", Mechanisms: mechanisms}
	}
	good := ours.Server("127.0.0.1", soon())
	startTLS := start(t, account(good), nil)
	direct := start(t, account(good), func(l net.Listener) net.Listener { return tls.NewListener(l, good) })
	plain, login := start(t, account(good, "PLAIN"), nil), start(t, account(good, "LOGIN"), nil)
	loginDirect := start(t, account(good, "LOGIN"), func(l net.Listener) net.Listener { return tls.NewListener(l, good) })
	elsewhere := start(t, account(ours.Server("192.0.2.1", soon())), nil)
	expired := start(t, account(ours.Server("127.0.0.1", time.Now().Add(-time.Minute))), nil)
	foreign := start(t, account(others.Server("127.0.0.1", soon())), nil)
	open := start(t, inbox.Config{}, nil)
	for name, w := range map[string]struct {
		to       *box
		security smtp.Security
		password string
		want     error
	}{
		"starttls":                {startTLS, smtp.StartTLS, "secret", nil},
		"tls":                     {direct, smtp.TLS, "secret", nil},
		"plain":                   {plain, smtp.StartTLS, "secret", nil},
		"login":                   {login, smtp.StartTLS, "secret", nil},
		"login, tls":              {loginDirect, smtp.TLS, "secret", nil},
		"wrong password":          {startTLS, smtp.StartTLS, "wrong", smtp.ErrTransient},
		"wrong password, login":   {login, smtp.StartTLS, "wrong", smtp.ErrTransient},
		"no password":             {startTLS, smtp.StartTLS, "", smtp.ErrTransient},
		"another's certificate":   {elsewhere, smtp.StartTLS, "secret", smtp.ErrTransient},
		"certificate has expired": {expired, smtp.StartTLS, "secret", smtp.ErrTransient},
		"unknown authority":       {foreign, smtp.StartTLS, "secret", smtp.ErrTransient},
		"starttls is not there":   {open, smtp.StartTLS, "", smtp.ErrTransient},
		"tls is not there":        {open, smtp.TLS, "", smtp.ErrTransient},
		"password is not asked":   {open, smtp.StartTLS, "secret", smtp.ErrTransient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := w.to.cfg
			cfg.Security, cfg.TLS = w.security, ours.Trust()
			if w.password != "" {
				cfg.Username, cfg.Password = "shop", w.password
			}
			if err := sender(t, cfg).Send(t.Context(), message("k", "a@example.com")); !errors.Is(err, w.want) {
				t.Errorf("got %v, want %v", err, w.want)
			}
		})
	}
	t.Run("without our authority", func(t *testing.T) {
		t.Parallel()
		for _, to := range []struct {
			*box
			security smtp.Security
		}{{startTLS, smtp.StartTLS}, {direct, smtp.TLS}} {
			cfg := to.cfg
			cfg.Security, cfg.Username, cfg.Password = to.security, "shop", "secret"
			if err := sender(t, cfg).Send(t.Context(), message("k", "a@example.com")); !errors.Is(err, smtp.ErrTransient) {
				t.Errorf("%s: %v", to.security, err)
			}
		}
	})
}
