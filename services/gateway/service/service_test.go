package service_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// played is what payment, coupon and shipping answer in these tests.
func played(w http.ResponseWriter, r *http.Request) {
	answer := map[string]string{
		"GET /api/v1/points":         `{"balance":700,"data":[],"hasMore":false}`,
		"POST /api/v1/coupons/quote": `{"discountAmount":300,"problem":null}`,
		"GET /internal/v1/failures":  `{"data":[],"hasMore":false}`,
	}[r.Method+" "+r.URL.Path]
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	if answer == "" || strings.Contains(string(body), "NO-ANSWER") {
		w.WriteHeader(http.StatusServiceUnavailable)
		answer = `{"code":"service_unavailable","status":503}`
	}
	fmt.Fprint(w, answer)
}

const orderBody = `{"items":[{"productId":"TEA","quantity":2,"productPrice":500}],"paymentAmount":1000,"paymentType":"CREDIT"}`

// list puts a product on sale and waits until orders can name it.
func (r *system) list(id string, quantity int) {
	r.T.Helper()
	r.expect(http.StatusCreated, r.operator(), "POST", "/ops/v1/products",
		fmt.Sprintf(`{"productId":%q,"name":"Tea","price":500,"currency":"KRW","quantity":%d,"reason":"spring"}`, id, quantity))
	testkit.Eventually(r.T, rig.Patience, func() error {
		p := r.call(r.Token("alice"), "POST", "/api/v1/orders/preview", strings.ReplaceAll(orderBody, "TEA", id))
		if problems, _ := p.Body["problems"].([]any); p.Status != http.StatusOK || len(problems) > 0 {
			return fmt.Errorf("%s is not known yet: %s", id, p.Text)
		}
		return nil
	})
}

// types are the short names of a timeline's events.
func types(lines []map[string]any) (names []string) {
	for _, line := range lines {
		names = append(names, line["type"].(string))
	}
	return names
}

// order places one and waits until its timeline has reached stock.
func (r *system) order(member string) (id string, lines []map[string]any) {
	r.T.Helper()
	placed := r.expect(http.StatusAccepted, r.Token(member), "POST", "/api/v1/orders", orderBody, "Idempotency-Key", uuid.NewString())
	id = placed.Body["orderId"].(string)
	testkit.Eventually(r.T, rig.Patience, func() error {
		lines = r.expect(http.StatusOK, r.Token(member), "GET", "/api/v1/orders/"+id+"/events", "").Data()
		if len(lines) < 2 {
			return fmt.Errorf("timeline has %v", types(lines))
		}
		return nil
	})
	return id, lines
}

func TestGateway(t *testing.T) {
	t.Parallel()
	r := start(t, played)
	r.list("TEA", 1000)

	t.Run("timeline", func(t *testing.T) { testTimeline(t, r) })
	t.Run("stream", func(t *testing.T) { testStream(t, r) })
	t.Run("preview", func(t *testing.T) { testPreview(t, r) })
	t.Run("operators", func(t *testing.T) { testOperators(t, r) })
	t.Run("console", func(t *testing.T) { testConsole(t, r) })
	t.Run("pages", func(t *testing.T) { testPages(t, r) })
	t.Run("unknown types are kept", func(t *testing.T) { testUnknown(t, r) })
	t.Run("order service down", func(t *testing.T) { testOrderDown(t, r) })
}

