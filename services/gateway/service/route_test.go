package service

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/openapi"
)

var parameter = regexp.MustCompile(`:([A-Za-z]+)`)

// Every public route is in the document, and the document promises none that is not served.
func TestRoutesAreDocumented(t *testing.T) {
	t.Parallel()
	const nowhere = "http://127.0.0.1:1"
	s, err := newServer(Config{
		OrderURL: nowhere, StockURL: nowhere, CouponURL: nowhere, PaymentURL: nowhere, ShippingURL: nowhere, MailerURL: nowhere,
		MemberURL: nowhere,
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := web.New(web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.routes(e, &host.Host[gateway.World]{})
	served := map[string]bool{}
	for _, route := range e.Routes() {
		public := strings.HasPrefix(route.Path, "/api/") || strings.HasPrefix(route.Path, "/ops/") || strings.HasPrefix(route.Path, "/webhooks/")
		if public {
			served[route.Method+" "+parameter.ReplaceAllString(route.Path, "{$1}")] = true
		}
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	raw, err := openapi.JSON()
	if err == nil {
		err = json.Unmarshal(raw, &document)
	}
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	for path, item := range document.Paths {
		for method := range item {
			if method = strings.ToUpper(method); slices.Contains(methods, method) {
				documented[method+" "+path] = true
			}
		}
	}
	if !maps.Equal(served, documented) {
		t.Errorf("served:\n%s\ndocumented:\n%s", list(served), list(documented))
	}
}

func list(set map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(set)), "\n") }

// An address that cannot be one is said at start, with its name.
func TestAddressesAreChecked(t *testing.T) {
	t.Parallel()
	if _, err := newServer(Config{OrderURL: "order:8080"}); err == nil {
		t.Error("an address without a scheme was taken")
	}
}
