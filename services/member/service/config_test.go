package service_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/member/service"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*service.Config){
		"SESSION_ISSUER":   func(c *service.Config) { c.SessionKeyFile, c.SessionIssuer = "key", "other" },
		"SESSION_AUDIENCE": func(c *service.Config) { c.SessionKeyFile, c.SessionAudience = "key", "other" },
		"SESSION_TTL":      func(c *service.Config) { c.SessionTTL = 0 },
		"MAX_ADDRESSES":    func(c *service.Config) { c.MaxAddresses = 0 },
		"DEFAULT_LANGUAGE": func(c *service.Config) { c.DefaultLanguage = "Korean!" },
	} {
		c := service.Config{
			SessionIssuer: "i", SessionAudience: "a", SessionTTL: time.Hour, LoginTries: 1, LoginTriesAddress: 1,
			LoginWindow: time.Minute, HashSlots: 1, HashPatience: time.Second, MaxAddresses: 1, DefaultLanguage: "en",
		}
		c.Auth.Issuers, c.Auth.Audiences = []string{"i"}, []string{"a"}
		if err := c.Validate(); err != nil {
			t.Fatalf("%s: %v before", name, err)
		}
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
