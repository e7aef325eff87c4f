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
	"github.com/quadrille-io/quadrille/services/quadrille/local"
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

// fresh is an order that succeeds.
func (s *site) basket() fields { return basket(2_000, line(s.product, 1, 2_000)) }

func fixed(path string) func(*site) string { return func(*site) string { return path } }

func ofOrder(tail string) func(*site) string {
	return func(s *site) string { return "/api/v1/orders/" + s.order + tail }
}

func ofCart(s *site) string { return "/api/v1/cart/items/" + s.product }

func ofWebhook(tail string) func(*site) string {
	return func(s *site) string { return "/ops/v1/webhooks/" + s.webhook + tail }
}

func without(*site) fields { return nil }

// newWebhook is one for what never happens here, so that nothing is sent.
func newWebhook(*site) fields {
	return fields{"url": "https://shop.example/", "events": []string{"quadrille.shipping.v1.ShipmentFailed"}, "reason": "matrix"}
}

func (a *arena) webhook(t *testing.T) string {
	t.Helper()
	var made struct{ WebhookID string }
	if err := a.ops.Post(t.Context(), "/ops/v1/webhooks", newWebhook(nil), &made); err != nil {
		t.Fatalf("add a webhook: %v", err)
	}
	return made.WebhookID
}

// doors are all endpoints of the document. One that is missing here, or that the document does not have,
// fails the test: whoever adds an endpoint says here who may use it.
var doors = map[string]door{
	"POST /api/v1/orders":                           {members, "order", fixed("/api/v1/orders"), (*site).basket, 0},
	"GET /api/v1/orders":                            {members, "order", fixed("/api/v1/orders"), without, 0},
	"POST /api/v1/orders/preview":                   {members, "order", fixed("/api/v1/orders/preview"), (*site).basket, 0},
	"GET /api/v1/orders/{orderId}":                  {ownerOrOffice, "order", ofOrder(""), without, 0},
	"POST /api/v1/orders/{orderId}/cancel":          {ownerOrOffice, "order", ofOrder("/cancel"), func(*site) fields { return fields{"reason": "matrix"} }, 0},
	"GET /api/v1/orders/{orderId}/events":           {ownerOrOffice, "", ofOrder("/events"), without, 0},
	"GET /api/v1/orders/{orderId}/shipment":         {ownerOrOffice, "shipping", ofOrder("/shipment"), without, 0},
	"GET /api/v1/cart":                              {members, "order", fixed("/api/v1/cart"), without, 0},
	"PUT /api/v1/cart/items/{productId}":            {members, "order", ofCart, s0(fields{"quantity": 1}), 0},
	"DELETE /api/v1/cart/items/{productId}":         {members, "order", ofCart, without, 0},
	"POST /api/v1/cart/order":                       {members, "order", fixed("/api/v1/cart/order"), s0(fields{"paymentAmount": 1, "paymentType": "CREDIT"}), http.StatusUnprocessableEntity},
	"GET /api/v1/products":                          {public, "stock", fixed("/api/v1/products"), without, 0},
	"GET /api/v1/products/{productId}":              {public, "stock", func(s *site) string { return "/api/v1/products/" + s.product }, without, 0},
	"GET /api/v1/coupons":                           {members, "coupon", fixed("/api/v1/coupons"), without, 0},
	"POST /api/v1/coupon-policies/{policyId}/issue": {members, "coupon", func(s *site) string { return "/api/v1/coupon-policies/" + s.policy + "/issue" }, without, 0},
	"GET /api/v1/points":                            {members, "payment", fixed("/api/v1/points"), without, 0},
	"POST /webhooks/payments/{provider}":            {signed, "payment", fixed("/webhooks/payments/simulator"), s0(fields{"id": "x"}), http.StatusNotFound}, // no provider sends any yet
	"POST /webhooks/shipping/{carrier}":             {signed, "shipping", fixed("/webhooks/shipping/simulator"), s0(fields{"id": "x"}), http.StatusUnauthorized},

	"POST /api/v1/members": {public, "member", fixed("/api/v1/members"), func(*site) fields {
		return fields{"email": uuid.NewString() + "@shop.example", "password": uuid.NewString(), "name": "New"}
	}, 0},
	"POST /api/v1/sessions": {public, "member", fixed("/api/v1/sessions"), s0(fields{
		"email": local.Member(local.Customer, "", "").GetEmail(), "password": local.Password,
	}), 0},
	"GET /api/v1/members/me":   {members, "member", fixed("/api/v1/members/me"), without, 0},
	"PATCH /api/v1/members/me": {members, "member", fixed("/api/v1/members/me"), s0(fields{"language": "en"}), 0},
	// It would erase the principals; so it is asked for what it refuses to whom it lets in.
	"DELETE /api/v1/members/me":        {members, "member", fixed("/api/v1/members/me"), s0(fields{"reason": "matrix"}), http.StatusBadRequest},
	"GET /api/v1/members/me/addresses": {members, "member", fixed("/api/v1/members/me/addresses"), without, 0},
	"POST /api/v1/members/me/addresses": {members, "member", fixed("/api/v1/members/me/addresses"), s0(fields{
		"name": "New", "phone": "02-000-0000", "line1": "1 Road", "city": "Seoul", "postalCode": "04524", "country": "KR",
	}), 0},
	"PATCH /api/v1/members/me/addresses/{addressId}":  {members, "member", fixed("/api/v1/members/me/addresses/none"), s0(fields{"city": "Seoul"}), http.StatusNotFound},
	"DELETE /api/v1/members/me/addresses/{addressId}": {members, "member", fixed("/api/v1/members/me/addresses/none"), without, http.StatusNotFound},

	"GET /ops/v1/orders":                              {office, "order", fixed("/ops/v1/orders"), without, 0},
	"POST /ops/v1/products":                           {office, "stock", fixed("/ops/v1/products"), (*site).newProduct, 0},
	"PATCH /ops/v1/products/{productId}":              {office, "stock", func(s *site) string { return "/ops/v1/products/" + s.product }, s0(fields{"name": "Piece", "reason": "matrix"}), 0},
	"POST /ops/v1/products/{productId}/restock":       {office, "stock", func(s *site) string { return "/ops/v1/products/" + s.product + "/restock" }, s0(fields{"quantity": 1, "reason": "matrix"}), 0},
	"GET /ops/v1/coupon-policies":                     {office, "coupon", fixed("/ops/v1/coupon-policies"), without, 0},
	"POST /ops/v1/coupon-policies":                    {office, "coupon", fixed("/ops/v1/coupon-policies"), (*site).newPolicy, 0},
	"POST /ops/v1/points/grants":                      {office, "payment", fixed("/ops/v1/points/grants"), (*site).newGrant, 0},
	"GET /ops/v1/products/{productId}/movements":      {office, "stock", func(s *site) string { return "/ops/v1/products/" + s.product + "/movements" }, without, 0},
	"POST /ops/v1/products/{productId}/recount":       {office, "stock", func(s *site) string { return "/ops/v1/products/" + s.product + "/recount" }, s0(fields{"reason": "matrix"}), 0},
	"POST /ops/v1/coupon-policies/{policyId}/recount": {office, "coupon", func(s *site) string { return "/ops/v1/coupon-policies/" + s.policy + "/recount" }, s0(fields{"reason": "matrix"}), 0},
	"POST /ops/v1/points/recount":                     {office, "payment", fixed("/ops/v1/points/recount"), func(s *site) fields { return fields{"userId": s.owner.id, "reason": "matrix"} }, 0},
	"GET /ops/v1/books/{service}/{book}":              {office, "stock", fixed("/ops/v1/books/stock/products"), without, 0},
	"GET /ops/v1/dataplatform":                        {office, "dataplatform", fixed("/ops/v1/dataplatform"), without, 0},
	"POST /ops/v1/dataplatform/replay":                {office, "dataplatform", fixed("/ops/v1/dataplatform/replay"), s0(fields{"from": "2026-01-01", "reason": "matrix"}), 0},
	"GET /ops/v1/webhooks":                            {office, "webhook", fixed("/ops/v1/webhooks"), without, 0},
	"POST /ops/v1/webhooks":                           {office, "webhook", fixed("/ops/v1/webhooks"), newWebhook, 0},
	"GET /ops/v1/webhooks/{webhookId}":                {office, "webhook", ofWebhook(""), without, 0},
	"PATCH /ops/v1/webhooks/{webhookId}":              {office, "webhook", ofWebhook(""), s0(fields{"enabled": true, "reason": "matrix"}), 0},
	"DELETE /ops/v1/webhooks/{webhookId}":             {office, "webhook", fixed("/ops/v1/webhooks/0190a3a0-0000-7000-8000-000000000009"), without, http.StatusNotFound},
	"POST /ops/v1/webhooks/{webhookId}/rotate-secret": {office, "webhook", ofWebhook("/rotate-secret"), s0(fields{"reason": "matrix"}), 0},
	"GET /ops/v1/webhooks/{webhookId}/attempts":       {office, "webhook", ofWebhook("/attempts"), without, 0},
	"POST /ops/v1/webhooks/{webhookId}/resend":        {office, "webhook", ofWebhook("/resend"), s0(fields{"eventId": uuid.NewString(), "reason": "matrix"}), http.StatusNotFound},
	"POST /ops/v1/webhooks/{webhookId}/recover":       {office, "webhook", ofWebhook("/recover"), s0(fields{"since": "2026-01-01T00:00:00Z", "reason": "matrix"}), 0},
	"POST /ops/v1/webhooks/{webhookId}/test":          {office, "webhook", ofWebhook("/test"), s0(fields{"reason": "matrix"}), 0},
	"POST /ops/v1/events/resend": {office, "", fixed("/ops/v1/events/resend"), func(s *site) fields {
		return fields{"subject": s.order, "types": []string{"OrderCompleted"}, "reason": "matrix"}
	}, 0},
	"GET /ops/v1/failures":                        {office, "", fixed("/ops/v1/failures"), without, 0},
	"POST /ops/v1/failures/replay":                {office, "", fixed("/ops/v1/failures/replay"), s0(fields{"filter": fields{"subject": "none"}, "dryRun": true, "reason": "matrix"}), 0},
	"GET /ops/v1/subscriptions":                   {office, "", fixed("/ops/v1/subscriptions"), without, 0},
	"POST /ops/v1/subscriptions/{service}/resume": {office, "", fixed("/ops/v1/subscriptions/stock/resume"), s0(fields{"reason": "matrix"}), 0},
	"GET /ops/v1/topology":                        {office, "", fixed("/ops/v1/topology"), without, 0},
	"GET /ops/v1/audit":                           {office, "", fixed("/ops/v1/audit"), without, 0},
}

