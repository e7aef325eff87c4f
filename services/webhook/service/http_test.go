package service_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/webhook/service"
)

// A secret is shown by what made it, and the same again to the same request; nothing else shows it.
func TestSecretIsShownOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	const body = `{"url":"https://shop.example/hooks","events":["quadrille.order.v1.OrderCompleted","quadrille.order.v1.OrderCompleted"],"description":"the shop"}`
	first := s.ops(201, "POST", "", body, "Idempotency-Key", "k")
	again := s.ops(201, "POST", "", body, "Idempotency-Key", "k")
	id, secret := first.Field("webhookId"), first.Field("secret")
	if !strings.HasPrefix(secret, "whsec_") || again.Text != first.Text || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s, then %s", first, again)
	}
	got := s.ops(200, "GET", "/"+id, "")
	if got.Field("secret") != "" || got.Field("enabled") != "true" || got.Field("description") != "the shop" || got.Field("events") != "["+completedType+"]" {
		t.Errorf("webhook %s", got)
	}
	if list := s.ops(200, "GET", "", ""); len(list.Data()) != 1 || strings.Contains(list.Text, "whsec_") {
		t.Errorf("list %s", list)
	}
	rotated := s.ops(200, "POST", "/"+id+"/rotate-secret", `{"reason":"it leaked"}`)
	if rotated.Field("secret") == secret || !strings.HasPrefix(rotated.Field("secret"), "whsec_") {
		t.Errorf("rotated %s", rotated)
	}
	until, err := time.Parse(time.RFC3339Nano, rotated.Field("oldSecretValidUntil"))
	if left := time.Until(until); err != nil || left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("the old secret holds until %s: %v", until, err)
	}
	s.ops(204, "DELETE", "/"+id, `{"reason":"done"}`)
	for method, path := range map[string]string{"GET": "/" + id, "DELETE": "/" + id, "POST": "/" + id + "/test"} {
		s.ops(404, method, path, "")
	}
	if list := s.ops(200, "GET", "", ""); len(list.Data()) != 0 {
		t.Errorf("list %s", list)
	}
	var kept string
	if err := s.Pool.QueryRow(t.Context(), `SELECT secret || old_secret FROM endpoint`).Scan(&kept); err != nil || kept != "" {
		t.Errorf("a deleted webhook's secrets are kept: %v", err)
	}
}

// After a rotation both secrets sign, so the receiver can change over when it likes.
func TestRotatedSecretsBothSign(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := receive(t, nil)
	id, old := s.subscribe(r.url, completedType)
	current := s.ops(200, "POST", "/"+id+"/rotate-secret", "").Field("secret")
	event := s.Publish("order-1", completed("order-1"))
	d := r.await(event, 1)[0]
	for name, secret := range map[string]string{"old": old, "current": current} {
		if err := d.verify(secret); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	third := s.ops(200, "POST", "/"+id+"/rotate-secret", "").Field("secret")
	event = s.ops(202, "POST", "/"+id+"/test", "").Field("eventId")
	d = r.await(event, 1)[0]
	if d.verify(third) != nil || d.verify(current) != nil || d.verify(old) == nil {
		t.Error("after two rotations the last two secrets sign, and no other")
	}
	var body struct {
		Type string
		Data map[string]string
	}
	if err := json.Unmarshal(d.body, &body); err != nil || body.Type != "quadrille.webhook.v1.Test" || body.Data["webhookId"] != id {
		t.Errorf("test event %s: %v", d.body, err)
	}
}

// What cannot be is refused with its pointer, before anything is written.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := open(t, "WEBHOOK_LOOPBACK", "false")
	for body, pointer := range map[string]string{
		`{"events":["*"]}`:                                                                                "/url",
		`{"url":"https://shop.example/"}`:                                                                 "/events",
		`{"url":null,"events":["*"]}`:                                                                     "/url",
		`{"url":"https://10.0.0.1/","events":["*"]}`:                                                      "/url",
		`{"url":"https://169.254.169.254/latest/meta-data","events":["*"]}`:                               "/url",
		`{"url":"https://localhost/","events":["*"]}`:                                                     "/url",
		`{"url":"http://shop.example/","events":["*"]}`:                                                   "/url",
		`{"url":"https://shop.example:22/","events":["*"]}`:                                               "/url",
		`{"url":"https://shop.example/","events":[]}`:                                                     "/events",
		`{"url":"https://shop.example/","events":["OrderCompleted"]}`:                                     "/events",
		`{"url":"https://shop.example/","events":["quadrille.order.v1.Checkout"]}`:                        "/events",
		`{"url":"https://shop.example/","events":["*","` + completedType + `"]}`:                          "/events",
		`{"url":"https://shop.example/","events":["quadrille.member.v1.MemberChanged"]}`:                  "/events",
		`{"url":"https://shop.example/","events":["*"],"description":"` + strings.Repeat("x", 501) + `"}`: "/description",
		`{"url":"https://shop.example/","events":["*"],"secret":"whsec_x"}`:                               "/secret",
	} {
		if a := s.ops(400, "POST", "", body); a.Pointer() != pointer {
			t.Errorf("%s: %s", body, a)
		}
	}
	s.ops(200, "GET", "", "")
	id := s.ops(201, "POST", "", `{"url":"https://shop.example/","events":["*"]}`).Field("webhookId")
	if a := s.ops(400, "PATCH", "/"+id, `{"url":"https://[::1]/"}`); a.Pointer() != "/url" {
		t.Errorf("changed to this machine: %s", a)
	}
	for path, body := range map[string]string{
		"/resend": `{}`, "/recover": `{"since":"yesterday"}`, "/rotate-secret": `{"secret":"x"}`, "/test": `[]`,
	} {
		s.ops(400, "POST", "/"+id+path, body)
	}
	for _, query := range []string{"limit=0", "startingAfter=x", "eventId=x"} {
		s.ops(400, "GET", "/"+id+"/attempts?"+query, "")
	}
	// Every spelling of a UUID is one, and what is not there is not there.
	other := uuid.NewString()
	for _, spelled := range []string{other, "urn:uuid:" + other, "{" + other + "}", strings.ReplaceAll(other, "-", ""), "x", "%00"} {
		s.ops(404, "GET", "/"+spelled, "")
	}
	for _, spelled := range []string{"urn:uuid:" + other, "%7B" + other + "%7D"} {
		s.ops(200, "GET", "?startingAfter="+spelled, "")
		s.ops(200, "GET", "/"+id+"/attempts?startingAfter="+spelled+"&eventId="+spelled, "")
	}
	if a := s.ops(404, "POST", "/"+id+"/resend", `{"eventId":"`+other+`"}`); !strings.Contains(a.Field("detail"), "30 days") {
		t.Errorf("an event that is not kept: %s", a)
	}
}

