package run_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/telemetry"
	"github.com/quadrille-io/quadrille/pkg/web"
)

type nested struct {
	Rate float64 `env:"RATE" envDefault:"2"`
}

func (n *nested) Validate() error {
	if n.Rate < 0 {
		return errors.New("RATE: negative")
	}
	return nil
}

type config struct {
	Addr      string        `env:"ADDR" envDefault:":8080"`
	Database  string        `env:"DATABASE_URL,required"`
	Key       run.Secret    `env:"KEY"`
	Token     string        `env:"TOKEN" secret:"true"`
	Wait      time.Duration `env:"WAIT" envDefault:"3s"`
	Brokers   []string      `env:"BROKERS"`
	Nested    nested
	Pay       nested `envPrefix:"PAY_"`
	Web       web.Config
	Auth      web.AuthConfig
	Telemetry telemetry.Config
	Log       *slog.Logger
}

func (c *config) Validate() error {
	if c.Wait > time.Minute && c.Addr == ":0" {
		return errors.New("WAIT with ADDR: contradict each other")
	}
	return nil
}

func environ(pairs ...string) map[string]string {
	m := map[string]string{
		"DATABASE_URL": "postgres://order:hunter2@db:5432/order?sslmode=disable&password=hunter2",
		"JWT_ISSUERS":  "https://issuer.example", "JWT_AUDIENCES": "quadrille", "JWT_JWKS": "https://issuer.example/jwks.json",
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func TestLoad(t *testing.T) {
	t.Parallel()
	var cfg config
	err := run.LoadFrom(environ("KEY", "hunter2", "BROKERS", "a:1,b:2", "RATE", "3", "PAY_RATE", "4", "RATE_PER_MEMBER", "7", "LOG_LEVEL", "warn",
		"CORS_ORIGINS", "http://localhost:*"), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != ":8080" || cfg.Wait != 3*time.Second || cfg.Key.Reveal() != "hunter2" || len(cfg.Brokers) != 2 || cfg.Nested.Rate != 3 ||
		cfg.Pay.Rate != 4 || cfg.Web.MemberRate != 7 || cfg.Telemetry.LogLevel != slog.LevelWarn || cfg.Web.Origins[0] != "http://localhost:*" {
		t.Errorf("loaded %+v", cfg)
	}
}

func TestLoadNamesEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	env := environ("ADDR", ":0", "WAIT", "2m", "RATE", "-1", "RATE_PER_MEMBER", "-1", "LOG_FORMAT", "xml", "JWT_ALGORITHMS", "none")
	delete(env, "DATABASE_URL")
	var cfg config
	err := run.LoadFrom(env, &cfg)
	if err == nil {
		t.Fatal("loaded")
	}
	for _, want := range []string{"DATABASE_URL", "WAIT with ADDR", "RATE: negative", "RATE_PER_MEMBER", "LOG_FORMAT", "JWT_ALGORITHMS"} {
		if strings.Count(err.Error(), want) != 1 {
			t.Errorf("%s is named %d times, want once, in:\n%v", want, strings.Count(err.Error(), want), err)
		}
	}
	if err := run.LoadFrom(environ("WAIT", "soon"), &cfg); err == nil || !strings.Contains(err.Error(), "Wait") {
		t.Errorf("a bad duration: %v, want it to name the field", err)
	}
	if err := run.LoadFrom(nil, cfg); err == nil {
		t.Error("a struct that is no pointer was taken")
	}
}

// Embedded lends its Validate method to whatever embeds it.
type Embedded struct {
	Rate float64 `env:"RATE"`
}

func (e *Embedded) Validate() error { return (&nested{Rate: e.Rate}).Validate() }

func TestEmbeddedValidateIsAskedOnce(t *testing.T) {
	t.Parallel()
	var cfg struct {
		Embedded
		Name string `env:"NAME"`
	}
	err := run.LoadFrom(map[string]string{"RATE": "-1"}, &cfg)
	if err == nil || strings.Count(err.Error(), "RATE: negative") != 1 {
		t.Errorf("%v, want one complaint", err)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	var cfg config
	if err := run.LoadFrom(environ("KEY", "hunter2", "TOKEN", "hunter2", "BROKERS", "kafka://u:hunter2@b:9092,plain:9092"), &cfg); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	run.Print(log, &cfg)
	for _, want := range []string{
		`"DATABASE_URL":"postgres://order:xxxxx@db:5432/order`, `"KEY":"******"`, `"TOKEN":"******"`, `"WAIT":"3s"`,
		`"PAY_RATE":"2"`, `"LOG_LEVEL":"INFO"`, `plain:9092`, `"RATE_PER_MEMBER":"50"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("printed without %s:\n%s", want, out.String())
		}
	}
	log.Info("one field", "key", cfg.Key)
	encoded, err := json.Marshal(cfg.Key)
	if err != nil {
		t.Fatal(err)
	}
	everything := out.String() + string(encoded) + fmt.Sprintf("%v %s %#v %+v %q", cfg.Key, cfg.Key, cfg.Key, struct{ K run.Secret }{cfg.Key}, cfg.Key)
	if strings.Contains(everything, "hunter2") {
		t.Errorf("the secret is out:\n%s", everything)
	}
	if run.Secret("").String() != "" {
		t.Error("a missing secret looks like one")
	}
}
