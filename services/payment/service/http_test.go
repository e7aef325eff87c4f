package service_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/payment/service"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	operator, kim := r.Token("op", web.RoleOperator), r.Token("kim")
	const points, grants = "/api/v1/points", "/ops/v1/points/grants"
	const grant = `{"userId":"kim","amount":1,"reason":"sorry"}`
	payments := "/internal/v1/payments/"
	for _, c := range []struct {
		token, method, path, body string
		status                    int
		code, pointer             string
	}{
		{"", "GET", points, "", 401, "unauthenticated", ""},
		{"", "POST", grants, grant, 401, "unauthenticated", ""},
		{"", "GET", payments + rig.NewID(), "", 401, "unauthenticated", ""},
		{kim, "POST", grants, grant, 403, "forbidden", ""},
		{kim, "GET", payments + rig.NewID(), "", 403, "forbidden", ""},
		{operator, "GET", payments + rig.NewID(), "", 404, "not_found", ""},
		{operator, "GET", payments + "%00", "", 404, "not_found", ""},
		{kim, "POST", points, "{}", 405, "method_not_allowed", ""},
		{kim, "GET", points + "?limit=101", "", 400, "invalid_parameter", "?limit"},
		{kim, "GET", points + "?startingAfter=x", "", 400, "invalid_parameter", "?startingAfter"},
		{kim, "GET", points + "?startingAfter=-1", "", 400, "invalid_parameter", "?startingAfter"},
		{operator, "POST", grants, `{"userId":"kim","amount":1}`, 400, "missing_field", "/reason"},
		{operator, "POST", grants, `{"amount":1,"reason":"r"}`, 400, "missing_field", "/userId"},
		{operator, "POST", grants, `{"userId":"k\u0000m","amount":1,"reason":"r"}`, 400, "invalid_field", "/userId"},
		{operator, "POST", grants, `{"userId":"kim","amount":0,"reason":"r"}`, 400, "invalid_field", "/amount"},
		{operator, "POST", grants, `{"userId":"kim","amount":-1,"reason":"r"}`, 400, "invalid_field", "/amount"},
		{operator, "POST", grants, `{"userId":"kim","amount":9223372036854775807,"reason":"r"}`, 400, "invalid_field", "/amount"},
		{operator, "POST", grants, `{"userId":"kim","amount":1.5,"reason":"r"}`, 400, "invalid_field", "/amount"},
		{operator, "POST", grants, `{"userId":"kim","amount":1,"reason":"r","balance":5}`, 400, "unknown_field", "/balance"},
		{operator, "POST", "/webhooks/payments/simulator", "{}", 401, "invalid_signature", ""},
	} {
		a := r.Call(c.token, c.method, c.path, c.body)
		if a.Status != c.status || a.Code() != c.code || a.Pointer() != c.pointer {
			t.Errorf("%s %s %s: %d %v, want %d %s at %q", c.method, c.path, c.body, a.Status, a.Body, c.status, c.code, c.pointer)
		}
	}
	for _, key := range []string{strings.Repeat("k", 256), "", "tab\there"} {
		if a := r.Call(operator, "POST", grants, grant, "Idempotency-Key", key); a.Status != 400 || a.Code() != "invalid_parameter" {
			t.Errorf("key %.10q: %d %v", key, a.Status, a.Body)
		}
	}
	r.wantPoints("kim", 0)
}

// One grant, sent 20 times at once under one key, is granted once; grants of one member add up.
func TestGrants(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	operator := r.Token("op", web.RoleOperator)
	const grants = "/ops/v1/points/grants"
	var requests sync.WaitGroup
	for i := range 20 {
		for _, key := range []string{"same", fmt.Sprint("own-", i)} {
			requests.Go(func() {
				a := r.Call(operator, "POST", grants, `{"userId":"kim","amount":100,"reason":"welcome"}`, "Idempotency-Key", key)
				if a.Status != 201 || a.Body["userId"] != "kim" {
					t.Errorf("key %s: %d %v", key, a.Status, a.Body)
				}
			})
		}
	}
	requests.Wait()
	r.wantPoints("kim", 2_100)
	again := r.Call(operator, "POST", grants, `{"reason":"welcome", "amount":100, "userId":"kim"}`, "Idempotency-Key", "same")
	if again.Status != 201 || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same again: %d %v", again.Status, again.Body)
	}
	other := r.Call(operator, "POST", grants, `{"userId":"kim","amount":101,"reason":"welcome"}`, "Idempotency-Key", "same")
	if other.Status != 422 || other.Body["code"] != "idempotency_key_reused" {
		t.Errorf("another body: %d %v", other.Status, other.Body)
	}
	if first := r.Call(r.Token("op2", web.RoleOperator), "POST", grants, `{"userId":"lee","amount":7,"reason":"r"}`, "Idempotency-Key", "same"); first.Status != 201 || first.Body["balance"] != 7.0 {
		t.Errorf("another operator's key: %d %v", first.Status, first.Body)
	}
	r.wantPoints("kim", 2_100)
	r.wantPoints("lee", 7)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	environ := map[string]string{
		"DATABASE_URL": "postgres://localhost/payment", "KAFKA_BROKERS": "localhost:9092",
		"JWT_ISSUERS": "i", "JWT_AUDIENCES": "a", "JWT_JWKS": "{}", "PAYMENT_SIMULATOR_URL": "http://localhost:1",
	}
	var good service.Config
	if err := run.LoadFrom(environ, &good); err != nil || good.Provider != "simulator" || good.ProviderTimeout != 4*time.Second {
		t.Fatalf("%+v, %v", good, err)
	}
	for name, value := range map[string]string{"PAYMENT_PROVIDER": "cash", "PAYMENT_SIMULATOR_URL": "", "PAYMENT_TIMEOUT": "6s"} {
		was, set := environ[name]
		environ[name] = value
		var cfg service.Config
		if err := run.LoadFrom(environ, &cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
		if environ[name] = was; !set {
			delete(environ, name)
		}
	}
}
