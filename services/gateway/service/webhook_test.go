package service_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/gateway/service"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	webhook "github.com/quadrille-io/quadrille/services/webhook/service"
)

// Operators manage outgoing webhooks through the gateway: every answer is as documented, every change in the audit with
// its reason.
func TestWebhooksThroughTheGateway(t *testing.T) {
	t.Parallel()
	r := &system{Rig: rig.New(t, "", "order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1")}
	var webhooks webhook.Config
	r.Configure(&webhooks, &webhooks.Config, map[string]string{"WEBHOOK_LOOPBACK": "true", "WEBHOOK_MAX_ENDPOINTS": "1", "WEBHOOK_EVERY": "20ms"})
	r.Serve(&webhooks.Config, func(ctx context.Context) error { return webhook.Run(ctx, webhooks) })
	webhookURL := r.URL
	var own service.Config
	down := rig.Listen(t, "")
	down.Close()
	nowhere := "http://" + down.Addr().String()
	r.Configure(&own, &own.Config, map[string]string{
		"ORDER_URL": nowhere, "STOCK_URL": nowhere, "MAILER_URL": nowhere, "MEMBER_URL": nowhere, "COUPON_URL": nowhere,
		"PAYMENT_URL": nowhere, "SHIPPING_URL": nowhere, "WEBHOOK_URL": webhookURL,
	})
	r.Serve(&own.Config, func(ctx context.Context) error { return service.Run(ctx, own) })

	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(receiver.Close)
	const all = "/ops/v1/webhooks"
	body := `{"url":"` + receiver.URL + `","events":["*"],"reason":"a new shop"}`
	created := r.expect(201, r.operator(), "POST", all, body)
	r.expect(409, r.operator(), "POST", all, body)
	r.expect(400, r.operator(), "POST", all, `{"url":"https://10.0.0.1/","events":["*"]}`)
	r.expect(403, r.Token("alice"), "POST", all, body)
	r.expect(401, "", "GET", all, "")
	one := all + "/" + created.Field("webhookId")
	r.expect(200, r.operator(), "GET", all, "")
	r.expect(200, r.operator(), "GET", one, "")
	event := r.expect(202, r.operator(), "POST", one+"/test", `{"reason":"does it work"}`).Field("eventId")
	testkit.Eventually(t, rig.Patience, func() error {
		if log := r.expect(200, r.operator(), "GET", one+"/attempts?eventId="+event, ""); len(log.Data()) == 0 {
			return fmt.Errorf("no attempt yet: %s", log)
		}
		return nil
	})
	r.expect(202, r.operator(), "POST", one+"/resend", `{"eventId":"`+event+`","reason":"they lost it"}`)
	r.expect(202, r.operator(), "POST", one+"/recover", `{"since":"2026-01-01T00:00:00Z","reason":"all of it"}`)
	r.expect(200, r.operator(), "POST", one+"/rotate-secret", "")
	r.expect(200, r.operator(), "PATCH", one, `{"enabled":false,"reason":"they asked"}`)
	r.expect(409, r.operator(), "POST", one+"/test", "")
	r.expect(204, r.operator(), "DELETE", one, `{"reason":"they closed"}`)
	r.expect(404, r.operator(), "GET", one, "")

	reasons := map[string]string{}
	for _, entry := range r.expect(200, r.operator(), "GET", "/ops/v1/audit?limit=100", "").Data() {
		if entry["status"].(float64) < 300 {
			reasons[entry["method"].(string)+" "+entry["path"].(string)] = entry["reason"].(string)
		}
	}
	// A UUID has more spellings than the database reads.
	r.expect(400, r.operator(), "GET", "/ops/v1/audit?startingAfter=urn:uuid:"+event, "")
	for change, reason := range map[string]string{
		"POST " + all: "a new shop", "POST " + one + "/test": "does it work", "POST " + one + "/resend": "they lost it",
		"POST " + one + "/recover": "all of it", "POST " + one + "/rotate-secret": "", "PATCH " + one: "they asked", "DELETE " + one: "they closed",
	} {
		if got, is := reasons[change]; !is || got != reason {
			t.Errorf("%s is audited with %q (%t), want %q", change, got, is, reason)
		}
	}
}
