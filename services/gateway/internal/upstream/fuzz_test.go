package upstream_test

import (
	"errors"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
)

// FuzzRefusal: what a service answers becomes a refusal of the same status only if it is a problem document; anything
// else is a failure, and never the caller's mistake.
func FuzzRefusal(f *testing.F) {
	f.Add(404, []byte(`{"status":404,"code":"not_found","detail":"d","errors":[{"pointer":"/a","code":"c","detail":"d"}],"retryable":true}`))
	f.Add(200, []byte(`{"code":"x"}`))
	f.Add(500, []byte(`<html>`))
	f.Add(400, []byte(`{"code":1}`))
	f.Add(422, []byte(`{"code":""}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		err := upstream.Answer{Status: status, Body: body}.Refusal()
		if err == nil {
			t.Fatal("nothing")
		}
		var refusal *fault.Refusal
		if errors.As(err, &refusal) && (refusal.Status != status || status < 400 || refusal.Code == "") {
			t.Fatalf("%d %q is %+v", status, body, refusal)
		}
	})
}
