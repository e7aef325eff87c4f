package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestMoney(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount   int64
		currency string
		want     string
	}{
		{10_050, "KRW", "₩10,050"},
		{0, "KRW", "₩0"},
		{-1_234_567, "KRW", "-₩1,234,567"},
		{999, "JPY", "999 JPY"},
		{123_456, "EUR", "1,234.56 EUR"},
		{5, "USD", "0.05 USD"},
		{-50, "USD", "-0.50 USD"},
	} {
		if got := money(c.amount, c.currency); got != c.want {
			t.Errorf("%d %s is written %s, want %s", c.amount, c.currency, got, c.want)
		}
	}
}

func TestReadDevEnv(t *testing.T) {
	t.Parallel()
	got, err := readDevEnv(strings.NewReader("export A='b=c'\n# no\nexport Q='it'\\''s'\nexport BROKEN=x\nexport E=''\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got["A"] != "b=c" || got["Q"] != "it's" || len(got) != 3 {
		t.Errorf("%q", got)
	}
}

// Exit codes are part of the interface: scripts stand on them.
func TestExitCodes(t *testing.T) {
	t.Setenv("GATEWAY_URL", "") // of the person who runs the test
	nowhere := t.TempDir()
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{0, "Exit codes:", []string{"--help"}},
		{0, "", []string{"--version"}},
		{2, "unknown flag", []string{"order", "create", "--nonsense"}},
		{2, "expected one of", []string{"order"}},
		{2, "must be one of", []string{"ship", "x", "eaten"}},
		{2, "--group", []string{"dlq", "replay"}},
		{0, "OrderCreated", []string{"topology"}},
		{3, "quadrille up", []string{"--dir", nowhere, "product", "list"}},
	} {
		var out, errors bytes.Buffer
		if code := Main(c.args, &out, &errors); code != c.code || !strings.Contains(out.String()+errors.String(), c.says) {
			t.Errorf("%v ends with %d, want %d:\n%s%s", c.args, code, c.code, &out, &errors)
		}
	}
}
