package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("키", 255)
	for name, c := range map[string]struct {
		sent []string
		want string
		good bool
	}{
		"none":              {nil, "", true},
		"one":               {[]string{"order 1/ü"}, "order 1/ü", true},
		"255 characters":    {[]string{longest}, longest, true},
		"256 characters":    {[]string{strings.Repeat("k", 256)}, "", false},
		"empty":             {[]string{""}, "", false},
		"two":               {[]string{"a", "b"}, "", false},
		"the same twice":    {[]string{"a", "a"}, "", false},
		"a tab":             {[]string{"a\tb"}, "", false},
		"a C1 control":      {[]string{"a\u0085b"}, "", false},
		"bytes, not a text": {[]string{"a\xffb"}, "", false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		for _, key := range c.sent {
			r.Header.Add("Idempotency-Key", key)
		}
		got, err := web.IdempotencyKey(echo.New().NewContext(r, httptest.NewRecorder()))
		var refusal *fault.Refusal
		switch {
		case c.good && (err != nil || got != c.want):
			t.Errorf("%s: %q, %v", name, got, err)
		case !c.good && (!errors.As(err, &refusal) || refusal.Status != http.StatusBadRequest || refusal.Code != fault.CodeInvalidParameter):
			t.Errorf("%s: %q, %v, want 400 invalid_parameter", name, got, err)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	var fields web.Fields
	fields.Missing("/a", false)
	fields.Invalid("/b", false, "never said")
	if err := fields.Err(); err != nil {
		t.Fatalf("nothing is wrong, and yet: %v", err)
	}
	fields.Missing("/z", true)
	fields.Invalid("/a", true, "At least 1.")
	var refusal *fault.Refusal
	if !errors.As(fields.Err(), &refusal) || refusal.Status != http.StatusBadRequest {
		t.Fatalf("%v", fields.Err())
	}
	want := []fault.FieldError{
		{Pointer: "/z", Code: fault.CodeMissingField, Detail: "The field is required."},
		{Pointer: "/a", Code: fault.CodeInvalidField, Detail: "At least 1."},
	}
	if diff := cmp.Diff(want, refusal.Errors); diff != "" {
		t.Error(diff)
	}
}

func TestFieldValues(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"KRW": true, "krw": false, "KR": false, "KRWW": false, "K W": false, "": false} {
		if web.IsCurrency(code) != want {
			t.Errorf("currency %q: %v", code, !want)
		}
	}
	seven := 7
	if web.Or(&seven, 1) != 7 || web.Or(nil, 1) != 1 {
		t.Error("an optional field is not what it says")
	}
}
