package history_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/quadrille/cli"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/reconcile"
	"github.com/quadrille-io/quadrille/tests/bench/history"
)

// shop is the system on the past.
type shop struct {
	*local.System
	ops rest.Client
	dir string
}

func open(t *testing.T, urls map[string]string) *shop {
	t.Helper()
	log := &bytes.Buffer{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	system, err := local.Start(ctx, local.Config{
		Dir: t.TempDir(), Databases: urls, Brokers: testkit.Brokers(t), TopicPrefix: testkit.TopicPrefix(t), Partitions: 2,
		Members: []*memberv1.MemberChanged{}, Environment: map[string]string{"LOG_LEVEL": "error"},
		Tuning: engine.Tuning{Sweep: 100 * time.Millisecond, Relaxed: 25 * time.Millisecond}, Log: &syncWriter{to: log},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := system.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		if log.Len() > 0 {
			t.Errorf("errors of the services:\n%s", log)
		}
	})
	s := &shop{System: system, dir: t.TempDir()}
	token, err := s.Token(local.Operator, web.RoleOperator)
	check(t, err)
	s.ops = rest.Client{BaseURL: s.GatewayURL(), Token: token}
	env := fmt.Sprintf("export GATEWAY_URL='%s'\nexport OPERATOR_TOKEN='%s'\n", s.GatewayURL(), token)
	check(t, os.WriteFile(filepath.Join(s.dir, "dev.env"), []byte(env), 0o600))
	return s
}

// verify runs `quadrille verify` over everything: the books of all services agree about every order.
func (s *shop) verify(t *testing.T, cfg history.Config) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		var out, errors bytes.Buffer
		code := cli.Main([]string{"--dir", s.dir, "--json", "verify", "--wait", "200ms", "--pause", "0"}, &out, &errors)
		if code > 1 {
			return fmt.Errorf("verify ends with %d: %s", code, &errors)
		}
		var r reconcile.Report
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			return err
		}
		for i, d := range r.Differences {
			if i < 5 {
				t.Logf("[%s %s] %s", d.Rule, d.Row, d.Sentence)
			}
		}
		if n := len(r.Differences) + len(r.Open); n > 0 {
			return fmt.Errorf("verify finds %d differences and cannot judge %v", len(r.Differences), r.Open)
		}
		if r.Checked.Orders != cfg.Orders || r.Checked.Products != cfg.Products || r.Checked.Coupons == 0 || r.Checked.Points == 0 {
			return fmt.Errorf("verify checked %+v", r.Checked)
		}
		return nil
	})
}

// tellsOld reads the first order as its member, and its timeline.
func (s *shop) tellsOld(t *testing.T, url string) {
	t.Helper()
	type old struct {
		OrderID, UserID string
		CreatedAt       time.Time
	}
	first := query(t, url, `SELECT order_id, user_id, created_at FROM orders WHERE status = 'DELIVERED' ORDER BY order_id LIMIT 1`, pgx.RowToStructByPos[old])[0]
	if age := time.Since(first.CreatedAt); age < 29*24*time.Hour {
		t.Errorf("the first order is %s old", age)
	}
	client, err := s.Client(first.UserID)
	check(t, err)
	var o struct {
		OrderID, UserID, Status string
		CreatedAt               time.Time
		Shipment                struct{ Status string }
	}
	check(t, client.Get(t.Context(), "/api/v1/orders/"+first.OrderID, &o))
	if o.OrderID != first.OrderID || o.UserID != first.UserID || o.Status != "DELIVERED" || o.Shipment.Status != "DELIVERED" || !o.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("the first order is told as %+v", o)
	}
	var timeline struct {
		Data []struct {
			Type       string
			OccurredAt time.Time
		}
	}
	check(t, client.Get(t.Context(), "/api/v1/orders/"+first.OrderID+"/events", &timeline))
	var types []string
	for _, e := range timeline.Data {
		types = append(types, e.Type)
		if e.OccurredAt.Sub(first.CreatedAt).Abs() > time.Minute {
			t.Errorf("%s is of %s, the order of %s", e.Type, e.OccurredAt, first.CreatedAt)
		}
	}
	want := []string{"OrderCreated", "StockDecreased", "PaymentCompleted", "OrderCompleted", "ShipmentPrepared", "ShipmentDispatched", "ShipmentDelivered"}
	if !slices.Equal(types, want) {
		t.Errorf("its timeline is %v", types)
	}
}

// sells places a new order.
func (s *shop) sells(t *testing.T) {
	t.Helper()
	client, err := s.Client(history.MemberID(3))
	check(t, err)
	var o struct{ OrderID, Status string }
	_, err = client.Call(t.Context(), rest.Request{
		Method: http.MethodPost, Path: "/api/v1/orders", Header: map[string]string{"Idempotency-Key": "new", "Prefer": "wait=20"},
		Body: map[string]any{
			"items":       []map[string]any{{"productId": history.ProductID(5), "quantity": 1, "productPrice": history.Price}},
			"pointAmount": history.Price, "paymentAmount": 0, "paymentType": "POINT",
		},
	}, &o)
	check(t, err)
	testkit.Eventually(t, patience, func() error {
		var now struct {
			Status   string
			Shipment struct{ Status string }
		}
		if err := client.Get(t.Context(), "/api/v1/orders/"+o.OrderID, &now); err != nil {
			return err
		}
		if now.Status != "COMPLETED" || now.Shipment.Status != "PREPARED" {
			return fmt.Errorf("the new order is %+v", now)
		}
		return nil
	})
}

// syncWriter lets many write to one.
type syncWriter struct {
	mu sync.Mutex
	to io.Writer
}

// Write implements io.Writer.
func (w *syncWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
