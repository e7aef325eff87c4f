package up_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// What a start leaves behind, that it stops in order, and that the next one goes on where it was.
func TestStartStopStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := up(t, dir)
	leftBehind(t, first)
	commands(t, first)

	second := begin(t, dir)
	<-second.ended
	if code := second.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(second.screen.String(), "runs already") {
		t.Errorf("a second one on the folder ends with %d:\n%s", code, second.screen.String())
	}
	if !exists(filepath.Join(dir, "dev.env")) {
		t.Fatal("the second one took dev.env away")
	}
	points, orders := pointsOf(t, first), ordersOf(t, first.client("CUSTOMER_TOKEN"))

	// What an operator changed stays changed: the next start neither seeds it again nor waits for it.
	if _, err := first.client("OPERATOR_TOKEN").Call(t.Context(), rest.Request{
		Method: http.MethodPatch, Path: "/ops/v1/products/" + local.SoldOut, Body: map[string]any{"onSale": false},
	}, nil); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if code := first.signal(syscall.SIGINT); code != 0 {
		t.Errorf("interrupted, it ends with %d:\n%s", code, first.screen.String())
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if exists(filepath.Join(dir, "dev.env")) {
		t.Error("dev.env is still there")
	}
	if _, _, code := run(t, dir, "product", "list"); code != 3 {
		t.Errorf("with nothing running, a command ends with %d, want 3", code)
	}

	again := up(t, dir)
	if now := ordersOf(t, again.client("CUSTOMER_TOKEN")); len(now) != len(orders) || len(orders) == 0 {
		t.Errorf("%d orders are there, %d were", len(now), len(orders))
	}
	if now := pointsOf(t, again); now != points {
		t.Errorf("%d points, %d before: seeded again?", now, points)
	}
	// An old token is still good: its key was kept.
	if err := again.client("").As(first.env["CUSTOMER_TOKEN"]).Get(t.Context(), "/api/v1/points", nil); err != nil {
		t.Error(err)
	}
	again.signal(syscall.SIGTERM)

	fresh := up(t, dir, "--fresh", "--carrier-delay", "500ms")
	if now := ordersOf(t, fresh.client("CUSTOMER_TOKEN")); len(now) != 0 {
		t.Errorf("--fresh left %d orders", len(now))
	}
	if now := pointsOf(t, fresh); now != local.Points {
		t.Errorf("%d points after --fresh", now)
	}
	leavesByItself(t, fresh)
}

// leavesByItself: the simulated carrier dispatches after its delay, without being told.
func leavesByItself(t *testing.T, i *instance) {
	t.Helper()
	if out, errors, code := run(t, i.dir, "order", "create", "--wait", "20"); code != 0 {
		t.Fatal(out, errors)
	}
	testkit.Eventually(t, 20*time.Second, func() error {
		if o := ordersOf(t, i.client("CUSTOMER_TOKEN")); len(o) != 1 || o[0].Status != "SHIPPED" {
			return fmt.Errorf("%+v", o)
		}
		return nil
	})
}

// signsIn: a seeded customer gets a token that the shop believes, and has a default address.
func signsIn(t *testing.T, i *instance, email, password string) {
	t.Helper()
	var session struct{ AccessToken string }
	if err := i.client("").Post(t.Context(), "/api/v1/sessions", map[string]string{"email": email, "password": password}, &session); err != nil {
		t.Fatalf("%s: %v", email, err)
	}
	var me struct {
		Email     string
		Addresses []struct{ Default bool }
	}
	if err := i.client("").As(session.AccessToken).Get(t.Context(), "/api/v1/members/me", &me); err != nil {
		t.Fatal(err)
	}
	if me.Email != email || len(me.Addresses) != 1 || !me.Addresses[0].Default {
		t.Errorf("%+v", me)
	}
}

func leftBehind(t *testing.T, i *instance) {
	t.Helper()
	for _, name := range []string{
		"PATH", "GATEWAY_URL", "CONSOLE_URL", "INBOX_URL", "CUSTOMER_TOKEN", "CUSTOMER2_TOKEN", "OPERATOR_TOKEN", "KAFKA_BROKERS",
		"DATABASE_URL_ORDER", "DATABASE_URL_STOCK", "DATABASE_URL_COUPON", "DATABASE_URL_PAYMENT", "DATABASE_URL_SHIPPING",
		"DATABASE_URL_MAILER", "DATABASE_URL_MEMBER", "DATABASE_URL_GATEWAY", "DATABASE_URL_DATAPLATFORM", "DATAPLATFORM_URL",
	} {
		if i.env[name] == "" {
			t.Errorf("dev.env has no %s", name)
		}
	}
	for _, name := range []string{"CUSTOMER_EMAIL", "CUSTOMER2_EMAIL"} {
		signsIn(t, i, i.env[name], i.env["CUSTOMER_PASSWORD"])
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(i.env["PATH"], filepath.Dir(path)+":") {
		t.Errorf("PATH is %s", i.env["PATH"])
	}
	cookies, err := cookiejar.New(nil) // signing in to the console gives one
	if err != nil {
		t.Fatal(err)
	}
	browser := http.Client{Jar: cookies}
	for _, url := range []string{i.env["CONSOLE_URL"], i.env["INBOX_URL"], i.env["GATEWAY_URL"] + "/openapi.json", i.env["GATEWAY_URL"] + "/docs", i.env["DATAPLATFORM_URL"] + "/received"} {
		if !strings.Contains(i.screen.String(), strings.TrimSuffix(url, "/openapi.json")) {
			t.Errorf("the screen does not name %s", url)
		}
		res, err := browser.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("GET %s is answered %d", url, res.StatusCode)
		}
	}
	for name, url := range i.env {
		if !strings.HasPrefix(name, "DATABASE_URL_") {
			continue
		}
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		conn.Close(t.Context())
	}
	var products struct {
		Data []struct {
			ProductID       string
			Price, Quantity int64
		}
	}
	if err := i.client("CUSTOMER_TOKEN").Get(t.Context(), "/api/v1/products", &products); err != nil {
		t.Fatal(err)
	}
	got := map[string][2]int64{}
	for _, p := range products.Data {
		got[p.ProductID] = [2]int64{p.Price, p.Quantity}
	}
	for id, want := range map[string][2]int64{local.Product: {10_050, 1_000}, local.Flash: {1_000, 100}, local.SoldOut: {1_000, 0}} {
		if got[id] != want {
			t.Errorf("%s has price and quantity %v, want %v", id, got[id], want)
		}
	}
	if points := pointsOf(t, i); points != 50_000 {
		t.Errorf("%d points", points)
	}
}

