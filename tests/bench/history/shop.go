package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/embed"
	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/web"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/simulator"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
)

// studio is a small system of our own, on servers of its own, in which one order of each kind is really placed.
// The rows that it leaves are what the past is copied from, so they are those of this very version of the services.
type studio struct {
	dir      string
	postgres *embed.Postgres
	broker   *embed.Broker
	urls     map[string]string // by service
}

// openStudio starts the servers.
func openStudio(ctx context.Context) (_ *studio, err error) {
	s := &studio{urls: map[string]string{}}
	if s.dir, err = os.MkdirTemp("", "quadrille-history-"); err != nil {
		return nil, fmt.Errorf("record orders: %w", err)
	}
	// The database server is another user under root.
	if err := os.Chmod(s.dir, 0o755); err != nil { // nothing in it is secret
		return nil, errors.Join(err, s.close(ctx))
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("record orders: %w", err), s.close(ctx))
	}
	return s, nil
}

func (s *studio) start(ctx context.Context) (err error) {
	s.postgres, err = embed.StartPostgres(ctx, embed.PostgresConfig{
		DataDir: filepath.Join(s.dir, "postgres"), FromTemplate: true, Settings: map[string]string{"max_connections": "200"},
	})
	if err != nil {
		return err
	}
	for _, name := range local.Services() {
		if err := s.postgres.CreateDatabase(ctx, name, ""); err != nil {
			return err
		}
		s.urls[name] = s.postgres.URL(name)
	}
	s.broker, err = embed.StartBroker(ctx, embed.BrokerConfig{})
	return err
}

// close ends the servers and removes their data.
func (s *studio) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var errs []error
	if s.broker != nil {
		errs = append(errs, s.broker.Stop(ctx))
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Stop(ctx), os.RemoveAll(s.postgres.DataDir()))
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// play runs every service until an order of each kind has come to its end, and returns the orders' ids.
func (s *studio) play(ctx context.Context) (ids []string, err error) {
	log := &lockedBuffer{}
	system, err := local.Start(ctx, local.Config{
		Dir: filepath.Join(s.dir, "system"), Databases: s.urls, Brokers: s.broker.Addrs(), TopicPrefix: "history-", Partitions: 2,
		Members:     []*memberv1.MemberChanged{local.Member(memberName, addressName, "en")},
		Simulators:  simulator.Config{Carrier: carrier.Config{DispatchDelay: time.Hour}},
		Environment: map[string]string{"LOG_LEVEL": "warn", "RECONCILE_EVERY": "0"},
		Tuning:      engine.Tuning{Sweep: 100 * time.Millisecond}, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if err = errors.Join(err, system.Stop(ctx)); err != nil {
			err = fmt.Errorf("record orders: %w\n%s", err, log)
		}
	}()
	p, err := newPlayer(ctx, system)
	if err != nil {
		return nil, err
	}
	for _, k := range kinds() {
		id, err := p.perform(ctx, k)
		if err != nil {
			return nil, fmt.Errorf("order %q: %w", k.name, err)
		}
		ids = append(ids, id)
	}
	return ids, s.rest(ctx)
}

// player is the customer, the operator and the carrier.
type player struct {
	system              *local.System
	ops, buyer, carrier rest.Client
}

func newPlayer(ctx context.Context, system *local.System) (*player, error) {
	p := &player{system: system, carrier: rest.Client{BaseURL: system.Simulators.CarrierURL}}
	var err error
	if p.ops, err = system.Client(local.Operator, web.RoleOperator); err != nil {
		return nil, err
	}
	if p.buyer, err = system.Client(memberName); err != nil {
		return nil, err
	}
	for _, r := range goods() {
		if _, err := p.ops.Call(ctx, rest.Request{Method: r.method, Path: r.path, Body: r.body}, nil); err != nil {
			return nil, err
		}
	}
	if err := p.buyer.Post(ctx, "/api/v1/coupon-policies/"+policyName+"/issue", nil, nil); err != nil {
		return nil, err
	}
	for _, id := range []string{productName, soldOutName} {
		if err := local.AwaitOrderable(ctx, p.buyer, id); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// perform places an order of the kind and sees it through.
func (p *player) perform(ctx context.Context, k kind) (string, error) {
	var placed struct{ OrderID string }
	_, err := p.buyer.Call(ctx, rest.Request{
		Method: http.MethodPost, Path: "/api/v1/orders", Body: k.body(), Header: map[string]string{"Idempotency-Key": uuid.NewString()},
	}, &placed)
	if err != nil {
		return "", err
	}
	id := placed.OrderID
	prepared := end{status: "COMPLETED", shipment: "PREPARED"}
	if k.returned || k.until.shipment != "" {
		if err := p.await(ctx, id, prepared); err != nil {
			return "", err
		}
	}
	if k.returned {
		if err := p.ops.Post(ctx, "/api/v1/orders/"+id+"/cancel", fields{"reason": "returned"}, nil); err != nil {
			return "", err
		}
	}
	if k.until.shipment == "DELIVERED" {
		if err := p.deliver(ctx, id); err != nil {
			return "", err
		}
	}
	return id, p.await(ctx, id, k.until)
}

// deliver is the carrier's part.
func (p *player) deliver(ctx context.Context, id string) error {
	var bookings struct{ Data []struct{ BookingID string } }
	if err := p.carrier.Get(ctx, "/v1/bookings?reference="+id, &bookings); err != nil {
		return err
	}
	if len(bookings.Data) != 1 {
		return fmt.Errorf("the carrier has %d parcels", len(bookings.Data))
	}
	advance := "/v1/bookings/" + bookings.Data[0].BookingID + "/advance"
	if err := p.carrier.Post(ctx, advance, fields{"to": "dispatched"}, nil); err != nil {
		return err
	}
	if err := p.await(ctx, id, end{status: "SHIPPED", shipment: "DISPATCHED"}); err != nil {
		return err
	}
	return p.carrier.Post(ctx, advance, fields{"to": "delivered"}, nil)
}

// await waits until the order has come to an end, or to a point on its way there.
func (p *player) await(ctx context.Context, id string, want end) error {
	return poll(ctx, func() error {
		var o struct {
			Status   string
			Reason   string
			Shipment struct{ Status string }
			Undo     struct{ Payment string }
		}
		if err := p.ops.Get(ctx, "/api/v1/orders/"+id, &o); err != nil {
			return err
		}
		is := end{o.Status, o.Reason, o.Shipment.Status, o.Undo.Payment}
		if want.refund == "" {
			is.refund = ""
		}
		if want.status == "CANCELLED" {
			is.shipment = ""
		}
		if is != want {
			return fmt.Errorf("it is %v, not %v", is, want)
		}
		return nil
	})
}

// patience is how long anything may take in the studio, on a machine that has much else to do.
const patience = 2 * time.Minute

// poll asks until it is told yes.
func poll(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// lockedBuffer keeps what the services log, for an error.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