func TestOnlyOperators(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := uuid.NewString()
	for path, methods := range map[string][]string{
		"": {"GET", "POST"}, "/" + id: {"GET", "PATCH", "DELETE"}, "/" + id + "/attempts": {"GET"},
		"/" + id + "/rotate-secret": {"POST"}, "/" + id + "/resend": {"POST"}, "/" + id + "/recover": {"POST"}, "/" + id + "/test": {"POST"},
	} {
		for _, method := range methods {
			for token, status := range map[string]int{"": 401, s.Token("kim"): 403} {
				if a := s.Call(token, method, "/ops/v1/webhooks"+path, "{}"); a.Status != status {
					t.Errorf("%s %s: %s, want %d", method, path, a, status)
				}
			}
		}
	}
}

// However many ask at once, there are never more webhooks than are allowed; one that is deleted makes room.
func TestLimit(t *testing.T) {
	t.Parallel()
	s := open(t, "WEBHOOK_MAX_ENDPOINTS", "5")
	var group sync.WaitGroup
	statuses := make([]int, 20)
	for i := range statuses {
		group.Go(func() {
			statuses[i] = s.Call(s.operator(), "POST", "/ops/v1/webhooks", `{"url":"https://shop.example/","events":["*"]}`).Status
		})
	}
	group.Wait()
	slices.Sort(statuses)
	if want := slices.Concat(slices.Repeat([]int{201}, 5), slices.Repeat([]int{409}, 15)); !slices.Equal(statuses, want) {
		t.Errorf("answered %v", statuses)
	}
	first := s.ops(200, "GET", "?limit=2", "")
	ids := []string{}
	for page := first; ; page = s.ops(200, "GET", "?limit=2&startingAfter="+ids[len(ids)-1], "") {
		for _, e := range page.Data() {
			ids = append(ids, e["webhookId"].(string))
		}
		if !page.More() {
			break
		}
	}
	if !slices.IsSortedFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) || len(slices.Compact(slices.Clone(ids))) != 5 {
		t.Errorf("pages %v", ids)
	}
	s.ops(204, "DELETE", "/"+ids[0], "")
	s.ops(201, "POST", "", `{"url":"https://shop.example/","events":["*"]}`)
}

