package service_test

import (
	"bytes"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/shipping/service"
)

var environ = map[string]string{
	"DATABASE_URL": "postgres://localhost/shipping", "KAFKA_BROKERS": "localhost:9092", "JWT_ISSUERS": "i", "JWT_AUDIENCES": "a",
	"JWT_JWKS": "{}", "CARRIER_URL": "http://localhost:1", "CARRIER_WEBHOOK_SECRET": "new,old",
}

// aggregated is what it takes to follow parcels at an aggregator.
var aggregated = map[string]string{
	"TRACKING": "tracker", "TRACKER_CLIENT_ID": "id", "TRACKER_CLIENT_SECRET": "hush-hush", "TRACKER_CARRIER_ID": "kr.cjlogistics",
	"TRACKER_CALLBACK_URL": "https://shop.example/webhooks/shipping/tracker", "TRACKER_CALLBACK_SECRET": "0123456789abcdef,fedcba9876543210",
}

func with(more ...map[string]string) map[string]string {
	env := maps.Clone(environ)
	for _, m := range more {
		maps.Copy(env, m)
	}
	return env
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfig(t *testing.T) {
	t.Parallel()
	var good service.Config
	if err := run.LoadFrom(environ, &good); err != nil || len(good.WebhookSecrets) != 2 || good.Tracking.By != "carrier" {
		t.Fatalf("%v, %v", good.WebhookSecrets, err)
	}
	for name, value := range map[string]string{
		"CARRIER": "pigeon", "CARRIER_URL": "", "CARRIER_WEBHOOK_SECRET": "a,,b", "CARRIER_TIMEOUT": "0s",
		"TRACKING": "crystal ball", "TRACKING_INTERVAL": "3h", "TRACKING_WORKERS": "0", "TRACKING_SILENCE": "0s",
	} {
		var cfg service.Config
		if err := run.LoadFrom(with(map[string]string{name: value}), &cfg); err == nil || !strings.Contains(err.Error(), name+":") {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	for name, value := range map[string]string{
		"TRACKER_CLIENT_ID": "", "TRACKER_CLIENT_SECRET": "", "TRACKER_CARRIER_ID": "CJ", "TRACKER_URL": "apis.example",
		"TRACKER_CALLBACK_URL": "shop.example", "TRACKER_CALLBACK_SECRET": "short", "TRACKER_TIMEOUT": "-1s",
	} {
		var cfg service.Config
		err := run.LoadFrom(with(aggregated, map[string]string{name: value}), &cfg)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		} else if strings.Contains(err.Error(), "hush-hush") {
			t.Errorf("%s: the error gives a secret away: %v", name, err)
		}
	}
}

// Secrets come in variables or in files, not in both, and are printed in neither case.
func TestSecrets(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"CARRIER_WEBHOOK_SECRET": "", "CARRIER_WEBHOOK_SECRET_FILE": file(t, "from-a-file\r\nand-another\n"),
		"TRACKER_CLIENT_SECRET": "", "TRACKER_CLIENT_SECRET_FILE": file(t, "hush-hush\n"),
		"TRACKER_CALLBACK_SECRET": "", "TRACKER_CALLBACK_SECRET_FILE": file(t, "0123456789abcdef"),
	}
	for name, env := range map[string]map[string]string{"variables": with(aggregated), "files": with(aggregated, files)} {
		var cfg service.Config
		if err := run.LoadFrom(env, &cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var printed bytes.Buffer
		run.Print(slog.New(slog.NewTextHandler(&printed, nil)), cfg)
		for _, secret := range []string{"hush-hush", "from-a-file", "and-another", "new", "0123456789abcdef", "fedcba9876543210"} {
			if strings.Contains(printed.String(), secret) {
				t.Errorf("%s: %s is printed", name, secret)
			}
		}
		if !strings.Contains(printed.String(), "kr.cjlogistics") {
			t.Errorf("%s: not printed at all: %s", name, printed.String())
		}
	}
	for _, name := range []string{"CARRIER_WEBHOOK_SECRET", "TRACKER_CLIENT_SECRET", "TRACKER_CALLBACK_SECRET"} {
		env := with(aggregated, map[string]string{name + "_FILE": files[name+"_FILE"]})
		var cfg service.Config
		if err := run.LoadFrom(env, &cfg); err == nil || !strings.Contains(err.Error(), name+"_FILE is set as well") {
			t.Errorf("%s in both: %v", name, err)
		}
	}
	env := with(map[string]string{"CARRIER_WEBHOOK_SECRET": "", "CARRIER_WEBHOOK_SECRET_FILE": file(t, "a\n\nb\n")})
	var cfg service.Config
	if err := run.LoadFrom(env, &cfg); err == nil {
		t.Error("an empty line was taken for a secret")
	}
}
