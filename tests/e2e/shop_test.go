// Package e2e_test is the integration suite: the whole system in one process, on a real PostgreSQL and
// a real broker (the embedded one, or Apache Kafka: see testkit.Brokers), spoken to through its public
// API only, and watched from outside the way a subscriber would.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/simulator"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patience is how long anything may take here, on a machine that has much else to do.
const patience = 40 * time.Second

// shop is a running system with its operator and its customers.
type shop struct {
	*local.System
	ops    rest.Client
	prefix string
	// databases by service.
	databases map[string]string
	brokers   []string

	members atomic.Int64
	ids     atomic.Int64
}

// spareMembers is how many customers a shop knows, beside the two seeded ones.
const spareMembers = 700

// quickly makes waits short that would only make the tests long.
var quickly = map[string]map[string]string{
	"payment": {"PAYMENT_TIMEOUT": "1s"}, "gateway": {"CONFORMANCE_GRACE": "1s"},
}

// open starts a system of the test's own, seeded like `quadrille up`.
func open(t *testing.T, environment map[string]map[string]string) *shop {
	t.Helper()
	s := &shop{prefix: testkit.TopicPrefix(t), brokers: testkit.Brokers(t), databases: map[string]string{}}
	for _, name := range local.Services() {
		s.databases[name] = testkit.Database(t)
	}
	members := local.Members()
	for n := range spareMembers {
		members = append(members, spareMember(n))
	}
	log, begin := &buffer{}, time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var err error
	s.System, err = local.Start(ctx, local.Config{
		Dir: t.TempDir(), Databases: s.databases, Brokers: s.brokers, TopicPrefix: s.prefix, Partitions: 4,
		Members: members, Log: log, ServiceEnvironment: environment,
		Environment: map[string]string{"LOG_LEVEL": "warn"},
		Simulators:  simulator.Config{Payment: payment.Config{SlowDelay: 200 * time.Millisecond}},
		Tuning:      engine.Tuning{Sweep: 100 * time.Millisecond},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		begin := time.Now()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		t.Logf("stopped after %s", time.Since(begin).Round(time.Millisecond))
		if t.Failed() {
			t.Logf("warnings and errors of the services:\n%s", log.String())
		}
	})
	if err := s.Seed(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("the shop is open after %s", time.Since(begin).Round(time.Millisecond))
	s.ops, err = s.Client(local.Operator, web.RoleOperator)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func spareMember(n int) *memberv1.MemberChanged {
	return local.Member(fmt.Sprintf("member-%04d", n), fmt.Sprintf("0190a3a0-0000-7000-8000-1%011d", n), "en")
}

// customer is one member's client.
type customer struct {
	rest.Client
	t    *testing.T
	shop *shop
	id   string
}

// customer gives the test a member nobody else has.
func (s *shop) customer(t *testing.T) customer {
	t.Helper()
	n := s.members.Add(1) - 1
	if n >= spareMembers {
		t.Fatalf("more than %d members are used", spareMembers)
	}
	return s.member(t, spareMember(int(n)).GetMemberId())
}

func (s *shop) member(t *testing.T, id string) customer {
	t.Helper()
	client, err := s.Client(id)
	if err != nil {
		t.Fatal(err)
	}
	return customer{Client: client, t: t, shop: s, id: id}
}

// product lists a product nobody else orders, and waits until it can be ordered.
func (s *shop) product(t *testing.T, price, quantity int64) string {
	t.Helper()
	id := fmt.Sprintf("PRODUCT-%03d", s.ids.Add(1))
	err := s.ops.Post(t.Context(), "/ops/v1/products", local.NewProduct{
		ProductID: id, Name: "Piece " + id, Price: price, Currency: "KRW", Quantity: quantity,
	}, nil)
	if err != nil {
		t.Fatalf("list product: %v", err)
	}
	if err := local.AwaitOrderable(t.Context(), s.member(t, local.Customer).Client, id); err != nil {
		t.Fatal(err)
	}
	return id
}

// policy opens a coupon policy of an amount.
func (s *shop) policy(t *testing.T, amount, limit int64) string {
	t.Helper()
	id := fmt.Sprintf("POLICY-%03d", s.ids.Add(1))
	err := s.ops.Post(t.Context(), "/ops/v1/coupon-policies", local.NewPolicy{
		PolicyID: id, Name: "Off", Discount: local.Discount{Amount: amount}, Limit: limit,
		ValidFrom: time.Now().Add(-time.Hour).UTC().Truncate(time.Second), ValidUntil: time.Now().Add(time.Hour).UTC().Truncate(time.Second),
	}, nil)
	if err != nil {
		t.Fatalf("open coupon policy: %v", err)
	}
	return id
}

// left is how many pieces of a product there are.
func (s *shop) left(t *testing.T, product string) int64 {
	t.Helper()
	var p struct {
		Quantity int64 `json:"quantity"`
	}
	if err := s.ops.Get(t.Context(), "/api/v1/products/"+product, &p); err != nil {
		t.Fatal(err)
	}
	return p.Quantity
}

// money is what the provider has charged and given back for an order, by the provider's own books.
func (s *shop) money(t *testing.T, orderID string) payment.Reference {
	t.Helper()
	sum, err := s.Simulators.Payment.Summary(orderID)
	if err != nil {
		t.Fatal(err)
	}
	switch len(sum.References) {
	case 0:
		return payment.Reference{Reference: orderID}
	case 1:
		return sum.References[0]
	}
	t.Fatalf("order %s is in the provider's books in more than one currency: %+v", orderID, sum.References)
	return payment.Reference{}
}

// fields is a JSON object.
type fields map[string]any

// with is a copy with other values; nil takes a field out.
func (f fields) with(changes fields) fields {
	c := maps.Clone(f)
	for name, value := range changes {
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
	}
	return c
}

// basket is the body of an order for some pieces of one product, paid by card.
func basket(product string, quantity, price int64) fields {
	return fields{
		"items":         []fields{{"productId": product, "quantity": quantity, "productPrice": price}},
		"paymentAmount": quantity * price, "paymentType": "CREDIT",
	}
}

// order is what the API shows of one.
type order struct {
	OrderID        string  `json:"orderId"`
	Version        int64   `json:"version"`
	UserID         string  `json:"userId"`
	Status         string  `json:"status"`
	Reason         *string `json:"reason"`
	Progress       string  `json:"progress"`
	DiscountAmount int64   `json:"discountAmount"`
	PointAmount    int64   `json:"pointAmount"`
	PaymentAmount  int64   `json:"paymentAmount"`
	Shipment       *struct {
		TrackingNumber string `json:"trackingNumber"`
		Status         string `json:"status"`
	} `json:"shipment"`
	Undo        *struct{ Payment, Coupon, Stock string } `json:"undo"`
	NextActions []string                                 `json:"nextActions"`
}

// why is the reason, "" if there is none.
func (o order) why() string {
	if o.Reason == nil {
		return ""
	}
	return *o.Reason
}

// post sends an order and returns the answer as it came.
func (c customer) post(body any, header map[string]string) rest.Response {
	c.t.Helper()
	res, err := c.Do(c.t.Context(), rest.Request{Method: http.MethodPost, Path: "/api/v1/orders", Body: body, Header: header})
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// place places an order under a key of its own; it must be accepted.
func (c customer) place(body fields) order {
	c.t.Helper()
	res := c.post(body, map[string]string{"Idempotency-Key": uuid.NewString()})
	if res.Status != http.StatusAccepted {
		c.t.Fatalf("place order: %v", res.Problem())
	}
	return decode[order](c.t, res.Body)
}

// buy places an order and waits until it is settled.
func (c customer) buy(body fields) order {
	c.t.Helper()
	return c.settled(c.place(body).OrderID)
}

// get reads an order.
func (c customer) get(id string) order {
	c.t.Helper()
	var o order
	if err := c.Get(c.t.Context(), "/api/v1/orders/"+id, &o); err != nil {
		c.t.Fatal(err)
	}
	return o
}

// settled waits until an order is settled: COMPLETED or later, or CANCELLED with everything undone.
func (c customer) settled(id string) order {
	c.t.Helper()
	return c.until(id, func(o order) bool { return o.Status != "PENDING" && o.Status != "CANCELLING" })
}

// until waits until an order is as asked for.
func (c customer) until(id string, is func(order) bool) (o order) {
	c.t.Helper()
	testkit.Eventually(c.t, patience, func() error {
		if o = c.get(id); !is(o) {
			return fmt.Errorf("order %s is %s, waits for %s", id, o.Status, o.Progress)
		}
		return nil
	})
	return o
}

// cancel asks for a cancel and returns the answer.
func (c customer) cancel(id string) rest.Response {
	c.t.Helper()
	res, err := c.Do(c.t.Context(), rest.Request{
		Method: http.MethodPost, Path: "/api/v1/orders/" + id + "/cancel", Body: fields{"reason": "test"},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// event is one line of a timeline.
type event struct {
	ID          string    `json:"id"`
	Type        string    `json:"type"`
	Service     string    `json:"service"`
	OccurredAt  time.Time `json:"occurredAt"`
	CausationID *string   `json:"causationId"`
	Ignored     *string   `json:"ignored"`
	Summary     string    `json:"summary"`
}

// timeline reads an order's events.
func (c customer) timeline(id string) []event {
	c.t.Helper()
	var list struct {
		Data []event `json:"data"`
	}
	if err := c.Get(c.t.Context(), "/api/v1/orders/"+id+"/events", &list); err != nil {
		c.t.Fatal(err)
	}
	return list.Data
}

// story is a timeline as "StockDecreased<-OrderCreated" lines.
func story(events []event) []string {
	names := map[string]string{}
	lines := []string{}
	for _, e := range events {
		names[e.ID] = e.Type
		text := e.Type
		if e.CausationID != nil {
			text += "<-" + names[*e.CausationID] // "" if the cause comes after its effect, or never
		}
		lines = append(lines, text)
	}
	return lines
}

func decode[T any](t *testing.T, body []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("decode %s: %v", body, err)
	}
	return v
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