func testTimeline(t *testing.T, r *system) {
	id, lines := r.order("alice")
	if got := strings.Join(types(lines), " "); got != "OrderCreated StockDecreased" {
		t.Fatalf("timeline: %s", got)
	}
	if lines[0]["causationId"] != nil || lines[1]["causationId"] != lines[0]["id"] || lines[0]["service"] != "order" {
		t.Errorf("causes: %v", lines)
	}
	if lines[0]["ignored"] != nil || !strings.Contains(lines[0]["summary"].(string), "2 × TEA; ₩1,000") {
		t.Errorf("first line: %v", lines[0])
	}
	events := "/api/v1/orders/" + id + "/events"
	if a := r.call(r.Token("bob"), "GET", events, ""); a.Status != http.StatusNotFound || a.Code() != "not_found" {
		t.Errorf("somebody else's timeline: %d %s", a.Status, a.Code())
	}
	r.expect(http.StatusUnauthorized, "", "GET", events, "")
	r.expect(http.StatusOK, r.operator(), "GET", events, "")

	// A cancel while pending, and a payment that was already on its way: it is shown, and why it changed nothing.
	r.expect(http.StatusAccepted, r.Token("alice"), "POST", "/api/v1/orders/"+id+"/cancel", `{"reason":"changed my mind"}`)
	r.publish(id, lines[1]["id"].(string), &paymentv1.PaymentCompleted{OrderId: id, UserId: "alice", PaymentAmount: 1000, Currency: "KRW"})
	lines = r.until(id, "alice", "PaymentCompleted")
	for _, line := range lines {
		ignored := line["ignored"]
		if want := line["type"] == "PaymentCompleted"; (ignored != nil) != want || want && ignored != "order was already cancelled" {
			t.Errorf("%s: ignored %v", line["type"], ignored)
		}
	}
}

// until reads a timeline until it has an event of the type.
func (r *system) until(id, member, eventType string) (lines []map[string]any) {
	r.T.Helper()
	testkit.Eventually(r.T, rig.Patience, func() error {
		lines = r.expect(http.StatusOK, r.Token(member), "GET", "/api/v1/orders/"+id+"/events", "").Data()
		if !strings.Contains(strings.Join(types(lines), " "), eventType) {
			return fmt.Errorf("timeline has %v", types(lines))
		}
		return nil
	})
	return lines
}

