package nemesis

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// One cluster for both: starting one is what takes the time.
func TestNemesis(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // a guard against hanging: the machine may be busy
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Options{Proxied: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	customer := shop(ctx, t, c)
	everyFault(ctx, t, &nemesis{cluster: c, plan: Plan{}, log: log, claims: newClaims()})
	if status := order(ctx, t, c, customer); status != "COMPLETED" {
		t.Errorf("an order after every fault is %s", status)
	}
	runEndsHealed(ctx, t, c, log)
}

// everyFault does every kind once, many at a time, and looks that all is undone.
func everyFault(ctx context.Context, t *testing.T, n *nemesis) {
	t.Helper()
	var wg sync.WaitGroup
	for i, kind := range Kinds() {
		if kind == KafkaStop {
			continue // as KafkaKill, and slower
		}
		step := steps(Plan{Seed: uint64(i), Only: []Kind{kind}}, 0, 1)[0]
		step.Hold = min(step.Hold, second)
		wg.Go(func() {
			a := n.act(step)
			if !n.claims.take(ctx, a.claims) {
				t.Errorf("%s: its turn never came", kind)
				return
			}
			defer n.claims.give(a.claims)
			fault := n.do(ctx, step, a)
			// A session to kill is not there while another fault has ended them all.
			if fault.Error != "" && kind != PostgresSession {
				t.Errorf("%s of %s: %s", kind, fault.Target, fault.Error)
			}
		})
	}
	wg.Wait()
	if err := n.heal(ctx); err != nil {
		t.Error(err)
	}
	healed(t, n.cluster)
}

func healed(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for _, p := range c.Processes() {
		if !p.Running() || p.Paused() {
			t.Errorf("%s: running %t, paused %t", p.Name(), p.Running(), p.Paused())
		}
		for _, target := range cluster.Targets(p.Service) {
			if c.Link(p.Service, p.Replica, target).Disturbed() {
				t.Errorf("%s to %s is still disturbed", p.Name(), target)
			}
		}
	}
}

func runEndsHealed(ctx context.Context, t *testing.T, c *cluster.Cluster, log *slog.Logger) {
	t.Helper()
	var faults []Fault
	err := Run(ctx, c, Plan{
		Seed: 1, For: 5 * second, Rest: second / 10, Only: []Kind{Kill, Reset, Cut, CommitLost}, Log: log,
		On: func(f Fault) { faults = append(faults, f) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(faults) == 0 {
		t.Error("no fault in 5 s")
	}
	for _, f := range faults {
		if f.Error != "" || f.End.Before(f.Begin) || f.Ready.Before(f.End) {
			t.Errorf("%+v", f)
		}
	}
	healed(t, c)
}

func shop(ctx context.Context, t *testing.T, c *cluster.Cluster) rest.Client {
	t.Helper()
	ops := rest.Client{BaseURL: c.Gateways()[0], Token: c.OperatorToken()}
	product := local.NewProduct{ProductID: "RECORD", Name: "Record", Price: 1000, Currency: "KRW", Quantity: 1000}
	if err := local.AddProduct(ctx, ops, product); err != nil {
		t.Fatal(err)
	}
	customer := ops.As(c.Token(c.Members()[0]))
	if err := local.AwaitOrderable(ctx, customer, "RECORD"); err != nil {
		t.Fatal(err)
	}
	return customer
}

// order places one, as often as it takes to hear of it, and returns its status at the end.
func order(ctx context.Context, t *testing.T, c *cluster.Cluster, customer rest.Client) string {
	t.Helper()
	for {
		var placed struct {
			Status string `json:"status"`
		}
		_, err := customer.Call(ctx, rest.Request{
			Method: http.MethodPost, Path: "/api/v1/orders",
			Header: map[string]string{"Idempotency-Key": "afterwards", "Prefer": "wait=20"},
			Body: map[string]any{
				"userId": c.Members()[0], "paymentAmount": 1000, "paymentType": "CREDIT", "deliveryFee": 0,
				"items": []map[string]any{{"productId": "RECORD", "quantity": 1, "productPrice": 1000}},
			},
		}, &placed)
		if err == nil && placed.Status != "PENDING" {
			return placed.Status
		}
		if !pause(ctx, second/2) {
			t.Fatalf("no order went through: %q, %v", placed.Status, err)
		}
	}
}