// Of what nobody wants nothing is written: no row about the event, its order or anything else.
func TestNobodyWants(t *testing.T) {
	t.Parallel()
	s := open(t)
	rows := func() (n int) {
		err := s.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM subject) + (SELECT count(*) FROM fact) + (SELECT count(*) FROM delivery) +
			(SELECT count(*) FROM inbox)`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range 20 {
		order := fmt.Sprintf("order-%d", i)
		s.Publish(order, completed(order), cancelled(order))
	}
	s.CaughtUp()
	if n := rows(); n != 0 {
		t.Errorf("%d rows for events that nobody wants", n)
	}
	r := receive(t, nil)
	id, _ := s.subscribe(r.url, cancelledType)
	before := rows() // the command's own
	s.Publish("order-x", completed("order-x"))
	s.CaughtUp()
	if n := rows(); n != before {
		t.Errorf("%d rows for an event that nobody wants", n-before)
	}
	s.ops(200, "PATCH", "/"+id, `{"enabled":false}`)
	before = rows()
	s.Publish("order-y", cancelled("order-y"))
	s.CaughtUp()
	if n := rows(); n != before {
		t.Errorf("%d rows for an event of a disabled webhook", n-before)
	}
}

// An event can be sent again, whether it was delivered before or was never this webhook's, under its own id.
func TestResend(t *testing.T) {
	t.Parallel()
	s := open(t)
	r, other := receive(t, nil), receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusOK) })
	id, _ := s.subscribe(r.url, completedType)
	otherID, _ := s.subscribe(other.url, cancelledType)
	event := s.Publish("order-1", completed("order-1"))
	s.untilLogged(id, event, 1)
	s.ops(202, "POST", "/"+id+"/resend", `{"eventId":"`+event+`","reason":"they lost it"}`)
	s.ops(202, "POST", "/"+otherID+"/resend", `{"eventId":"`+strings.ToUpper(event)+`"}`)
	if log := s.untilLogged(id, event, 2); log[1].Attempt != 2 || log[1].Outcome != "DELIVERED" || log[0].ID >= log[1].ID {
		t.Errorf("log %+v", log)
	}
	if a, b := r.await(event, 2), other.await(event, 1); string(a[0].body) != string(a[1].body) || string(a[0].body) != string(b[0].body) {
		t.Error("the bytes differ")
	}
	older := s.ops(200, "GET", "/"+id+"/attempts?limit=1", "")
	next := s.ops(200, "GET", "/"+id+"/attempts?limit=1&startingAfter="+older.Data()[0]["id"].(string), "")
	if !older.More() || next.More() || next.Data()[0]["attempt"] != 1.0 {
		t.Errorf("pages %s and %s", older, next)
	}
}

// A webhook that is deleted or disabled gets nothing more, also of what was waiting.
func TestNothingAfterwards(t *testing.T) {
	t.Parallel()
	s := open(t)
	var allow flag
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		if allow.given() {
			w.WriteHeader(http.StatusOK)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	id, _ := s.subscribe(r.url, completedType)
	event := s.Publish("order-1", completed("order-1"))
	s.untilLogged(id, event, 1)
	s.ops(200, "PATCH", "/"+id, `{"enabled":false,"reason":"they asked"}`)
	// An attempt that was under way may still end; from then on there is none.
	count := -1
	testkit.Eventually(t, rig.Patience, func() error {
		var claimed int
		err := s.Pool.QueryRow(t.Context(), `SELECT count(*) FROM delivery WHERE claimed_until IS NOT NULL`).Scan(&claimed)
		if before := count; err == nil && claimed == 0 {
			if count = len(r.received("")); count == before {
				return nil
			}
		}
		return fmt.Errorf("%d are claimed: %w", claimed, err)
	})
	allow.give()
	s.ops(200, "PATCH", "/"+id, `{"enabled":true}`)
	got := r.await(event, count+1)
	if len(got) != count+1 {
		t.Errorf("%d requests, want %d", len(got), count+1)
	}
	s.ops(204, "DELETE", "/"+id, "")
	s.ops(404, "POST", "/"+id+"/resend", `{"eventId":"`+event+`"}`)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"DATABASE_URL": "postgres://x", "KAFKA_BROKERS": "x:1", "JWT_ISSUERS": "i", "JWT_AUDIENCES": "a", "JWT_JWKS": `{"keys":[]}`,
	}
	var cfg service.Config
	if err := run.LoadFrom(good, &cfg); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	// The schedule that the documentation names: 3 days from the first attempt to the last.
	if len(cfg.Retries) != 9 || cfg.Retries[0] != 5*time.Second || cfg.Retries[8] != 8*time.Hour || cfg.GiveUpAfter != 72*time.Hour {
		t.Errorf("retries %v for %s", cfg.Retries, cfg.GiveUpAfter)
	}
	for variable, bad := range map[string]string{
		"WEBHOOK_TIMEOUT": "1m", "WEBHOOK_RETRIES": "5s,0s", "WEBHOOK_GIVE_UP_AFTER": "-1s", "WEBHOOK_DISABLE_AFTER": "0s",
		"WEBHOOK_RETENTION": "24h", "WEBHOOK_CONCURRENCY": "0", "WEBHOOK_MAX_ENDPOINTS": "0", "WEBHOOK_EVERY": "0s", "WEBHOOK_SWEEP_EVERY": "0s",
		"WEBHOOK_PORTS": "99999",
	} {
		env := map[string]string{variable: bad}
		for k, v := range good {
			env[k] = v
		}
		if err := run.LoadFrom(env, &service.Config{}); err == nil || variable != "WEBHOOK_PORTS" && !strings.Contains(err.Error(), variable) {
			t.Errorf("%s=%s: %v", variable, bad, err)
		}
	}
}
