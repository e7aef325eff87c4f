package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
)

// patience is how long anything may take, on a machine that has much else to do.
const patience = 2 * time.Minute

// serving runs the services of a small shop in this process, and the outside world in one of its own.
func serving(t *testing.T) (*System, Position) {
	t.Helper()
	y := &System{prefix: testkit.TopicPrefix(t)}
	y.serving = Serving{
		Dir: t.TempDir(), Databases: map[string]string{}, Brokers: testkit.Brokers(t), Prefix: y.prefix,
		Partitions: 3, Shop: Shop{Members: 3, Products: 2, SoldOut: 1},
	}
	for _, service := range local.Services() {
		y.serving.Databases[service] = testkit.Database(t)
	}
	outside, err := fork("simulate", t.TempDir(), Simulating{Dir: t.TempDir()}, &y.serving.Outside)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Serve(ctx, y.serving, out)
		ended <- err
		_ = out.CloseWithError(fmt.Errorf("ended: %w", err))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the services: %v", err)
		}
		if err := outside.stop(); err != nil {
			t.Errorf("the outside world: %v", err)
		}
	})
	if err := json.NewDecoder(in).Decode(&y.Place); err != nil {
		t.Fatal(err)
	}
	from, err := position(t.Context(), y.serving.Brokers, y.prefix)
	if err != nil {
		t.Fatal(err)
	}
	return y, from
}

func (y *System) feedOf(t *testing.T, l Load) Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o, err := y.Feed(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	if o.Refused > 0 {
		t.Fatalf("%d orders were refused: %v", o.Refused, o.Errors)
	}
	return o
}

// The parcels are booked with the carrier of the other process, stay where they are, and every order's way is in
// Kafka. Orders that are only to be accepted come to their ends too, and are not kept in mind.
func TestServe(t *testing.T) {
	t.Parallel()
	y, from := serving(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if o := y.feedOf(t, Load{Orders: 20, Window: 10, Products: 2, Seed: 1}); o.Completed != 20 || o.AtRest < o.Seconds {
		t.Errorf("outcome is %+v: want 20 orders completed, and rest after them", o)
	}
	y.feedOf(t, Load{Orders: 15, Window: 4, Accepted: true, Products: 2, Seed: 2})
	if err := y.Rest(ctx); err != nil {
		t.Fatal(err)
	}
	if o := y.feedOf(t, Load{Orders: 5, Products: 1, First: 2, Seed: 3}); o.Cancelled != 5 {
		t.Errorf("outcome is %+v: want 5 orders of what is sold out cancelled", o)
	}
	var booked struct{ Data []carrier.Booking }
	if err := (rest.Client{BaseURL: y.serving.Outside.CarrierURL}).Get(ctx, "/v1/bookings?limit=100", &booked); err != nil {
		t.Fatal(err)
	}
	if len(booked.Data) != 35 {
		t.Errorf("%d parcels are booked with the carrier of the other process: want 35", len(booked.Data))
	}
	testkit.Eventually(t, patience, func() error {
		var came struct{ Facts int }
		err := (rest.Client{BaseURL: y.serving.Outside.DataplatformURL}).Get(ctx, "/received/totals", &came)
		if err == nil && came.Facts < 40*2 {
			err = fmt.Errorf("%d facts were exported to the other process", came.Facts)
		}
		return err
	})
	for _, b := range booked.Data {
		if b.DispatchAt != nil {
			t.Fatalf("parcel %s would leave at %v, and its events come in the midst of another measurement", b.BookingID, b.DispatchAt)
		}
	}
	steps, err := from.Steps(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(steps.journeys) != 35 {
		t.Errorf("%d orders' ways are known: want those of the 35 that were completed", len(steps.journeys))
	}
	for _, j := range steps.journeys {
		for i, leg := range j.legs() {
			// The id, and what Kafka keeps, are in milliseconds.
			if leg < -2*time.Millisecond || leg > patience {
				t.Errorf("part %d of an order's way took %v", i, leg)
			}
		}
	}
	m, err := y.Memory(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	if m.Live <= 0 || m.Stacks <= 0 || m.Goroutines <= 0 || m.Resident <= m.Live {
		t.Errorf("memory is %+v", m)
	}
}

// The outside world's process is one of its own, which says where it is and goes when it is told to.
func TestSimulate(t *testing.T) {
	t.Parallel()
	var where Outside
	c, err := fork("simulate", t.TempDir(), Simulating{Dir: t.TempDir()}, &where)
	if err != nil {
		t.Fatal(err)
	}
	if where.Pid != c.cmd.Process.Pid || where.Pid == os.Getpid() {
		t.Errorf("it says that it is process %d: want %d", where.Pid, c.cmd.Process.Pid)
	}
	if _, err := CPU(where.Pid); err != nil {
		t.Error(err)
	}
	for name, url := range map[string]string{"carrier": where.CarrierURL + "/v1/bookings", "card provider": where.PaymentURL + "/faults"} {
		if err := (rest.Client{BaseURL: url}).Get(t.Context(), "", new(any)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	if _, err := CPU(where.Pid); err == nil {
		t.Error("the process is there still")
	}
	if err := c.stop(); err != nil {
		t.Errorf("stopped twice: %v", err)
	}
}

// A child that cannot start says why.
func TestAChildThatCannotStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var where Outside
	if _, err := fork("simulate", t.TempDir(), Simulating{Dir: file}, &where); err == nil {
		t.Error("the outside world has its memory in a file that is no folder")
	}
	if _, err := fork("simulate", file, Simulating{Dir: t.TempDir()}, &where); err == nil {
		t.Error("the log is in a file that is no folder")
	}
}

// What is in use counts as live, what was thrown away does not.
func TestMemory(t *testing.T) {
	const size = 64 << 20
	kept := make([]byte, size)
	with, err := memory(true)
	if err != nil {
		t.Fatal(err)
	}
	kept[len(kept)-1] = 1
	runtime.KeepAlive(kept)
	without, err := memory(true)
	if err != nil {
		t.Fatal(err)
	}
	if freed := with.Live - without.Live; freed < size*9/10 || freed > size*11/10 {
		t.Errorf("%d MB live with 64 MB in use, %d MB without", with.Live>>20, without.Live>>20)
	}
	if most := with.most(Memory{Live: 1, Stacks: 1 << 50}); most.Live != with.Live || most.Stacks != 1<<50 {
		t.Errorf("the most of each is %+v", most)
	}
}

func TestBacklogGrowth(t *testing.T) {
	t.Parallel()
	if after, ended := (Backlog{}).growth(); after != 0 || ended != 0 {
		t.Errorf("a backlog that was not measured has grown: %v, %v", after, ended)
	}
	l := Backlog{Before: Memory{Live: 100}, Begun: Memory{Live: 400}, Ended: Memory{Live: 300}, After: Memory{Live: 150}}
	if after, ended := l.growth(); after != 1.5 || ended != .75 {
		t.Errorf("grown by %v and %v: want 1.5 and 0.75", after, ended)
	}
}
