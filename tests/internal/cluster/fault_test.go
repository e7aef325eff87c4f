package cluster

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// One cluster for all: starting one is what takes the time. Each step leaves everything running.
func TestClusterWithFaults(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Proxied: true})
	customer := shop(t, c)
	completes(t, c, customer, "first")
	if deaths := c.Deaths(); len(deaths) > 0 {
		t.Errorf("died without a fault: %+v", deaths)
	}
	killed(t, c, customer)
	paused(t, c, customer)
	disturbed(t, c)
	supervised(t, c)
	scaled(t, c, customer)
	postgresCrashes(t, c, customer)
	kafkaCrashes(t, c, customer)
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func running(t *testing.T, c *Cluster) {
	t.Helper()
	if err := c.Ready(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
}

func killed(t *testing.T, c *Cluster, customer rest.Client) {
	t.Helper()
	p := c.Process("order", 0)
	before := p.Pid()
	p.Kill()
	if p.Running() || p.Wanted() {
		t.Error("a killed replica still runs")
	}
	completes(t, c, customer, "on one replica")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	running(t, c)
	if p.Pid() == before || p.Starts() != 2 {
		t.Errorf("process %d, started %d times", p.Pid(), p.Starts())
	}
	if deaths := c.Deaths(); len(deaths) > 0 {
		t.Errorf("a kill that was asked for counts as a death: %+v", deaths)
	}
}

func paused(t *testing.T, c *Cluster, customer rest.Client) {
	t.Helper()
	p := c.Process("coupon", 1)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.ready(within(t, time.Minute)); err == nil || !p.Paused() {
		t.Errorf("a paused process answers (%v)", err)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	running(t, c)
	completes(t, c, customer, "after a pause")
}

// disturbed looks at a way itself, with a connection of the test's own.
func disturbed(t *testing.T, c *Cluster) {
	t.Helper()
	l := c.Link("mailer", 0, ToPostgres)
	url := strings.Replace(c.DatabaseURL("mailer"), hostOf(t, c.DatabaseURL("mailer")), l.addr, 1)
	ask := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		return conn.Ping(ctx)
	}
	for name, disturb := range map[string]func() error{
		"cut": l.Cut, "lose answers": l.LoseAnswers, "lose requests": l.LoseRequests,
		"refuse":       func() error { l.Refuse(); return nil },
		"latency":      func() error { return l.Latency(10 * time.Second) },
		"half answers": func() error { return l.LimitAnswers(10) },
	} {
		if err := disturb(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := ask(300 * time.Millisecond); err == nil || !l.Disturbed() {
			t.Errorf("%s: the way works", name)
		}
		if err := l.Restore(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := ask(20 * time.Second); err != nil || l.Disturbed() {
			t.Errorf("%s, restored: %v", name, err)
		}
	}
	resets(t, l, url)
	running(t, c)
}

func hostOf(t *testing.T, url string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return loopback(int(cfg.Port))
}

func resets(t *testing.T, l *Link, url string) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := l.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(ctx); err == nil {
		t.Error("a connection survived the reset")
	}
}

// supervised: a process that ends by itself is started again, and that is recorded.
func supervised(t *testing.T, c *Cluster) {
	t.Helper()
	p := c.Process("mailer", 1)
	p.mu.Lock()
	p.run.signal(9) // not by Kill: nobody asked for it
	p.mu.Unlock()
	ctx := within(t, time.Minute)
	for len(c.Deaths()) == 0 || !p.Running() {
		select {
		case <-ctx.Done():
			t.Fatal("not started again")
		case <-time.After(10 * time.Millisecond):
		}
	}
	d := c.Deaths()[0]
	if d.Service != "mailer" || d.Replica != 1 || d.How != "signal: killed" || !strings.Contains(d.Tail, "configuration") {
		t.Errorf("the death: %+v", d)
	}
	running(t, c)
}

func scaled(t *testing.T, c *Cluster, customer rest.Client) {
	t.Helper()
	ctx := within(t, time.Minute)
	p, err := c.AddReplica(ctx, "stock")
	if err != nil {
		t.Fatal(err)
	}
	if p.Replica != 2 || len(c.Replicas("stock")) != 3 {
		t.Errorf("added %s, there are %d", p.Name(), len(c.Replicas("stock")))
	}
	if _, err := c.AddReplica(ctx, "stock"); err == nil {
		t.Error("more replicas than Options allow")
	}
	completes(t, c, customer, "on three replicas")
	if err := c.RemoveReplica(ctx, "stock"); err != nil {
		t.Fatal(err)
	}
	completes(t, c, customer, "on two again")
	if p.Running() || c.Process("stock", 2) != nil {
		t.Error("the removed replica is still there")
	}
}

func postgresCrashes(t *testing.T, c *Cluster, customer rest.Client) {
	t.Helper()
	ctx := within(t, time.Minute)
	c.Postgres().Immediate()
	if c.Postgres().Running() {
		t.Error("PostgreSQL still runs")
	}
	if err := c.Postgres().Start(ctx); err != nil {
		t.Fatal(err)
	}
	running(t, c)
	if hit, err := c.Postgres().KillBackend(ctx, "order"); err != nil || !hit {
		t.Fatalf("kill a session: %t, %v", hit, err)
	}
	running(t, c)
	completes(t, c, customer, "after PostgreSQL's crash")
}

func kafkaCrashes(t *testing.T, c *Cluster, customer rest.Client) {
	t.Helper()
	c.Kafka().Kill()
	if c.Kafka().Running() {
		t.Error("Kafka still runs")
	}
	if err := c.Kafka().Start(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	running(t, c)
	if err := c.Kafka().Pause(); err != nil {
		t.Fatal(err)
	}
	if err := c.Kafka().Resume(); err != nil {
		t.Fatal(err)
	}
	completes(t, c, customer, "after Kafka's crash")
}
