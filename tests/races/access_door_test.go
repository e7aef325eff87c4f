package races_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

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
	"PATCH /api/v1/orders/{orderId}":                {owner, "order", ofOrder(""), s0(fields{"shippingAddressId": "elsewhere"}), http.StatusConflict}, // it is completed
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
	"GET /api/v1/orders/{orderId}/payment":          {owner, "payment", ofOrder("/payment"), without, 0},
	"POST /webhooks/payments/{provider}":            {signed, "payment", fixed("/webhooks/payments/simulator"), s0(fields{"id": "x"}), http.StatusUnauthorized},
	"POST /webhooks/mail/bounces":                   {signed, "mailer", fixed("/webhooks/mail/bounces"), s0(fields{"id": "x"}), http.StatusUnauthorized},
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
	"GET /ops/v1/payments/reconciliations":            {office, "payment", fixed("/ops/v1/payments/reconciliations"), without, 0},
	// A comparison goes on beside the test and writes rows when it likes; so it is asked for a day that it refuses.
	"POST /ops/v1/payments/reconciliations":           {office, "payment", fixed("/ops/v1/payments/reconciliations"), s0(fields{"day": "2999-01-01", "reason": "matrix"}), http.StatusBadRequest},
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
