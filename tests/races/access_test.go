package races_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// TestAccess tries every endpoint as everybody, and every field of every body.
func TestAccess(t *testing.T) {
	t.Parallel()
	a := openWith(t, 1, nil)
	defer a.tell(t)
	s := a.site(t)
	t.Run("table and document", func(t *testing.T) { sameCalls(t, s) })
	t.Run("matrix", func(t *testing.T) { matrix(t, s) })
	t.Run("other methods", func(t *testing.T) { otherMethods(t, s) })
	t.Run("in another's name", func(t *testing.T) { inAnothersName(t, s) })
	t.Run("mass assignment", func(t *testing.T) { massAssignment(t, s) })
}

// access says who gets through.
type access int

const (
	public        access = iota // everybody
	signed                      // nobody by a token: it takes a signature
	members                     // every valid token; each sees and does his own
	owner                       // the owner; to everybody else there is no such thing
	ownerOrOffice               // the owner and operators
	office                      // operators
)

// door is what is known of an endpoint besides the document: who may pass, and a request that succeeds for
// those who may.
type door struct {
	access access
	// service owns it; its own port must refuse alike. "" is the gateway itself.
	service string
	// path replaces the document's parameters, body makes a body that has not been sent before.
	path func(s *site) string
	body func(s *site) fields
	// answer is what those who may pass are answered, if it is no success; of a signed door, everybody.
	answer int
}

// site is what the requests are about: one member's order, product and coupon.
type site struct {
	*arena
	document document
	// principals by name; everybody has an address, so that only the token makes a difference.
	principals map[string]rest.Client
	owner      buyer
	order      string
	product    string
	policy     string
	webhook    string
	// secrets are the owner's: nobody else may ever read them.
	secrets []string
}

// The principals.
const (
	nobody      = "nobody"
	expired     = "expired token"
	another     = "another member"
	theOwner    = "the owner"
	operator    = "an operator"
	unknownRole = "unknown role"
)