// commands runs the command line against a running system.
func commands(t *testing.T, i *instance) {
	t.Helper()
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)
	said := func(code int, want string, args ...string) string {
		t.Helper()
		out, errors, got := run(t, i.dir, args...)
		if got != code || !regexp.MustCompile(want).MatchString(out+errors) {
			t.Errorf("quadrille %s ends with %d, want %d, and says no %s:\n%s%s", strings.Join(args, " "), got, code, want, out, errors)
		}
		return out
	}
	out := said(0, `(?s)OrderCreated.*OrderCompleted +<- PaymentCompleted.*COMPLETED`, "order", "create")
	order := id.FindString(out)
	said(0, `(?s)PaymentFailed.*StockIncreased.*CANCELLED PAYMENT_DECLINED`, "order", "create", "--token", "tok_decline")
	said(0, `CANCELLED OUT_OF_STOCK`, "order", "create", "--product", "SOLDOUT")
	said(0, `COMPLETED.*500 points`, "order", "create", "--points", "500", "--wait", "20")
	said(0, `AVAILABLE`, "coupon", "issue", "WELCOME")
	said(0, `(?s)CouponUsed.*COMPLETED`, "order", "create", "--coupon", "WELCOME")
	said(0, `"status":"COMPLETED"`, "--json", "order", "get", order)
	said(1, `404 not_found`, "order", "get", order, "--user2")
	said(1, `price_changed`, "order", "create", "--price", "1")
	said(2, `unknown flag`, "order", "create", "--nonsense")
	said(0, `FLASH +₩1,000 +100`, "product", "list")
	said(0, `stock +event +OrderCreated +StockDecreased, StockDecreaseFailed`, "topology")
	said(0, `nothing is parked`, "dlq", "list")
	poison := undecodable(t, i)
	testkit.Eventually(t, 20*time.Second, func() error {
		if out, errors, _ := run(t, i.dir, "dlq", "list"); !strings.Contains(out, poison) {
			return fmt.Errorf("%s is not parked:\n%s%s", poison, out, errors)
		}
		return nil
	})
	said(0, `matched +stock `+poison, "dlq", "replay", "--service", "stock", "--dry-run")
	said(1, `failed +stock `+poison, "dlq", "replay", "--subject", poison)
	said(2, `--group`, "dlq", "replay")
	said(0, `"type":"quadrille.order.v1.OrderCreated"`, "events", "tail", "--from-start", "--subject", order, "--type", "OrderCreated", "-n", "1")
	said(0, `parcel SIM.*dispatched`, "ship", order, "dispatched")
	said(0, `payment +down`, "fault", "payment", "down")
	said(4, `not settled in time`, "order", "create", "--timeout", "2s")
	said(0, `payment +none`, "fault", "clear")
	said(0, `Exit codes: 0 done`, "--help")
}

// undecodable publishes an event that nobody can read, and returns its order.
func undecodable(t *testing.T, i *instance) string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(i.env["KAFKA_BROKERS"]))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	id := uuid.Must(uuid.NewV7()).String()
	r := &kgo.Record{Topic: "order.v1", Key: []byte(id), Value: []byte{0xff}}
	for name, value := range map[string]string{
		"ce_id": uuid.Must(uuid.NewV7()).String(), "ce_type": "quadrille.order.v1.OrderCreated", "ce_subject": id,
		"ce_source": "/quadrille/order", "ce_time": time.Now().UTC().Format(time.RFC3339Nano), "ce_sequence": "1",
		"ce_specversion": "1.0", "content-type": "application/protobuf",
	} {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return id
}

type placed struct {
	OrderID, Status            string
	PaymentAmount, PointAmount int64
	Items                      []struct {
		ProductID string
		Quantity  int64
	}
}

// ordersOf reads all orders of a customer.
func ordersOf(t *testing.T, c rest.Client) []placed {
	t.Helper()
	var all []placed
	for after := ""; ; {
		var page struct {
			Data    []placed
			HasMore bool
		}
		path := "/api/v1/orders?limit=100"
		if after != "" {
			path += "&startingAfter=" + after
		}
		if err := c.Get(t.Context(), path, &page); err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Data...)
		if !page.HasMore {
			return all
		}
		after = page.Data[len(page.Data)-1].OrderID
	}
}

func pointsOf(t *testing.T, i *instance) int64 {
	t.Helper()
	var points struct{ Balance int64 }
	if err := i.client("CUSTOMER_TOKEN").Get(t.Context(), "/api/v1/points", &points); err != nil {
		t.Fatal(err)
	}
	return points.Balance
}
