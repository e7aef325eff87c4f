package rig

import (
	"errors"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// Refused tells whether a request was refused, and fails the test unless as every refusal of a caller's mistake is:
// with a 4xx, a code, and for each field where it stands and what it can be.
func Refused(t *testing.T, err error) bool {
	t.Helper()
	if err == nil {
		return false
	}
	var refusal *fault.Refusal
	if !errors.As(err, &refusal) || refusal == nil || refusal.Status < 400 || refusal.Status > 499 || refusal.Code == "" {
		t.Fatalf("refused with %v, want the caller's mistake", err)
	}
	for _, f := range refusal.Errors {
		if f.Code == "" || f.Detail == "" || f.Pointer != "" && !strings.HasPrefix(f.Pointer, "/") {
			t.Fatalf("a field error without code, detail or pointer: %+v", f)
		}
	}
	return true
}
