package host_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
)

// How many calls outside are under way at once is told by the environment.
func TestCallSlotsComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	needed := map[string]string{
		"DATABASE_URL": "postgres://localhost/x", "KAFKA_BROKERS": "localhost:9092", "JWT_ISSUERS": "http://localhost",
		"JWT_AUDIENCES": "x", "JWT_JWKS": "http://localhost/jwks",
	}
	for _, c := range []struct {
		value string
		want  int
		err   string
	}{
		{"", 128, ""},
		{"7", 7, ""},
		{"-1", 0, "CALL_SLOTS"},
		{"many", 0, "CallSlots"},
	} {
		environ := maps.Clone(needed)
		if c.value != "" {
			environ["CALL_SLOTS"] = c.value
		}
		var cfg host.Config
		err := run.LoadFrom(environ, &cfg)
		switch {
		case c.err == "" && (err != nil || cfg.CallSlots != c.want):
			t.Errorf("CALL_SLOTS=%s gives %d, %v: want %d", c.value, cfg.CallSlots, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("CALL_SLOTS=%s gives %v: want an error about it", c.value, err)
		}
	}
}
