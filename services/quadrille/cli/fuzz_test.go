package cli

import (
	"strings"
	"testing"
)

// FuzzDevEnv: what is written as `quadrille up` writes it is read again as it was, whatever stands around it.
func FuzzDevEnv(f *testing.F) {
	f.Add("GATEWAY_URL", "http://127.0.0.1:8080", "# a comment")
	f.Add("PATH", "/it's/a bin:/usr/bin", "export X=y")
	f.Add("A", "''", "A='")
	f.Add("A", "=", "export ='x'")
	f.Add("A", "$(rm -rf /)", "='")
	f.Fuzz(func(t *testing.T, name, value, around string) {
		if strings.ContainsAny(name, "=\r\n") || name == "" || strings.HasPrefix(name, "export ") || strings.ContainsAny(value, "\r\n") || strings.Contains(around, "\r") {
			return // nobody is called that
		}
		line := "export " + name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'"
		variables, err := readDevEnv(strings.NewReader(around + "\n" + line + "\n"))
		if err != nil {
			if len(around)+len(line) < 60_000 {
				t.Fatal(err)
			}
			return
		}
		if got := variables[name]; got != value {
			t.Fatalf("%q is read as %q", value, got)
		}
	})
}
