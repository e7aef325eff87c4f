package races_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/simulator"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// arena is a running shop with two replicas of everything: two gateways, each with services of its own
// behind it, on the same databases, topics and groups, and with the same world outside.
type arena struct {
	// replicas are two, or one twice where nothing races.
	replicas [2]*local.System
	outside  *simulator.Simulators
	// dir has the key that signs the tokens.
	dir string
	// pools are the services' databases, to read the books.
	pools map[string]*pgxpool.Pool
	// ops is the operator's client at the first gateway.
	ops  rest.Client
	http *http.Client

	// crowd are members that every attack may use.
	crowd   []buyer
	ids     atomic.Int64
	nextOne atomic.Int64 // the next member that no attack has used

	// What was put in, for the books: pieces by product, points by member.
	mu     sync.Mutex
	pieces map[string]int64
	points map[string]int64
	// seen is what the attack under way has seen so far.
	seen []string
	// told are the differences that were reported already: one attack's win is not the next one's, too.
	told map[string]bool
}

// citizens is how many members the shop knows beside the seeded ones: a crowd that every attack may use,
// and some for attacks that count what one member has. The last ones live where the carrier's first answer
// to a booking never comes.
const (
	spare    = 200
	remote   = 50
	citizens = crowd + spare + remote
)

// webhookSecret is what the carrier signs with, known here to send its webhooks again.
const webhookSecret = "the carrier's secret of this test"

// open starts the shop with two replicas. The first one migrates, both work at the same time from then on.
func open(t *testing.T) *arena {
	t.Helper()
	return openWith(t, 2, nil)
}

// openWith starts it with one replica or two, and with an environment that wins over the usual one.
func openWith(t *testing.T, replicas int, environment map[string]string) *arena {
	t.Helper()
	begin := time.Now()
	a := &arena{
		pools: map[string]*pgxpool.Pool{}, pieces: map[string]int64{}, points: map[string]int64{}, told: map[string]bool{},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * crowd, IdleConnTimeout: time.Minute}},
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var lc net.ListenConfig
	gateway, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a.startOutside(ctx, t, "http://"+gateway.Addr().String())
	cfg := a.config(t)
	maps.Copy(cfg.Environment, environment)
	for i := range replicas {
		own := cfg
		own.Gateway = gateway
		if i > 0 {
			own.Gateway = nil
		}
		// The simulators that a replica starts by itself stand idle: their journals must not be shared.
		dir := t.TempDir()
		own.Simulators = simulator.Config{
			Payment: payment.Config{Dir: dir + "/payment"}, Carrier: carrier.Config{Dir: dir + "/carrier"},
		}
		own.Simulators.Inbox.Dir, own.Simulators.Dataplatform.Dir = dir+"/inbox", dir+"/dataplatform"
		a.start(ctx, t, i, own)
	}
	if replicas == 1 {
		a.replicas[1] = a.replicas[0]
	}
	if a.ops, err = a.replicas[0].Client(local.Operator, web.RoleOperator); err != nil {
		t.Fatal(err)
	}
	a.ops.HTTP = a.http
	for n := range crowd {
		a.crowd = append(a.crowd, a.as(t, citizen(n).GetMemberId()))
	}
	t.Cleanup(a.http.CloseIdleConnections)
	a.saw("the shop is open after %s", time.Since(begin).Round(time.Millisecond))
	return a
}

// startOutside starts the provider, the carrier and the mail server that both replicas use.
func (a *arena) startOutside(ctx context.Context, t *testing.T, gateway string) {
	t.Helper()
	var err error
	a.outside, err = simulator.Start(ctx, simulator.Config{
		Dir:     t.TempDir(),
		Payment: payment.Config{SlowDelay: 200 * time.Millisecond},
		Carrier: carrier.Config{
			DispatchDelay: -1, WebhookURL: gateway + "/webhooks/shipping/simulator", WebhookSecret: webhookSecret,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.outside.Close(); err != nil {
			t.Errorf("stop the world outside: %v", err)
		}
	})
}

// config is what both replicas are told. The same folder gives them the same token key.
func (a *arena) config(t *testing.T) local.Config {
	t.Helper()
	a.dir = t.TempDir()
	cfg := local.Config{
		Dir: a.dir, Databases: map[string]string{}, Brokers: testkit.Brokers(t), TopicPrefix: testkit.TopicPrefix(t),
		Partitions: 4, Members: local.Members(), Tuning: engine.Tuning{Sweep: 100 * time.Millisecond},
		Environment: map[string]string{
			"LOG_LEVEL": "warn",
			// What is attacked here is what stands behind the limits.
			"RATE_PER_MEMBER": "0", "RATE_PER_ADDRESS": "0",
			"OPERATORS_SMTP": a.outside.SMTPAddr,
			// A machine that is busy with other tests answers a crowd slowly; it is not slowness that is attacked.
			"HTTP_READ_HEADER_TIMEOUT": "2m", "HTTP_READ_TIMEOUT": "2m", "HTTP_WRITE_TIMEOUT": "3m",
		},
		ServiceEnvironment: map[string]map[string]string{
			"order":    {"PENDING_TIMEOUT": "5m", "DOUBLE_CLICK_WINDOW": "1m", "PRICE_GRACE": "0"},
			"payment":  {"PAYMENT_SIMULATOR_URL": a.outside.PaymentURL},
			"shipping": {"CARRIER_URL": a.outside.CarrierURL, "CARRIER_WEBHOOK_SECRET": webhookSecret, "CARRIER_TIMEOUT": "2s"},
			"mailer":   {"SMTP_ADDR": a.outside.SMTPAddr, "MAIL_WEBHOOK_SECRET": webhookSecret},
		},
	}
	for _, name := range local.Services() {
		cfg.Databases[name] = testkit.Database(t)
		a.pools[name] = testkit.Pool(t, cfg.Databases[name])
	}
	for n := range citizens {
		cfg.Members = append(cfg.Members, citizen(n))
	}
	return cfg
}

func (a *arena) start(ctx context.Context, t *testing.T, i int, cfg local.Config) {
	t.Helper()
	log := &buffer{}
	cfg.Log = log
	system, err := local.Start(ctx, cfg)
	if err != nil {
		t.Fatalf("replica %d: %v\n%s", i, err, log.String())
	}
	a.replicas[i] = system
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		begin := time.Now()
		if err := system.Stop(ctx); err != nil {
			t.Errorf("stop replica %d: %v", i, err)
		}
		t.Logf("replica %d stopped after %s", i, time.Since(begin).Round(time.Millisecond))
		if t.Failed() {
			t.Logf("warnings and errors of replica %d:\n%s", i, log.String())
		}
	})
}