// inner are endpoints that no document shows: for the gateway, and for checking sums. Each service checks
// their callers as well.
func inner() map[string]door {
	all := map[string]door{
		"coupon POST /api/v1/coupons/quote": {members, "coupon", fixed("/api/v1/coupons/quote"), s0(fields{"itemsAmount": 2_000, "currency": "KRW"}), 0},
		"payment GET /internal/v1/payments": {office, "payment", func(s *site) string { return "/internal/v1/payments/" + s.order }, without, 0},
		"mailer GET /internal/v1/mails":     {office, "mailer", func(s *site) string { return "/internal/v1/mails/" + s.order }, without, 0},
	}
	for _, name := range local.Services() {
		all[name+" GET /internal/v1/failures"] = door{office, name, fixed("/internal/v1/failures"), without, 0}
		all[name+" POST /internal/v1/failures/replay"] = door{
			office, name, fixed("/internal/v1/failures/replay"), s0(fields{"filter": fields{"subject": "none"}, "dryRun": true}), 0,
		}
		all[name+" GET /internal/v1/subscription"] = door{office, name, fixed("/internal/v1/subscription"), without, 0}
		all[name+" GET /ops/v1/books"] = door{office, name, fixed("/ops/v1/books/" + name + "/queues"), without, 0}
		all[name+" POST /internal/v1/events/resend"] = door{
			office, name, fixed("/internal/v1/events/resend"), s0(fields{"eventId": uuid.NewString(), "topic": "nobody.v1"}), http.StatusBadRequest,
		}
		all[name+" POST /internal/v1/subscription/resume"] = door{office, name, fixed("/internal/v1/subscription/resume"), without, 0}
	}
	return all
}

// s0 is a body that may be sent again.
func s0(body fields) func(*site) fields { return func(*site) fields { return body } }

func (s *site) newProduct() fields {
	return fields{"productId": s.named("NEW"), "name": "New", "price": 10, "currency": "KRW", "quantity": 0, "reason": "matrix"}
}

func (s *site) newPolicy() fields {
	return fields{"policyId": s.named("NEW"), "name": "New", "discount": fields{"amount": 1}, "limit": 1, "reason": "matrix"}
}

func (s *site) newGrant() fields {
	return fields{"userId": "nobody-in-particular", "amount": 1, "reason": "matrix"}
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
