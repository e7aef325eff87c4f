package host_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
)

type restock struct {
	Quantity *int64  `json:"quantity"`
	Reason   *string `json:"reason"`
}

// requestOf decodes a body and makes a request of it, as a handler does.
func requestOf(t *testing.T, method, path, body string, keys ...string) (engine.Request, error) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, key := range keys {
		r.Header.Add("Idempotency-Key", key)
	}
	c := echo.New().NewContext(r, httptest.NewRecorder())
	var decoded restock
	if err := web.Decode(c, &decoded); err != nil {
		t.Fatal(err)
	}
	return host.Request(c, decoded)
}

// Under one key a request is known again by what it means, and by nothing else.
func TestRequestIsKnownByItsMeaning(t *testing.T) {
	t.Parallel()
	const path = "/ops/v1/products/P/restock"
	first, err := requestOf(t, http.MethodPost, path, `{"quantity":7}`, "k")
	if err != nil || first.Key != "k" || len(first.BodyHash) != 32 {
		t.Fatalf("%+v, %v", first, err)
	}
	for _, c := range []struct {
		method, path, body string
		same               bool
	}{
		{http.MethodPost, path, `{"quantity":7}`, true},
		{http.MethodPost, path, ` { "reason" : null, "quantity" : 7 } `, true},
		{http.MethodPost, path, `{"quantity":8}`, false},
		{http.MethodPost, path, `{"quantity":7,"reason":"spring"}`, false},
		{http.MethodPost, strings.Replace(path, "P", "Q", 1), `{"quantity":7}`, false},
		{http.MethodPatch, path, `{"quantity":7}`, false},
	} {
		again, err := requestOf(t, c.method, c.path, c.body, "k")
		if err != nil || bytes.Equal(again.BodyHash, first.BodyHash) != c.same {
			t.Errorf("%s %s %s: the same is %v, %v", c.method, c.path, c.body, !c.same, err)
		}
	}
	if r, err := requestOf(t, http.MethodPost, path, `{}`, "a", "b"); err == nil {
		t.Errorf("two keys were taken: %+v", r)
	}
}
