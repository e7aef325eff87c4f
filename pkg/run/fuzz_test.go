package run_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/run"
)

// FuzzLoad: any environment is taken or refused by name, and whatever was taken is printed without its secrets.
func FuzzLoad(f *testing.F) {
	f.Add("postgres://user:hunter22@db:5432/x", "hunter22", "3s", "a,b", "2")
	f.Add("host=db password=hunter22", "\xff", "-1ns", ",,", "-1")
	f.Add("postgres://user:hunter22@[::1/x", "a\nb", "9999999h", "http://u:hunter22@b", "1e400")
	f.Add("postgres://db/x?password=hunter22&sslpassword=hunter22", "%s", "", "", "NaN")
	f.Add("", "", "", "", "")
	f.Fuzz(func(t *testing.T, database, secret, wait, brokers, rate string) {
		var c config
		err := run.LoadFrom(map[string]string{
			"DATABASE_URL": database, "KEY": secret, "TOKEN": secret, "WAIT": wait, "BROKERS": brokers, "RATE": rate, "PAY_RATE": rate,
		}, &c)
		if err != nil {
			if len(secret) > 6 && strings.Contains(err.Error(), secret) && !strings.Contains(database+wait+brokers+rate, secret) {
				t.Fatalf("the error tells the secret: %v", err)
			}
			return
		}
		var out bytes.Buffer
		run.Print(slog.New(slog.NewTextHandler(&out, nil)), &c)
		if len(secret) > 6 && !strings.Contains(database+wait+brokers+rate+"configuration ****** DATABASE_URL", secret) && strings.Contains(out.String(), secret) {
			t.Fatalf("printed: %s", out.String())
		}
		if strings.Contains(out.String(), "hunter22") && !strings.Contains(brokers+wait+rate+secret, "hunter22") && (strings.Contains(database, "://user:hunter22@") || strings.Contains(database, "password=hunter22")) {
			t.Fatalf("the password is printed: %s", out.String())
		}
	})
}