func (a *arena) site(t *testing.T) *site {
	t.Helper()
	s := &site{arena: a, document: a.readDocument(t), owner: a.buyer(t), product: a.product(t, 2_000, 100_000), policy: a.policy(t, 500, 1_000)}
	s.webhook = a.webhook(t)
	coupon := a.holder(t, s.owner, s.policy)
	a.granted(t, s.owner.id, 100_000)
	s.order = a.bought(t, s.owner, basket(1_000, line(s.product, 1, 2_000)).with(fields{
		"discountPolicyId": s.policy, "discountAmount": 500, "pointAmount": 500,
	}))
	bookings, err := a.outside.Carrier.Bookings(s.order)
	if err != nil || len(bookings) != 1 {
		t.Fatalf("%v: %v", bookings, err)
	}
	s.secrets = []string{s.owner.id, coupon, bookings[0].TrackingNumber, bookings[0].BookingID}
	if slices.Contains(s.secrets, "") {
		t.Fatalf("a secret is not known: %q", s.secrets)
	}
	issuer, err := web.LoadOrCreateIssuer(filepath.Join(a.dir, "token.key"), "quadrille-local", "quadrille")
	if err != nil {
		t.Fatal(err)
	}
	client := func(ttl time.Duration, id string, roles ...string) rest.Client {
		token, err := issuer.Token(id, roles, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return a.nobody().at[0].As(token)
	}
	s.principals = map[string]rest.Client{
		nobody: a.nobody().at[0], expired: client(-time.Hour, s.owner.id, web.RoleOperator), another: client(time.Hour, a.buyer(t).id),
		theOwner: client(time.Hour, s.owner.id), operator: client(time.Hour, a.buyer(t).id, web.RoleOperator),
		unknownRole: client(time.Hour, a.buyer(t).id, "admin", "Operator", "operators", "*"),
	}
	return s
}

func sameCalls(t *testing.T, s *site) {
	for _, call := range s.document.calls() {
		d, known := doors[call]
		if !known {
			t.Errorf("%s is in the document, and nobody says who may use it", call)
		} else if open := d.access == public || d.access == signed; open != s.document.of(call).Open {
			t.Errorf("%s: the document says that it needs a token: %t", call, open)
		}
	}
	for call := range doors {
		if !slices.Contains(s.document.calls(), call) {
			t.Errorf("%s is not in the document", call)
		}
	}
}

// want is the status for a principal; 200 stands for every success.
func (d door) want(principal string) int {
	known := principal != nobody && principal != expired
	switch {
	case d.access == public:
		return http.StatusOK
	case d.access == signed:
		return d.answer
	case !known:
		return http.StatusUnauthorized
	case d.access == members:
		return d.passed()
	case d.access == office && principal != operator:
		return http.StatusForbidden
	case d.access == owner && principal != theOwner:
		return http.StatusNotFound
	case d.access == ownerOrOffice && principal != theOwner && principal != operator:
		return http.StatusNotFound
	}
	return d.passed()
}

// passed is the answer to those who may pass; 200 stands for every success.
func (d door) passed() int {
	if d.answer != 0 {
		return d.answer
	}
	return http.StatusOK
}

// request makes the door's request, with a key of its own where it changes something.
func (d door) request(s *site, method string) rest.Request {
	r := rest.Request{Method: method, Path: d.path(s), Header: map[string]string{}}
	if body := d.body(s); body != nil {
		r.Body = body
	}
	if method != http.MethodGet && method != http.MethodHead {
		r.Header["Idempotency-Key"] = uuid.NewString()
	}
	return r
}

// matrix knocks at every door as everybody: through the gateway, and past it at the port of the service
// that owns it, which must not rely on the gateway.
func matrix(t *testing.T, s *site) {
	tried := 0
	knock := func(path, method string, d door, base, port string) {
		methods := []string{method}
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		for name, client := range s.principals {
			for _, method := range methods {
				client.BaseURL = base
				s.knock(t, path+" at "+port+" as "+name, name, client, d, method)
				tried++
			}
		}
	}
	for call, d := range doors {
		method, path, _ := strings.Cut(call, " ")
		knock(path, method, d, s.replicas[0].GatewayURL(), "the gateway")
		if d.service != "" {
			knock(path, method, d, s.replicas[0].URL(d.service), "the port of "+d.service)
		}
	}
	for call, d := range inner() {
		words := strings.Fields(call)
		knock(words[2], words[1], d, s.replicas[0].URL(d.service), "the port of "+d.service)
	}
	s.saw("%d requests at %d endpoints", tried, len(doors)+len(inner()))
}

func (s *site) knock(t *testing.T, what, principal string, client rest.Client, d door, method string) {
	t.Helper()
	r := d.request(s, method)
	res, _, err := send(t.Context(), client, r)
	if err != nil {
		t.Fatal(err)
	}
	want := d.want(principal)
	if got := res.Status; got != want && (want != http.StatusOK || got > 299) {
		t.Errorf("%s %s is answered %d, want %d: %s", method, what, got, want, res.Body)
	}
	if res.Status >= http.StatusInternalServerError {
		t.Errorf("%s %s: %s", method, what, res.Body)
	}
	if principal == theOwner || principal == operator {
		return
	}
	secrets := s.secrets
	if !strings.Contains(r.Path, s.order) {
		secrets = append(slices.Clip(secrets), s.order)
	}
	for _, secret := range secrets {
		if strings.Contains(string(res.Body), secret) || strings.Contains(fmt.Sprint(res.Header), secret) {
			t.Errorf("%s %s shows %s, which is the owner's: %s", method, what, secret, res.Body)
		}
	}
}

// otherMethods tries the methods that an endpoint does not have.
func otherMethods(t *testing.T, s *site) {
	for path, methods := range s.document.Paths {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if _, has := methods[method]; has {
				continue
			}
			target := strings.NewReplacer("{orderId}", s.order, "{productId}", s.product, "{policyId}", s.policy).Replace(path)
			res, err := s.principals[operator].Do(t.Context(), rest.Request{Method: method, Path: target})
			if err != nil {
				t.Fatal(err)
			}
			if res.Status != http.StatusMethodNotAllowed && res.Status != http.StatusNotFound {
				t.Errorf("%s %s is not documented, and answered %d %s", method, path, res.Status, res.Body)
			}
		}
	}
}

// inAnothersName names the owner in bodies of another member.
func inAnothersName(t *testing.T, s *site) {
	for _, test := range []struct {
		service, path string
		body          fields
	}{
		{"gateway", "/api/v1/orders", s.basket()},
		{"gateway", "/api/v1/orders/preview", s.basket()},
		{"order", "/api/v1/orders", s.basket()},
		{"order", "/api/v1/orders/preview", s.basket()},
		{"coupon", "/api/v1/coupons/quote", fields{"itemsAmount": 2_000, "currency": "KRW", "couponRefs": []string{s.policy}}},
	} {
		for _, name := range []string{another, operator} {
			client := s.principals[name]
			client.BaseURL = s.replicas[0].URL(test.service)
			res, err := client.Do(t.Context(), rest.Request{
				Method: http.MethodPost, Path: test.path, Body: test.body.with(fields{"userId": s.owner.id}),
			})
			if err != nil {
				t.Fatal(err)
			}
			if res.Status != http.StatusForbidden {
				t.Errorf("%s of %s in the owner's name as %s is answered %d, want 403", test.path, test.service, name, res.Status)
			}
		}
	}
	// The owner's coupon, by its own id, which he has not spent.
	coupon := s.holder(t, s.owner, s.arena.policy(t, 500, 1))
	res, err := s.principals[another].Do(t.Context(), fresh(s.basket().with(fields{
		"couponIds": []string{coupon}, "discountAmount": 500, "paymentAmount": 1_500,
	})))
	if err != nil {
		t.Fatal(err)
	}
	id := decode[placed](t, res.Body).OrderID
	if got := s.outcomes(t, []string{id}); got["CANCELLED COUPON_REJECTED"] != 1 {
		t.Errorf("an order with somebody else's coupon: %v", got)
	}
}