func citizen(n int) *memberv1.MemberChanged {
	m := local.Member(fmt.Sprintf("citizen-%04d", n), fmt.Sprintf("0190a3a0-0000-7000-8000-2%011d", n), "en")
	if n >= crowd+spare {
		m.Addresses[0].PostalCode = carrier.PostalUnknown
	}
	return m
}

// buyer is one member, with a client at each gateway.
type buyer struct {
	id string
	at [2]rest.Client
}

// buyer gives the attack a member that no other attack has used.
func (a *arena) buyer(t *testing.T) buyer {
	t.Helper()
	n := int(a.nextOne.Add(1) - 1)
	if n >= spare {
		t.Fatalf("more than %d members are used", spare)
	}
	return a.as(t, citizen(crowd+n).GetMemberId())
}

// as is a caller by id and roles.
func (a *arena) as(t *testing.T, id string, roles ...string) buyer {
	t.Helper()
	b := buyer{id: id}
	for i, system := range a.replicas {
		client, err := system.Client(id, roles...)
		if err != nil {
			t.Fatal(err)
		}
		client.HTTP = a.http
		b.at[i] = client
	}
	return b
}

// operator is the operator, at both gateways.
func (a *arena) operator(t *testing.T) buyer {
	t.Helper()
	return a.as(t, local.Operator, web.RoleOperator)
}

// put notes that pieces were added.
func (a *arena) put(product string, pieces int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pieces[product] += pieces
}

// grantedAlready notes that a member was given points.
func (a *arena) grantedAlready(member string, amount int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.points[member] += amount
}

// saw notes what happened. It is told at the end of the attack, in one line, after what is wrong.
func (a *arena) saw(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, fmt.Sprintf(format, args...))
}

// tell logs what was seen.
func (a *arena) tell(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	t.Log(strings.Join(a.seen, "; "))
	a.seen = nil
}

// named makes an id that nothing else has.
func (a *arena) named(kind string) string { return fmt.Sprintf("%s-%03d", kind, a.ids.Add(1)) }

// product lists a product that nobody else orders, and waits until both replicas' prices have it.
func (a *arena) product(t *testing.T, price, quantity int64) string {
	t.Helper()
	p := local.NewProduct{ProductID: a.named("PRODUCT"), Name: "Piece", Price: price, Currency: "KRW", Quantity: quantity}
	if err := a.ops.Post(t.Context(), "/ops/v1/products", p, nil); err != nil {
		t.Fatalf("list product: %v", err)
	}
	a.put(p.ProductID, quantity)
	if err := local.AwaitOrderable(t.Context(), a.as(t, local.Customer).at[0], p.ProductID); err != nil {
		t.Fatal(err)
	}
	return p.ProductID
}

// policy opens a coupon policy of an amount.
func (a *arena) policy(t *testing.T, amount, limit int64) string {
	t.Helper()
	p := local.NewPolicy{
		PolicyID: a.named("POLICY"), Name: "Off", Discount: local.Discount{Amount: amount}, Limit: limit,
		ValidFrom: time.Now().Add(-time.Hour).UTC().Truncate(time.Second), ValidUntil: time.Now().Add(time.Hour).UTC().Truncate(time.Second),
	}
	if err := a.ops.Post(t.Context(), "/ops/v1/coupon-policies", p, nil); err != nil {
		t.Fatalf("open coupon policy: %v", err)
	}
	return p.PolicyID
}

// buffer keeps what the services log, for a test that fails.
type buffer struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}
