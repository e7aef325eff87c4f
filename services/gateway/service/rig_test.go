package service_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/gateway/openapi"
	"github.com/quadrille-io/quadrille/services/gateway/service"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	order "github.com/quadrille-io/quadrille/services/order/service"
	stock "github.com/quadrille-io/quadrille/services/stock/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// members is what the member service has published: alice and bob, each with an address.
const members = `[
	{"memberId":"alice","addresses":[{"addressId":"a1","default":true}]},
	{"memberId":"bob","addresses":[{"addressId":"b1","default":true}]}
]`

// system is a running gateway before a real order and a real stock service. payment and coupon are played by the test:
// their events are published by it, their HTTP is what played says.
type system struct {
	*rig.Rig
	stopOrder func()
}

// start starts all three. played answers for payment, coupon, shipping and member; mailer is down.
func start(t *testing.T, played http.HandlerFunc) *system {
	t.Helper()
	r := &system{Rig: rig.New(t, "", "order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1", "member.v1")}
	r.Members(members)
	var orders order.Config
	r.Configure(&orders, &orders.Config, nil)
	r.stopOrder = r.Serve(&orders.Config, func(ctx context.Context) error { return order.Run(ctx, orders) })
	orderURL := r.URL
	r.CaughtUp()
	var stocks stock.Config
	r.Configure(&stocks, &stocks.Config, nil)
	r.Serve(&stocks.Config, func(ctx context.Context) error { return stock.Run(ctx, stocks) })
	stockURL := r.URL

	others := httptest.NewServer(played)
	t.Cleanup(others.Close)
	down := rig.Listen(t, "")
	down.Close()
	var own service.Config
	r.Configure(&own, &own.Config, map[string]string{
		"ORDER_URL": orderURL, "STOCK_URL": stockURL, "MAILER_URL": "http://" + down.Addr().String(),
		"MEMBER_URL": others.URL,
		"COUPON_URL": others.URL, "PAYMENT_URL": others.URL, "SHIPPING_URL": others.URL,
	})
	r.Serve(&own.Config, func(ctx context.Context) error { return service.Run(ctx, own) })
	return r
}

// publish puts an event on its topic, as the service that owns it would, and returns its id.
func (r *system) publish(subject, cause string, m proto.Message) string {
	r.T.Helper()
	e := rig.NewEvent(subject, m)
	e.Causation = cause
	r.Send(e)
	return e.ID
}

func (r *system) operator() string { return r.Token("olga", web.RoleOperator) }

// call is Call, held against the API's description.
func (r *system) call(token, method, path, body string, headers ...string) rig.Answer {
	r.T.Helper()
	a := r.Call(token, method, path, body, headers...)
	r.check(a)
	return a
}

// expect is call with the status it should have.
func (r *system) expect(status int, token, method, path, body string, headers ...string) rig.Answer {
	r.T.Helper()
	a := r.call(token, method, path, body, headers...)
	if a.Status != status {
		r.T.Fatalf("%s %s: %s, want %d", method, path, a, status)
	}
	return a
}

var documented = sync.OnceValues(func() (routers.Router, error) {
	raw, err := openapi.JSON()
	if err != nil {
		return nil, err
	}
	document, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(document)
})

// check holds an answer of the API against the document: its status, its headers and its body.
func (r *system) check(a rig.Answer) {
	r.T.Helper()
	router, err := documented()
	if err != nil {
		r.T.Fatal(err)
	}
	req := a.Request.Clone(r.T.Context())
	req.URL.Scheme, req.URL.Host, req.Host = "", "", ""
	route, params, err := router.FindRoute(req)
	if err != nil {
		public := strings.HasPrefix(req.URL.Path, "/api/") || strings.HasPrefix(req.URL.Path, "/ops/")
		if public && a.Status != http.StatusMethodNotAllowed {
			r.T.Errorf("%s %s: %v", req.Method, req.URL.Path, err)
		}
		return
	}
	input := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route}
	err = openapi3filter.ValidateResponse(r.T.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: a.Status, Header: a.Header,
		Body: io.NopCloser(strings.NewReader(a.Text)),
	})
	if err != nil {
		r.T.Errorf("%s %s is not as documented: %v", req.Method, req.URL.Path, err)
	}
}
