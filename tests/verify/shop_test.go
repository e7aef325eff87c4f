// Package verify_test tampers with the data of a running system, one row after the other, and wants
// `quadrille verify` to name that row and nothing else; and what it prints as the repair to mend it.
package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/quadrille/cli"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/reconcile"
)

func TestMain(m *testing.M) {
	// Of the person who runs the tests: the command line would speak to that system.
	os.Unsetenv("GATEWAY_URL")
	os.Unsetenv("OPERATOR_TOKEN")
	testkit.Main(m)
}

// patience is how long anything may take here, on a machine that has much else to do.
const patience = 60 * time.Second

// look is the time between verify's two looks here; longer than what mailer and gateway let pass.
const look = 200 * time.Millisecond

// shop is a running system, its databases, and a folder in which the command line finds it.
type shop struct {
	*local.System
	ops       rest.Client
	databases map[string]*pgxpool.Pool
	dir       string
	ids       int
}

type fields = map[string]any

const members = 20

func memberID(n int) string { return fmt.Sprintf("member-%02d", n) }

// open starts a system of the test's own. Nothing is seeded but members.
func open(t *testing.T, environment map[string]string) *shop {
	t.Helper()
	s := &shop{databases: map[string]*pgxpool.Pool{}, dir: t.TempDir()}
	urls := map[string]string{}
	for _, name := range local.Services() {
		urls[name] = testkit.Database(t)
		s.databases[name] = testkit.Pool(t, urls[name])
	}
	var known []*memberv1.MemberChanged
	for n := range members {
		known = append(known, local.Member(memberID(n), fmt.Sprintf("0190a3a0-0000-7000-8000-2%011d", n), "en"))
	}
	settings := map[string]string{"LOG_LEVEL": "warn", "PAYMENT_TIMEOUT": "1s"}
	for name, value := range environment {
		settings[name] = value
	}
	log := &buffer{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var err error
	s.System, err = local.Start(ctx, local.Config{
		Dir: t.TempDir(), Databases: urls, Brokers: testkit.Brokers(t), TopicPrefix: testkit.TopicPrefix(t), Partitions: 2,
		Members: known, Log: log, Environment: settings, Tuning: engine.Tuning{Sweep: 100 * time.Millisecond, Relaxed: 25 * time.Millisecond},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Logf("warnings and errors of the services:\n%s", log.String())
		}
	})
	token, err := s.Token(local.Operator, web.RoleOperator)
	check(t, err)
	s.ops = rest.Client{BaseURL: s.GatewayURL(), Token: token}
	env := fmt.Sprintf("export GATEWAY_URL='%s'\nexport OPERATOR_TOKEN='%s'\n", s.GatewayURL(), token)
	check(t, os.WriteFile(filepath.Join(s.dir, "dev.env"), []byte(env), 0o600))
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quadrille runs the command line.
func (s *shop) quadrille(args ...string) (code int, stdout, stderr string) {
	var out, errors bytes.Buffer
	code = cli.Main(append([]string{"--dir", s.dir}, args...), &out, &errors)
	return code, out.String(), errors.String()
}

// verify runs `quadrille verify --json`.
func (s *shop) verify(t *testing.T, args ...string) (int, reconcile.Report) {
	t.Helper()
	args = append([]string{"--json", "verify", "--wait", look.String(), "--stuck", "1s", "--pause", "0"}, args...)
	code, out, errors := s.quadrille(args...)
	if code > 1 {
		t.Fatalf("verify ends with %d: %s", code, errors)
	}
	var report reconcile.Report
	check(t, json.Unmarshal([]byte(out), &report))
	if (code == 1) != (len(report.Differences) > 0) {
		t.Errorf("verify ends with %d and %d differences", code, len(report.Differences))
	}
	return code, report
}

// clean wants verify to find nothing, soon: a repair takes its way through the services.
func (s *shop) clean(t *testing.T) reconcile.Report {
	t.Helper()
	var last reconcile.Report
	testkit.Eventually(t, patience, func() error {
		var code int
		if code, last = s.verify(t); code != 0 {
			return fmt.Errorf("verify finds %s", sentences(last))
		}
		return nil
	})
	return last
}

func sentences(r reconcile.Report) string {
	var all []string
	for _, d := range r.Differences {
		all = append(all, fmt.Sprintf("[%s %s] %s", d.Rule, d.Row, d.Sentence))
	}
	return strings.Join(append(all, r.Open...), "\n")
}

// as is a member's client.
func (s *shop) as(t *testing.T, member string) rest.Client {
	t.Helper()
	client, err := s.Client(member)
	check(t, err)
	return client
}

// product lists a product and waits until it can be ordered.
func (s *shop) product(t *testing.T, quantity int64) string {
	t.Helper()
	s.ids++
	id := fmt.Sprintf("PRODUCT-%d", s.ids)
	check(t, s.ops.Post(t.Context(), "/ops/v1/products",
		local.NewProduct{ProductID: id, Name: "Piece", Price: 1000, Currency: "KRW", Quantity: quantity}, nil))
	check(t, local.AwaitOrderable(t.Context(), s.as(t, memberID(0)), id))
	return id
}

// basket is a body for pieces of a product at 1,000 each.
func basket(product string, quantity int64, more fields) fields {
	body := fields{
		"items":         []fields{{"productId": product, "quantity": quantity, "productPrice": 1000}},
		"paymentAmount": 1000 * quantity, "paymentType": "CREDIT",
	}
	for name, value := range more {
		body[name] = value
	}
	return body
}

type order struct {
	OrderID  string
	Status   string
	Reason   *string
	Shipment *struct{ Status string }
	Undo     *struct{ Payment string }
}

// buy places an order and waits until it is as wanted.
func (s *shop) buy(t *testing.T, member string, body fields, want string) string {
	t.Helper()
	var o order
	_, err := s.as(t, member).Call(t.Context(), rest.Request{
		Method: http.MethodPost, Path: "/api/v1/orders", Body: body, Header: map[string]string{"Idempotency-Key": uuid.NewString()},
	}, &o)
	check(t, err)
	s.await(t, o.OrderID, want)
	return o.OrderID
}

// await waits for "STATUS", "STATUS REASON" or "STATUS shipment".
func (s *shop) await(t *testing.T, id, want string) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		var o order
		if err := s.ops.Get(t.Context(), "/api/v1/orders/"+id, &o); err != nil {
			return err
		}
		is := []string{o.Status}
		if o.Reason != nil {
			is = append(is, *o.Reason)
		}
		if o.Shipment != nil {
			is = append(is, o.Shipment.Status)
		}
		if o.Undo != nil {
			is = append(is, o.Undo.Payment)
		}
		for word := range strings.FieldsSeq(want) {
			if !strings.Contains(" "+strings.Join(is, " ")+" ", " "+word+" ") {
				return fmt.Errorf("order %s is %v, want %s", id, is, want)
			}
		}
		return nil
	})
}

// ship lets the simulated carrier move the order's parcel.
func (s *shop) ship(t *testing.T, id, to string) {
	t.Helper()
	carrier := rest.Client{BaseURL: s.Simulators.CarrierURL}
	var bookings struct{ Data []struct{ BookingID string } }
	check(t, carrier.Get(t.Context(), "/v1/bookings?reference="+id, &bookings))
	if len(bookings.Data) != 1 {
		t.Fatalf("the carrier has %d parcels of order %s", len(bookings.Data), id)
	}
	check(t, carrier.Post(t.Context(), "/v1/bookings/"+bookings.Data[0].BookingID+"/advance", fields{"to": to}, nil))
}

// buffer keeps what the services log, for a test that fails.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