// stream opens a live timeline and returns its status and its lines.
func (r *system) stream(id, last string) (int, *bufio.Scanner) {
	r.T.Helper()
	headers := []string{"Accept", "text/event-stream"}
	if last != "" {
		headers = append(headers, "Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r.Request(r.Token("alice"), "GET", "/api/v1/orders/"+id+"/events", "", headers...))
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(func() { resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode == http.StatusOK && got != "text/event-stream" {
		r.T.Errorf("a stream of type %q", got)
	}
	return resp.StatusCode, bufio.NewScanner(resp.Body)
}

// next reads a stream up to its next event; io.EOF at its end.
func next(scanner *bufio.Scanner) (id string, line map[string]any, err error) {
	for scanner.Scan() {
		if value, ok := strings.CutPrefix(scanner.Text(), "id: "); ok {
			id = value
		}
		if value, ok := strings.CutPrefix(scanner.Text(), "data: "); ok {
			return id, line, json.Unmarshal([]byte(value), &line)
		}
	}
	if scanner.Err() != nil {
		return "", nil, scanner.Err()
	}
	return "", nil, io.EOF
}

func testStream(t *testing.T, r *system) {
	id, lines := r.order("alice")
	_, live := r.stream(id, "")
	for _, want := range lines {
		if eventID, line, err := next(live); err != nil || eventID != want["id"] || line["type"] != want["type"] {
			t.Fatalf("stream has %v, want %v: %v", line, want, err)
		}
	}
	// The outcome ends the stream, with everything that came before it.
	paid := r.publish(id, lines[1]["id"].(string), &paymentv1.PaymentCompleted{OrderId: id, UserId: "alice", PaymentAmount: 1000, Currency: "KRW"})
	if eventID, _, err := next(live); err != nil || eventID != paid {
		t.Fatalf("stream has %s, want the payment %s: %v", eventID, paid, err)
	}
	lastID, line, err := next(live)
	if err != nil || line["type"] != "OrderCompleted" || line["causationId"] != paid {
		t.Fatalf("stream has %v: %v", line, err)
	}
	if _, line, err := next(live); !errors.Is(err, io.EOF) {
		t.Fatalf("the stream goes on with %v: %v", line, err)
	}
	// Who comes back gets the rest, and is told when there is none.
	_, again := r.stream(id, lines[1]["id"].(string))
	for _, want := range []string{"PaymentCompleted", "OrderCompleted"} {
		if _, line, err := next(again); err != nil || line["type"] != want {
			t.Fatalf("after coming back: %v, want %s: %v", line, want, err)
		}
	}
	if status, _ := r.stream(id, lastID); status != http.StatusNoContent {
		t.Errorf("after the end: %d, want 204", status)
	}
}

func testPreview(t *testing.T, r *system) {
	body := strings.Replace(orderBody, `"quantity":2`, `"quantity":2000`, 1)
	body = strings.Replace(body, `}],`, `}],"discountPolicyId":"WELCOME","discountAmount":300,"pointAmount":800,`, 1)
	a := r.expect(http.StatusOK, r.Token("alice"), "POST", "/api/v1/orders/preview", body)
	part := func(name string) string {
		raw, err := json.Marshal(a.Body[name])
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for name, want := range map[string]string{
		"itemsAmount": "1000000", "points": `{"balance":700,"enough":false}`, "notes": "[]",
		"coupon":       `{"discountAmount":300,"problem":null}`,
		"availability": `[{"available":` + available(r) + `,"enough":false,"productId":"TEA","requested":2000}]`,
	} {
		if part(name) != want {
			t.Errorf("%s: %s, want %s", name, part(name), want)
		}
	}
	a = r.expect(http.StatusOK, r.Token("alice"), "POST", "/api/v1/orders/preview", strings.Replace(body, "WELCOME", "NO-ANSWER", 1))
	if part("coupon") != "null" || !strings.Contains(part("notes"), `"service":"coupon"`) {
		t.Errorf("coupon is down: %s, notes %s", part("coupon"), part("notes"))
	}
	if a := r.call(r.Token("alice"), "POST", "/api/v1/orders/preview", `{"item":[]}`); a.Status != http.StatusBadRequest || a.Code() != "unknown_field" {
		t.Errorf("unknown field: %d %s", a.Status, a.Text)
	}
	r.expect(http.StatusUnsupportedMediaType, r.Token("alice"), "POST", "/api/v1/orders/preview", orderBody, "Content-Type", "text/plain")
}

func available(r *system) string {
	return fmt.Sprint(r.expect(http.StatusOK, "", "GET", "/api/v1/products/TEA", "").Body["quantity"])
}

func testOperators(t *testing.T, r *system) {
	r.expect(http.StatusForbidden, r.Token("alice"), "GET", "/ops/v1/failures", "")
	r.expect(http.StatusUnauthorized, "", "GET", "/ops/v1/topology", "")

	// An event that stock cannot decode parks its order there; the group is seen here, and can be replayed.
	id := uuid.Must(uuid.NewV7()).String()
	r.SendBytes("quadrille.order.v1.OrderCreated", id, "", []byte("not protobuf"))
	var group map[string]any
	testkit.Eventually(t, rig.Patience, func() error {
		a := r.expect(http.StatusOK, r.operator(), "GET", "/ops/v1/failures", "")
		if down := fmt.Sprint(a.Body["unavailable"]); down != "[mailer]" {
			return fmt.Errorf("unavailable: %s", down)
		}
		for _, g := range a.Data() {
			if g["service"] == "stock" {
				group = g
				return nil
			}
		}
		return fmt.Errorf("no group: %s", a.Text)
	})
	if fmt.Sprint(group["subjects"]) != "["+id+"]" || group["count"] != 1.0 {
		t.Errorf("group: %v", group)
	}
	dry := r.expect(http.StatusOK, r.operator(), "POST", "/ops/v1/failures/replay",
		fmt.Sprintf(`{"filter":{"service":"stock","subject":%q},"dryRun":true}`, id))
	if data := dry.Data(); len(data) != 1 || data[0]["outcome"] != "matched" {
		t.Errorf("dry run: %s", dry.Text)
	}
	if a := r.call(r.operator(), "POST", "/ops/v1/failures/replay", `{"filter":{}}`); a.Status != http.StatusBadRequest {
		t.Errorf("no filter: %d", a.Status)
	}
	subscriptions := r.expect(http.StatusOK, r.operator(), "GET", "/ops/v1/subscriptions", "")
	if !strings.Contains(subscriptions.Text, `"service":"gateway"`) || !strings.Contains(subscriptions.Text, `"service":"stock"`) {
		t.Errorf("subscriptions: %s", subscriptions.Text)
	}
	r.expect(http.StatusNoContent, r.operator(), "POST", "/ops/v1/subscriptions/gateway/resume", "")
	r.expect(http.StatusNotFound, r.operator(), "POST", "/ops/v1/subscriptions/nobody/resume", "")
	if a := r.expect(http.StatusOK, r.operator(), "GET", "/ops/v1/topology", ""); len(a.Data()) < 7 {
		t.Errorf("topology: %s", a.Text)
	}
	audit := r.expect(http.StatusOK, r.operator(), "GET", "/ops/v1/audit?limit=100", "").Data()
	first := audit[len(audit)-1]
	if first["operator"] != "olga" || first["path"] != "/ops/v1/products" || first["reason"] != "spring" || first["status"] != 201.0 {
		t.Errorf("audit: %v", first)
	}
}

func testConsole(t *testing.T, r *system) {
	id, _ := r.order("alice")
	if a := r.expect(http.StatusSeeOther, "", "GET", "/", ""); a.Header.Get("Location") != "/console" {
		t.Errorf("root goes to %q", a.Header.Get("Location"))
	}
	r.expect(http.StatusUnauthorized, "", "GET", "/console", "")
	r.expect(http.StatusForbidden, "", "GET", "/console/login?token="+r.Token("alice"), "")
	in := r.expect(http.StatusSeeOther, "", "GET", "/console/login?token="+r.operator(), "")
	cookie := in.Header.Get("Set-Cookie")
	if in.Header.Get("Location") != "/console" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("sign in: %v", in.Header)
	}
	session := strings.SplitN(cookie, ";", 2)[0]
	for path, want := range map[string]string{
		"/console": id, "/console?status=PENDING": id, "/console/orders/" + id: "StockDecreased",
		"/console/failures": "mailer does not answer",
	} {
		if a := r.expect(http.StatusOK, "", "GET", path, "", "Cookie", session); !strings.Contains(a.Text, want) {
			t.Errorf("%s lacks %q: %s", path, want, a.Text)
		}
	}
	if a := r.expect(http.StatusOK, "", "GET", "/console?status=DELIVERED", "", "Cookie", session); strings.Contains(a.Text, id) {
		t.Error("the filter shows an order of another status")
	}
	r.expect(http.StatusNotFound, "", "GET", "/console/orders/nothing", "", "Cookie", session)
	r.expect(http.StatusSeeOther, "", "GET", "/console?id="+id, "", "Cookie", session)
}

func testPages(t *testing.T, r *system) {
	if a := r.expect(http.StatusOK, "", "GET", "/openapi.json", ""); a.Body["openapi"] != "3.0.3" {
		t.Errorf("openapi: %v", a.Body["openapi"])
	}
	for _, path := range []string{"/docs", "/docs/docs.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/errors", "/console/console.css"} {
		a := r.expect(http.StatusOK, "", "GET", path, "")
		if a.Header.Get("Content-Security-Policy") == "" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, a.Header)
		}
	}
	r.expect(http.StatusNotFound, "", "GET", "/docs/other", "")
	if a := r.call("", "DELETE", "/api/v1/orders", ""); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", a.Status)
	}
}

func testUnknown(t *testing.T, r *system) {
	id, lines := r.order("alice")
	r.SendBytes("quadrille.payment.v1.PaymentDreamt", id, lines[0]["id"].(string), []byte{1})
	lines = r.until(id, "alice", "PaymentDreamt")
	if summary := lines[len(lines)-1]["summary"].(string); !strings.Contains(summary, "cannot be read") {
		t.Errorf("summary %q", summary)
	}
}

// testOrderDown comes last: it stops the order service. Its timeline is still there, for its owner.
func testOrderDown(t *testing.T, r *system) {
	id, _ := r.order("alice")
	r.stopOrder()
	events := "/api/v1/orders/" + id + "/events"
	r.expect(http.StatusOK, r.Token("alice"), "GET", events, "")
	if a := r.expect(http.StatusServiceUnavailable, r.Token("bob"), "GET", events, ""); a.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	if a := r.expect(http.StatusServiceUnavailable, r.Token("alice"), "GET", "/api/v1/orders/"+id, ""); a.Code() != "service_unavailable" {
		t.Errorf("code %s", a.Code())
	}
	r.expect(http.StatusServiceUnavailable, r.Token("alice"), "POST", "/api/v1/orders/preview", orderBody)
}
